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

from itda.cli.estimate import Costs, Estimate
from itda.cli.output import print_error, print_problem, print_warning, seconds_shown
from itda.engine.events import (
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
    describe_error,
)
from itda.errors import ItdaError

if TYPE_CHECKING:
    from rich.progress import Progress

    from itda.engine.result import Result

_LINE_EVERY_SECONDS = 10.0


def scores_shown(result: Result) -> str:
    """Return the scores of a result for people; one that its family does not give is left out."""
    ptm = "" if result.ptm is None else f", pTM {result.ptm:.2f}"
    return f"pLDDT {result.mean_plddt:.1f}{ptm}"


class View:
    """Shows a run as plain lines on standard error.

    Args:
        costs: The work ahead.
    """

    def __init__(self, costs: Costs) -> None:
        self._estimate = Estimate(costs)
        self._spoke = time.monotonic()
        self._place = ""

    def show(self, event: Event) -> None:
        """Show an event."""
        self._estimate.show(event)
        match event:
            case JobStarted():
                self._place = f"[{event.position}/{event.total}] {event.job}"
                self.started(event)
            case StageProgress():
                self.progressed(event)
            case StageFinished():
                self.stage_finished(event)
            case JobWarned():
                print_warning(f"{event.job}: {event.message}")
            case JobFailed():
                show_failure(event)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        self._estimate.show(event)
        result = event.result
        how = "found again" if result.cached else seconds_shown(result.seconds)
        self._say(f"{self._place}: {scores_shown(result)}, {how}")

    def end(self, summary: Mapping[str, Any]) -> None:
        """Show how the run ended."""

    def started(self, event: JobStarted) -> None:
        """Show that a job is next."""
        self._say(f"{self._place}: folding")

    def stage_finished(self, event: StageFinished) -> None:
        """Show what came of a stage, where it says so."""
        if event.message:
            how = "found again" if event.cached else seconds_shown(event.seconds)
            self._say(f"{self._place}: {event.stage}: {event.message}, {how}")

    def progressed(self, event: StageProgress) -> None:
        """Show how far a job is, now and then."""
        if event.fraction >= 1 or time.monotonic() - self._spoke < _LINE_EVERY_SECONDS:
            return
        stage = "" if event.stage == "predict" else f"{event.stage} "
        left = self._left(event.stage)
        place = f"{self._place}: " if self._place else ""
        self._say(
            f"{place}{stage}{event.fraction:.0%} {event.message}".rstrip()
            + (f", {left}" if left else "")
        )

    def _say(self, line: str) -> None:
        self._spoke = time.monotonic()
        typer.echo(line, err=True)

    def _left(self, stage: str) -> str:
        """Return how long it will take; of the stage alone while no more can be said."""
        whole = self._estimate.seconds_left
        if whole is not None:
            return f"about {seconds_shown(whole)} left for all"
        part = self._estimate.stage_seconds_left
        return f"about {seconds_shown(part)} left for {stage}" if part is not None else ""


class BarView(View):
    """Shows a run as one bar: the job, its stage, per cent and time left."""

    def __init__(self, costs: Costs, bar: Progress) -> None:
        super().__init__(costs)
        self._bar = bar
        self._task = bar.add_task("", total=1.0, stage="reading weights", left="")

    def show(self, event: Event) -> None:
        """Show an event."""
        super().show(event)
        if isinstance(event, StageStarted):
            self._bar.update(self._task, stage=event.stage)
        elif isinstance(event, JobFailed):
            self._bar.update(self._task, completed=self._estimate.fraction)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        super().finished(event, files)
        self._bar.update(self._task, completed=self._estimate.fraction)

    def started(self, event: JobStarted) -> None:
        """Show that a job is next."""
        self._bar.update(self._task, description=self._place, stage="")

    def progressed(self, event: StageProgress) -> None:
        """Move the bar."""
        said = event.message or event.stage
        self._bar.update(
            self._task,
            completed=self._estimate.fraction,
            stage=said if event.stage == "predict" else f"{event.stage}: {said}",
            left=self._left(event.stage),
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
def choose_view(costs: Costs, *, json_lines: bool) -> Iterator[View]:
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
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[stage]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
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
