"""How the command line speaks: problems with their hints on standard error."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from itda.errors import ItdaError, retold
from itda.language import COMMAND_LINE, Message, chosen_language, said
from itda.store.paths import cache_folder

if TYPE_CHECKING:
    from itda.confidence.trust import Level
    from itda.results.verdict import Verdict
    from itda.wire import Fault, JobError


def say(text: str) -> str:
    """Return a text as this terminal's user reads it."""
    return said(text, COMMAND_LINE, chosen_language())


def print_problem(problem: str, *, hint: str = "") -> None:
    """Print `error: …` and, where there is one, `hint: …` on standard error."""
    typer.secho(say(Message("error: ")), fg=typer.colors.RED, bold=True, err=True, nl=False)
    typer.echo(say(problem), err=True)
    print_hint(hint)


def print_fault(fault: Fault | JobError, *, start: str = "") -> None:
    """Print what a server found."""
    problem, hint = retold(fault.model_dump(), COMMAND_LINE, chosen_language())
    print_problem(start + problem, hint=hint)


def print_hint(hint: str) -> None:
    """Print `hint: …` on standard error; nothing for an empty one."""
    if hint:
        typer.secho(say(Message("  hint: ")), fg=typer.colors.CYAN, err=True, nl=False)
        typer.echo(say(hint), err=True)


def print_error(error: ItdaError, *, name: str = "") -> None:
    """Print an error that the user can mend.

    Args:
        error: What went wrong.
        name: The record it belongs to, put first where the problem does not say it.
    """
    start = f"{name}: " if name and name not in error.problem else ""
    print_problem(Message("{start}{problem}", start=start, problem=error.problem), hint=error.hint)


def print_warning(message: str) -> None:
    """Print `warning: …` on standard error."""
    typer.secho(say(Message("warning: ")), fg=typer.colors.YELLOW, err=True, nl=False)
    typer.echo(say(message), err=True)


_COLOURS: Mapping[Level, str] = {
    "trusted": typer.colors.GREEN,
    "plausible": typer.colors.YELLOW,
    "doubtful": typer.colors.YELLOW,
    "untrusted": typer.colors.RED,
}


def print_verdict(verdict: Verdict, *, most: int | None = None) -> None:
    """Print a verdict on standard error, a line for each sentence, the first in its colour.

    Args:
        verdict: Of one record.
        most: Sentences that are said; all of them unless told.
    """
    first, *others = verdict.said(COMMAND_LINE, chosen_language())[:most]
    typer.secho(f"  {first}", fg=_COLOURS[verdict.level], bold=True, err=True)
    for sentence in others:
        typer.echo(f"  {sentence}", err=True)


def print_unexpected(error: Exception) -> None:
    """Print a short message for an error of the program's own, and where its traceback is."""
    path = write_log("".join(traceback.format_exception(error)))
    told = " ".join(str(error).split())
    print_problem(
        Message(
            "unexpected {name}{what}{said}",
            name=type(error).__name__,
            what=": " if told else "",
            said=told,
        ),
        hint=Message("this is a fault of Itda; the details are in {path}", path=path)
        if path
        else "",
    )


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of cells, the first of them the titles, in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def exit_status(done: int, total: int) -> int:
    """Return 0 where all is done, 1 where none is, and 2 where some is.

    Example:
        >>> exit_status(3, 3), exit_status(0, 3), exit_status(2, 3), exit_status(0, 0)
        (0, 1, 2, 0)
    """
    if done == total:
        return 0
    return 2 if done else 1


def write_log(text: str) -> Path | None:
    """Keep the details of an unexpected error in a file of its own; None where none can be made."""
    now = datetime.now(UTC)
    name = f"itda-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    for folder in (cache_folder() / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return None


def seconds_shown(seconds: float) -> str:
    """Return a length of time for people.

    Example:
        >>> seconds_shown(4.26), seconds_shown(75), seconds_shown(3700)
        ('4.3 s', '1 min 15 s', '1 h 01 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
