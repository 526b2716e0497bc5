"""From a job to what the database keeps of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from itda.errors import InputError
from itda.job.model import Job
from itda.job.problems import shown
from itda.language import Message

DOCUMENT_BYTES = 2**20
"""Largest job, as JSON, that goes into the database."""


def document_of(job: Job, folder: Path) -> dict[str, Any]:
    """Return a job as JSON holds it, its files by name alone.

    Raises:
        InputError: It is too large for the database, or holds what a database cannot keep.
    """
    document = job.to_dict()
    names = {str(path): str(path.relative_to(folder)) for _, path in job.files()}
    for entity in document["entities"]:
        for body in entity.values():
            _name_files(body, ("msa", "paired_msa", "profile"), names)
            for template in body.get("templates", ()):
                _name_files(template, ("path",), names)
    _name_files(document, ("components",), names)
    try:
        _refuse_unkeepable(document)
        size = len(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError) as error:
        raise InputError(
            Message(
                "job {job}: holds what cannot be kept: {error}",
                job=shown(job.name),
                error=_reason(error),
            ),
            hint=Message("look at its `metadata`"),
        ) from error
    if size > DOCUMENT_BYTES:
        raise InputError(
            Message(
                "job {job}: takes {size} bytes; {document_bytes} are kept of a job",
                job=shown(job.name),
                size=size,
                document_bytes=DOCUMENT_BYTES,
            ),
            hint=Message("leave out `metadata`, send alignments as files, or fold it in parts"),
        )
    return document


def files_of(job: Job) -> list[str]:
    """Return the names of the files that a job names, each once."""
    return list(dict.fromkeys(path.name for _, path in job.files()))


def _name_files(body: dict[str, Any], keys: Sequence[str], names: Mapping[str, str]) -> None:
    for key in keys:
        if body.get(key) in names:
            body[key] = names[body[key]]


def _refuse_unkeepable(value: Any) -> None:
    # PostgreSQL keeps neither NUL nor numbers that are none.
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("the character NUL")
        value.encode()
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is not finite")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unkeepable(key)
            _refuse_unkeepable(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_unkeepable(inner)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "text that is not Unicode"
    return "nesting that is too deep" if isinstance(error, RecursionError) else str(error)
