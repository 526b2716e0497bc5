"""From what a user has to what is sent: text, files, and the files that jobs name."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itda.engine.inputs import is_alignment, read_input
from itda.errors import InputError
from itda.job.given_templates import parse_given_template
from itda.job.model import Job
from itda.job.names import collision_key, file_stem
from itda.job.read import read_jobs
from itda.job.source import guess_format, open_source
from itda.language import Message

FilePart = tuple[str, tuple[str, bytes, str]]

_BINARY = "application/octet-stream"
_LARGE_BYTES = 2**20
_PACKED = (".a3m", ".sto", ".fasta", ".fa")


@dataclass(frozen=True)
class Packed:
    """What is sent.

    Attributes:
        text: Of the input; empty where it is a file.
        files: Parts of a form, as `httpx` takes them.
    """

    text: str
    files: list[FilePart]


def pack(source: str | Path | Job | Sequence[Job], files: Sequence[Path] = ()) -> Packed:
    """Return what is sent of an input.

    A job file that names files is read here, so that they can be sent along under plain names;
    any other input is sent as it is, for the server to read.

    Raises:
        InputError: A file cannot be read, or a job that names files is wrong.
    """
    further: list[FilePart] = [("file", _part(path, path.name)) for path in files]
    if isinstance(source, str):
        return Packed(source, further)
    if isinstance(source, Path):
        jobs = _job_of_alignment(source) if is_alignment(source) else _jobs_with_files(source)
        if jobs is None:
            return Packed("", [("input", _part(source, source.name)), *further])
        return _packed(jobs, further)
    return _packed([source] if isinstance(source, Job) else list(source), further)


def pack_templates(given: Sequence[str | Path], packed: Packed) -> tuple[list[str], Packed]:
    """Put structures that are named on this machine to what is sent.

    Args:
        given: As `parse_given_template` reads them.
        packed: What else is sent.

    Returns:
        The same by the names under which they are sent, and all that is sent.

    Raises:
        InputError: A file is not there or cannot be read.
    """
    taken = {collision_key(part[1][0]) for part in packed.files}
    sent: dict[Path, FilePart] = {}
    texts: list[str] = []
    for text in given:
        one = parse_given_template(str(text))
        if one.path not in sent:
            sent[one.path] = ("file", _part(one.path, file_stem(one.path.name), taken))
        named = sent[one.path][1][0] + (f":{one.chain}" if one.chain else "")
        texts.append(f"{','.join(one.ids)}={named}" if one.ids else named)
    return texts, Packed(packed.text, [*packed.files, *sent.values()])


def _job_of_alignment(path: Path) -> Sequence[Job]:
    batch = read_input(path)
    for rejected in batch.rejected:
        raise rejected.error
    return batch.jobs


def _jobs_with_files(path: Path) -> Sequence[Job] | None:
    """Read a job file that names files; None for any other."""
    with open_source(path) as opened:
        if guess_format(opened) not in ("yaml", "json"):
            return None
    batch = read_jobs(path)
    for rejected in batch.rejected:
        if "does not exist" in str(rejected.error):
            raise rejected.error
    if not any(True for job in batch.jobs for _ in job.files()):
        return None
    for rejected in batch.rejected:
        raise rejected.error
    return batch.jobs


def _packed(jobs: Sequence[Job], further: list[FilePart]) -> Packed:
    sent: dict[str, FilePart] = {}
    taken = {collision_key(part[1][0]) for part in further}
    for job in jobs:
        for _, path in job.files():
            if str(path) not in sent:
                sent[str(path)] = ("file", _part(path, path.name, taken))
    names = {path: part[1][0] for path, part in sent.items()}
    documents = [_document(job, names) for job in jobs]
    return Packed(json.dumps(documents, ensure_ascii=False), [*sent.values(), *further])


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while collision_key(candidate) in taken:
        number += 1
        candidate = f"{number}_{name}"
    taken.add(collision_key(candidate))
    return candidate


def _document(job: Job, names: dict[str, str]) -> dict[str, Any]:
    document = job.to_dict()
    bodies = [body for entity in document["entities"] for body in entity.values()]
    templates = [template for body in bodies for template in body.get("templates", ())]
    for body in (document, *bodies, *templates):
        for key in ("msa", "paired_msa", "profile", "path", "components"):
            if body.get(key) in names:
                body[key] = names[body[key]]
    return document


def _part(path: Path, name: str, taken: set[str] | None = None) -> tuple[str, bytes, str]:
    """Read a file to be sent, under a name that no other has."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            Message("cannot read {path}: {strerror}", path=path, strerror=error.strerror or error),
            hint=Message("give the path of a file"),
        ) from error
    # Large alignments are mostly the same letters; what has its own packing is left as it is.
    if len(content) > _LARGE_BYTES and path.suffix in _PACKED:
        name, content = f"{name}.gz", gzip.compress(content, 6)
    return name if taken is None else _free_name(name, taken), content, _BINARY
