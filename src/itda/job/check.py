"""Checks of a job that look outside it: the files that it names and the codes of the CCD."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from itda.errors import InputError
from itda.job.components import check_components
from itda.job.model import Job
from itda.job.problems import placed, shown, shown_path
from itda.language import Message


def check_job(job: Job) -> list[str]:
    """Check that each file is there and that each CCD code and named atom is known.

    Args:
        job: A job, checked already in itself.

    Returns:
        What is allowed but looks like a slip.

    Raises:
        InputError: A file, code or atom is not there; the text names job, field and rule.
    """
    try:
        for field, path in job.files():
            if problem := _unreadable(path):
                raise InputError(
                    Message(
                        "{field}: {path} {problem}",
                        field=field,
                        path=shown_path(path),
                        problem=problem,
                    ),
                    hint=Message("give the path of a file, relative to the folder of the job file"),
                )
        needs_dictionary = bool(job.bonds or job.constraints) or any(
            True for entity in job.entities for _ in entity.ccd_codes()
        )
        return check_components(job) if needs_dictionary else []
    except InputError as error:
        where = Message("job {job}", job=shown(job.name))
        raise error.but(placed(where, error.problem)) from error


def _unreadable(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "" if os.access(path, os.R_OK) else "may not be read"
