"""What a run looks like: a bar on a terminal, lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from itda.cli.output import print_error, print_problem, print_warning, seconds_shown
from itda.engine.events import (
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageProgress,
    StageStarted,
    describe_error,
)
from itda.errors import ItdaError

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_EVERY_SECONDS = 10.0


class View:
    """Shows a run as plain lines on standard error.

    Args:
        costs: How long each job takes in proportion to the others, by name.
    """

    def __init__(self, costs: Mapping[str, float]) -> None:
        self._costs = costs
        self._began = time.monotonic()
        self._spoke = self._began
        self._cost_done = 0.0
        self._place = ""

    def show(self, event: Event) -> None:
        """Show an event."""
        match event:
            case JobStarted():
                self._place = f"[{event.position}/{event.total}] {event.job}"
                self.started(event)
            case StageProgress():
                self.progressed(event)
            case JobWarned():
                print_warning(f"{event.job}: {event.message}")
            case JobFailed():
                if not event.refused:
                    self._cost_done += self._costs.get(event.job, 0.0)
                show_failure(event)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        self._cost_done += self._costs.get(event.job, 0.0)
        result = event.result
        how = "found again" if result.cached else seconds_shown(result.seconds)
        self._say(f"{self._place}: pLDDT {result.mean_plddt:.1f}, pTM {result.ptm:.2f}, {how}")

    def end(self, summary: Mapping[str, Any]) -> None:
        """Show how the run ended."""

    def started(self, event: JobStarted) -> None:
        """Show that a job is next."""
        self._say(f"{self._place}: folding")

    def progressed(self, event: StageProgress) -> None:
        """Show how far a job is, now and then."""
        if event.fraction >= 1 or time.monotonic() - self._spoke < _LINE_EVERY_SECONDS:
            return
        left = self._seconds_left(event)
        self._say(
            f"{self._place}: {event.fraction:.0%} {event.message}".rstrip()
            + (f", about {seconds_shown(left)} left for all" if left is not None else "")
        )

    def _say(self, line: str) -> None:
        self._spoke = time.monotonic()
        typer.echo(line, err=True)

    def _cost_so_far(self, event: StageProgress) -> float:
        share = event.fraction if event.stage == "predict" else 1.0
        return self._cost_done + share * self._costs.get(event.job, 0.0)

    def _seconds_left(self, event: StageProgress) -> float | None:
        done = self._cost_so_far(event)
        if done <= 0:
            return None
        return (time.monotonic() - self._began) * (sum(self._costs.values()) - done) / done


class BarView(View):
    """Shows a run as one bar: the job, its stage, per cent and time left."""

    def __init__(self, costs: Mapping[str, float], bar: Progress) -> None:
        super().__init__(costs)
        self._bar = bar
        self._task = bar.add_task("", total=max(sum(costs.values()), 1.0), stage="reading weights")

    def show(self, event: Event) -> None:
        """Show an event."""
        super().show(event)
        if isinstance(event, StageStarted):
            self._bar.update(self._task, stage=event.stage)
        elif isinstance(event, JobFailed):
            self._bar.update(self._task, completed=self._cost_done)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        super().finished(event, files)
        self._bar.update(self._task, completed=self._cost_done)

    def started(self, event: JobStarted) -> None:
        """Show that a job is next."""
        self._bar.update(self._task, description=self._place, stage="")

    def progressed(self, event: StageProgress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task, completed=self._cost_so_far(event), stage=event.message or event.stage
        )


class JsonView(View):
    """Writes every event to standard output as one JSON object a line.

    Each has `event`, `job` and `time`; see `itda.engine.events` for the other fields. The last line
    is `run_finished` with `status`, `exit_status`, `done`, `total` and `folder`, or `run_failed`
    with `error`. Problems stand on standard error as well.
    """

    def show(self, event: Event) -> None:
        """Show an event."""
        write_json_line(event.to_dict())
        if isinstance(event, JobFailed | JobWarned):
            super().show(event)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        write_json_line({**event.to_dict(), "files": [str(path) for path in files]})

    def end(self, summary: Mapping[str, Any]) -> None:
        """Show how the run ended."""
        write_json_line({"event": "run_finished", **summary})


@contextlib.contextmanager
def choose_view(costs: Mapping[str, float], *, json_lines: bool) -> Iterator[View]:
    """Give the view that suits where the output goes."""
    if json_lines:
        try:
            yield JsonView(costs)
        except ItdaError as error:
            write_json_line({"event": "run_failed", "error": describe_error(error)})
            raise
        return
    if not sys.stderr.isatty():
        yield View(costs)
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
        TextColumn("{task.fields[stage]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield BarView(costs, bar)


def show_failure(event: JobFailed) -> None:
    """Print why a job was not done."""
    if isinstance(event.error, ItdaError):
        print_error(event.error, name=event.job)
    else:
        print_problem(f"{event.job}: unexpected {describe_error(event.error)['problem']}")


def write_json_line(value: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
