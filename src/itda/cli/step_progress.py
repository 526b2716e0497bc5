"""How far one long step is, for commands that are not runs of jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from itda.cli.output import seconds_shown
from itda.progress import Progress

_LINE_EVERY_SECONDS = 10.0


@contextmanager
def step_progress(title: str) -> Iterator[Progress]:
    """Show how far one long step is and the time left: a bar on a terminal, lines elsewhere.

    Args:
        title: What is being done.

    Yields:
        What is to be told the fraction done, 0 to 1, and the part that is being done.
    """
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[step]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0, step="")
        yield lambda fraction, step: bar.update(task, completed=fraction, step=step)


class _Lines:
    """Writes a line now and then."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = self._spoke = time.monotonic()

    def __call__(self, fraction: float, step: str) -> None:
        now = time.monotonic()
        if fraction >= 1 or now - self._spoke < _LINE_EVERY_SECONDS:
            return
        self._spoke = now
        left = ""
        if fraction > 0:
            seconds = (now - self._began) * (1 - fraction) / fraction
            left = f", about {seconds_shown(seconds)} left"
        typer.echo(f"{self._title}: {fraction:.0%} {step}{left}", err=True)
