"""Puts alignments and profiles that stand beside an input into the jobs they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from itda.errors import InputError, ItdaError
from itda.job.entities import Protein
from itda.job.model import Job

SUFFIXES = {"msa": (".a3m", ".a3m.gz"), "profile": (".tsv", ".csv", ".txt")}


def attach(
    jobs: Sequence[Job], field: str, path: Path | None
) -> tuple[list[Job], dict[str, ItdaError]]:
    """Give each job its file.

    Args:
        jobs: All jobs of the input.
        field: `msa` or `profile`.
        path: One file where there is one job, or a folder that has one for each job, called by the
            job's name.

    Returns:
        The jobs, and by name the error of each job whose file is missing; those are as they were.

    Raises:
        InputError: There is nothing at `path`, or one file and several jobs.
    """
    if path is None:
        return list(jobs), {}
    if not path.exists():
        raise InputError(
            f"{field} {path}: there is no such file", hint="give a file, or a folder of files"
        )
    if not path.is_dir() and len(jobs) > 1:
        some = ", ".join(job.name for job in jobs[:5]) + (", …" if len(jobs) > 5 else "")
        raise InputError(
            f"{field} {path}: one file for {len(jobs)} records ({some})",
            hint=f"give a folder with a file for each record, called NAME{SUFFIXES[field][0]}",
        )
    attached: list[Job] = []
    errors: dict[str, ItdaError] = {}
    for job in jobs:
        try:
            attached.append(_with_file(job, field, _file_of(job, field, path)))
        except ItdaError as error:
            attached.append(job)
            errors[job.name] = error
    return attached, errors


def _file_of(job: Job, field: str, path: Path) -> Path:
    if not path.is_dir():
        return path
    names = [job.file_stem + suffix for suffix in SUFFIXES[field]]
    found = [path / name for name in names if (path / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"job {job.name!r}: {field} {path}: holds both {found[0].name} and {found[1].name}",
            hint="leave one file for each record",
        )
    raise InputError(
        f"job {job.name!r}: {field} {path}: holds no file for it",
        hint=f"name it {' or '.join(names)}, or fold this record without {field}",
    )


def _with_file(job: Job, field: str, file: Path) -> Job:
    proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
    if len(proteins) != 1:
        raise InputError(
            f"job {job.name!r}: {field} is for a job with one protein; this has {len(proteins)}",
            hint=f"write `{field}:` under each protein of a YAML job",
        )
    (protein,) = proteins
    if getattr(protein, field) is not None:
        raise InputError(
            f"job {job.name!r}: names a {field} and is given another",
            hint="leave one of the two out",
        )
    changed = protein.replace(**{field: file.absolute()})
    entities = tuple(changed if entity is protein else entity for entity in job.entities)
    replaced: Job = job.replace(entities=entities)
    return replaced
