"""How far a download is: a bar on a terminal, lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from itda.cli.output import print_warning, seconds_shown
from itda.hub.folders import shown_bytes
from itda.language import Message

if TYPE_CHECKING:
    from itda.hub.fetch import OnTransfer, Transferred

_LINE_EVERY_SECONDS = 10.0
_EVENT_EVERY_SECONDS = 1.0


@contextmanager
def transfer_progress(title: str, *, json_lines: bool = False) -> Iterator[OnTransfer]:
    """Show bytes, rate and time left of downloads.

    Args:
        title: What is brought.
        json_lines: Whether each second a JSON object goes to standard output.

    Yields:
        What is to be told how far a download is.
    """
    if json_lines or not sys.stderr.isatty():
        yield _Lines(title, json_lines)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(event: Transferred) -> None:
            if event.note:
                bar.console.print(f"{event.file}: {event.note}", markup=False, highlight=False)
            if event.file not in tasks:
                tasks[event.file] = bar.add_task(event.file, total=event.total)
            bar.update(tasks[event.file], completed=event.done, total=event.total)

        yield show


class _Lines:
    """Writes now and then how far a download is.

    Args:
        title: What is brought.
        json_lines: Whether for programs.
    """

    def __init__(self, title: str, json_lines: bool) -> None:
        self._title = title
        self._json = json_lines
        self._file = ""
        self._spoke = self._began = 0.0
        self._first = 0

    def __call__(self, event: Transferred) -> None:
        now = time.monotonic()
        if event.file != self._file or event.done < self._first:
            self._file, self._first, self._began = event.file, event.done, now
            # A program wants to see the first; a person can wait for the second.
            self._spoke = now - (_EVENT_EVERY_SECONDS if self._json else 0)
        if event.note and not self._json:
            print_warning(Message("{file}: {note}", file=event.file, note=event.note))
        finished = event.done == event.total
        every = _EVENT_EVERY_SECONDS if self._json else _LINE_EVERY_SECONDS
        if now - self._spoke < every and not event.note and not (self._json and finished):
            return
        self._spoke = now
        seconds = now - self._began
        rate = (event.done - self._first) / seconds if seconds > 0 else 0.0
        left = (event.total - event.done) / rate if event.total and rate > 0 else None
        if self._json:
            self._write_json(event, rate, left)
        else:
            self._write_line(event, rate, left)

    def _write_json(self, event: Transferred, rate: float, left: float | None) -> None:
        content = {
            "event": "transfer",
            "set": self._title,
            "file": event.file,
            "bytes": event.done,
            "total_bytes": event.total,
            "bytes_per_second": round(rate),
            "seconds_left": None if left is None else round(left, 1),
            "note": event.note,
        }
        typer.echo(json.dumps(content, ensure_ascii=False))

    def _write_line(self, event: Transferred, rate: float, left: float | None) -> None:
        line = f"{self._title}: {event.file} {shown_bytes(event.done)}"
        if event.total:
            line += f" of {shown_bytes(event.total)}"
        if rate > 0:
            line += f", {shown_bytes(rate)}/s"
        if left:
            line += f", about {seconds_shown(left)} left"
        typer.echo(line, err=True)
