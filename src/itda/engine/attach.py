"""Puts alignments and profiles that stand beside an input into the jobs they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from itda.errors import InputError, ItdaError
from itda.job.entities import Molecule, Protein
from itda.job.fields import NO_ALIGNMENT
from itda.job.model import Job
from itda.language import Message

_ALIGNMENTS = (".a3m", ".sto", ".stk", ".afa", ".fasta", ".fa")
SUFFIXES = {
    "msa": (*_ALIGNMENTS, *(f"{suffix}.gz" for suffix in _ALIGNMENTS)),
    "profile": (".tsv", ".csv", ".txt"),
}


def attach(
    jobs: Sequence[Job], field: str, path: Path | None
) -> tuple[list[Job], dict[str, ItdaError]]:
    """Give each job its file.

    Args:
        jobs: All jobs of the input.
        field: `msa` or `profile`.
        path: One file where there is one job of one protein, or a folder that has one for each job,
            called by the job's name; for a job of several proteins one for each, called by the
            job's name, `_` and the protein's first chain id.

    Returns:
        The jobs, and by name the error of each job whose file is missing; those are as they were.

    Raises:
        InputError: There is nothing at `path`, or one file and several jobs.
    """
    if path is None:
        return list(jobs), {}
    if not path.exists():
        raise InputError(
            Message("{field} {path}: there is no such file", field=field, path=path),
            hint=Message("give a file, or a folder of files"),
        )
    if not path.is_dir() and len(jobs) > 1:
        some = ", ".join(job.name for job in jobs[:5]) + (", …" if len(jobs) > 5 else "")
        raise InputError(
            Message(
                "{field} {path}: one file for {count} records ({some})",
                field=field,
                path=path,
                count=len(jobs),
                some=some,
            ),
            hint=Message(
                "give a folder with a file for each record, called NAME{suffixes}",
                suffixes=SUFFIXES[field][0],
            ),
        )
    attached: list[Job] = []
    errors: dict[str, ItdaError] = {}
    for job in jobs:
        try:
            attached.append(_with_files(job, field, path))
        except ItdaError as error:
            attached.append(job)
            errors[job.name] = error
    return attached, errors


def _with_files(job: Job, field: str, path: Path) -> Job:
    proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
    if not proteins or (len(proteins) > 1 and not path.is_dir()):
        raise InputError(
            Message(
                "job {job!r}: a {field} file is for a job with one protein; this has {count}",
                job=job.name,
                field=field,
                count=len(proteins),
            ),
            hint=Message(
                "write `{field}:` under each protein of a YAML job, or give a folder with a "
                "file for each, called NAME_CHAIN{suffixes}",
                field=field,
                suffixes=SUFFIXES[field][0],
            ),
        )
    if any(getattr(protein, field) == NO_ALIGNMENT for protein in proteins):
        raise InputError(
            Message(
                "job {job!r}: says `{field}: none` and is given one", job=job.name, field=field
            ),
            hint=Message("leave one of the two out"),
        )
    if any(getattr(protein, field) is not None for protein in proteins):
        raise InputError(
            Message("job {job!r}: names a {field} and is given another", job=job.name, field=field),
            hint=Message("leave one of the two out"),
        )
    entities: list[Molecule] = []
    for entity in job.entities:
        if isinstance(entity, Protein):
            stem = job.file_stem if len(proteins) == 1 else f"{job.file_stem}_{entity.ids[0]}"
            file = _find(job, field, path, stem) if path.is_dir() else path
            entities.append(entity.replace(**{field: file.absolute()}))
        else:
            entities.append(entity)
    replaced: Job = job.replace(entities=tuple(entities))
    return replaced


def _find(job: Job, field: str, folder: Path, stem: str) -> Path:
    names = [stem + suffix for suffix in SUFFIXES[field]]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            Message(
                "job {job!r}: {field} {folder}: holds both {found} and {found_name}",
                job=job.name,
                field=field,
                folder=folder,
                found=found[0].name,
                found_name=found[1].name,
            ),
            hint=Message("leave one file for each record"),
        )
    raise InputError(
        Message(
            "job {job!r}: {field} {folder}: holds no file for it",
            job=job.name,
            field=field,
            folder=folder,
        ),
        hint=Message(
            "name it {names} (also {suffixes:,}), or fold this record without {field}",
            names=names[0],
            suffixes=SUFFIXES[field][1:],
            field=field,
        ),
    )
