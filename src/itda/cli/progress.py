"""What a run looks like: a bar on a terminal, lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from itda.cli.estimate import Costs, Estimate, Seconds
from itda.cli.output import (
    print_error,
    print_problem,
    print_verdict,
    print_warning,
    seconds_shown,
)
from itda.cli.progress_style import ProgressStyle
from itda.engine.events import (
    Event,
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.errors import ItdaError, describe_error
from itda.language import COMMAND_LINE, Message, chosen_language
from itda.results.choice import choice_told

if TYPE_CHECKING:
    from rich.progress import Progress

    from itda.results.result import Result

_LINE_EVERY_SECONDS = 10.0
_NAME_LENGTH = 36

MOST_IN_FULL = 8
"""Records of a run up to which each verdict is said in full; the pages hold all of them."""


def scores_shown(result: Result) -> str:
    """Return the scores of a result for people; one that its family does not give is left out."""
    scores = {"pTM": result.ptm, "ipTM": result.best.iptm}
    given = [f", {name} {score:.2f}" for name, score in scores.items() if score is not None]
    return f"pLDDT {result.mean_plddt:.1f}{''.join(given)}"


class View:
    """Shows a run as plain lines on standard error.

    Args:
        costs: The work ahead.
        seconds: What it is predicted to take, by job and stage.
    """

    def __init__(self, costs: Costs, seconds: Seconds | None = None) -> None:
        self._estimate = Estimate(costs, seconds)
        self._spoke = time.monotonic()
        self._places: dict[str, str] = {}
        self._said: dict[tuple[str, str], str] = {}
        self._total = 0
        self._ended = 0

    def show(self, event: Event) -> None:
        """Show an event."""
        self._estimate.show(event)
        match event:
            case JobStarted():
                self._total = event.total
                self._places[event.job] = f"[{event.position}/{event.total}] {event.job}"
                self.started(event)
            case StageProgress():
                self._said[event.stage, event.job] = event.message
                self.progressed(event)
            case StageFinished():
                self._said.pop((event.stage, event.job), None)
                self.stage_finished(event)
            case JobWarned():
                print_warning(Message("{job}: {message}", job=event.job, message=event.message))
            case JobFailed():
                self._end(event.job)
                show_failure(event)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        self._estimate.show(event)
        place = self._end(event.job)
        result = event.result
        how = "found again" if result.cached else seconds_shown(result.seconds)
        self._say(f"{place}: {scores_shown(result)}, {how}")
        self._judge(result)
        chosen = choice_told(result)
        if chosen is not None and self._total <= MOST_IN_FULL:
            self._say(f"  {chosen.said(COMMAND_LINE, chosen_language())}")

    def _judge(self, result: Result) -> None:
        """Say the verdict: in full where few records are folded, else in its first sentence."""
        most = None if self._total <= MOST_IN_FULL else 1
        print_verdict(result.verdict, most=most)

    def end(self, summary: Mapping[str, Any]) -> None:
        """Show how the run ended."""

    def started(self, event: JobStarted) -> None:
        """Show that a job is next; of those that begin beside others, the end is enough."""
        if len(self._places) == 1:
            self._say(f"{self._places[event.job]}: folding")

    def stage_finished(self, event: StageFinished) -> None:
        """Show what came of a stage, where it says so."""
        if event.message:
            how = "found again" if event.cached else seconds_shown(event.seconds)
            self._say(f"{self._place(event.job)}: {event.stage}: {event.message}, {how}")

    def progressed(self, event: StageProgress) -> None:
        """Show how far the work is, now and then."""
        if event.fraction >= 1 or time.monotonic() - self._spoke < _LINE_EVERY_SECONDS:
            return
        stage = self._shown_stage(event.stage)
        jobs = self._estimate.jobs_in(stage) or [event.job]
        doing = "" if stage == "predict" else f"{stage} "
        line = (
            f"{self._who(jobs)}: {doing}{self._estimate.stage_fraction(stage):.0%} "
            f"{self._doing(stage, jobs)}"
        ).rstrip()
        left = self._left(stage)
        self._say(f"{line}, {left}" if left else line)

    def _shown_stage(self, stage: str) -> str:
        """Return the stage to speak of: the model goes before what runs beside it."""
        return "predict" if self._estimate.jobs_in("predict") else stage

    def _doing(self, stage: str, jobs: Sequence[str]) -> str:
        """Return what most of the jobs are at, by their own words."""
        said = Counter(self._said.get((stage, job), "") for job in jobs)
        return said.most_common(1)[0][0]

    def _who(self, jobs: Sequence[str]) -> str:
        """Return a name for the jobs of which there is talk."""
        return self._place(jobs[0]) if len(jobs) == 1 else f"{len(jobs)} jobs"

    def _place(self, job: str) -> str:
        return self._places.get(job, job)

    def _end(self, job: str) -> str:
        for key in [key for key in self._said if key[1] == job]:
            del self._said[key]
        if job in self._places:
            self._ended += 1
        return self._places.pop(job, job)

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
    """Shows a run as one bar: the job or how many, the stage, per cent and time left."""

    def __init__(self, costs: Costs, bar: Progress, seconds: Seconds | None = None) -> None:
        super().__init__(costs, seconds)
        self._bar = bar
        self._task = bar.add_task("", total=1.0, stage="reading weights", left="")

    def show(self, event: Event) -> None:
        """Show an event."""
        super().show(event)
        if isinstance(event, StageStarted | StageProgress):
            self._draw(event.job, event.stage)
        elif isinstance(event, JobFailed):
            self._bar.update(self._task, completed=self._estimate.fraction)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        super().finished(event, files)
        self._bar.update(self._task, completed=self._estimate.fraction)

    def started(self, event: JobStarted) -> None:
        """Show that a job is next; of those that begin beside others, the bar tells."""
        if len(self._places) == 1:
            self._bar.update(self._task, description=_shortened(self._place(event.job)), stage="")

    def progressed(self, event: StageProgress) -> None:
        """Leave it to the bar, which is drawn after each event."""

    def _draw(self, job: str, stage: str) -> None:
        if stage == "validity" and len(self._places) > 1:
            return  # over at once, for one job of a batch after the other
        stage = self._shown_stage(stage)
        jobs = self._estimate.jobs_in(stage) or [job]
        doing = self._doing(stage, jobs) or stage
        if stage != "predict" and doing != stage:
            doing = f"{stage}: {doing}"
        who = _shortened(self._who(jobs))
        if len(jobs) > 1:
            who = f"{who}, {self._ended} of {self._total} done"
            doing = f"{doing} {self._estimate.stage_fraction(stage):.0%}"
        self._bar.update(
            self._task,
            description=who,
            completed=self._estimate.fraction,
            stage=doing,
            left=self._left(stage),
        )


class QuietView(View):
    """Shows problems and nothing else."""

    def show(self, event: Event) -> None:
        """Show an event that is a problem."""
        if isinstance(event, JobFailed | JobWarned):
            super().show(event)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Say nothing, but of a fold that is not to be trusted."""
        if event.result.verdict.level == "untrusted":
            said = event.result.verdict.sentences[0].message
            print_warning(Message("{job}: {message}", job=event.job, message=said))


class JsonView(View):
    """Writes every event to standard output as one JSON object a line.

    Each has `event`, `job` and `time`; see `itda.engine.events` for the other fields. The first and
    the last of a job have `source`, the file that it stands in. A `stage_progress` has
    `remaining_seconds` as well: until the whole run is done, null while that is not known. The last
    line is `run_finished` with `status`, `exit_status`, `done`, `total` and `folder`, or
    `run_failed` with `error`. Problems stand on standard error as well.

    Args:
        costs: The work ahead.
        seconds: What it is predicted to take, by job and stage.
        sources: The file that each job stands in.
    """

    def __init__(
        self,
        costs: Costs,
        seconds: Seconds | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(costs, seconds)
        self._sources = sources or {}

    def show(self, event: Event) -> None:
        """Show an event."""
        line = event.to_dict()
        if isinstance(event, JobStarted | JobFailed):
            told = event.source if isinstance(event, JobFailed) else ""
            line["source"] = told or self._sources.get(event.job, "")
        if isinstance(event, JobFailed | JobWarned):
            write_json_line(line)
            super().show(event)
            return
        self._estimate.show(event)
        if isinstance(event, StageProgress):
            left = self._estimate.seconds_left
            line["remaining_seconds"] = None if left is None else round(left, 1)
        write_json_line(line)

    def finished(self, event: JobFinished, files: list[Path]) -> None:
        """Show that a job is done and its files written."""
        self._estimate.show(event)
        line = {**event.to_dict(), "files": [str(path) for path in files]}
        line["source"] = self._sources.get(event.job, "")
        write_json_line(line)

    def end(self, summary: Mapping[str, Any]) -> None:
        """Show how the run ended."""
        write_json_line({"event": "run_finished", **summary})


@contextlib.contextmanager
def choose_view(
    costs: Costs,
    *,
    style: ProgressStyle | str = ProgressStyle.AUTO,
    seconds: Seconds | None = None,
    json_lines: bool = False,
    sources: Mapping[str, str] | None = None,
) -> Iterator[View]:
    """Give the view of a style; of `auto`, the one that suits where the output goes.

    Args:
        costs: The work ahead.
        style: `auto`, `bar`, `lines`, `json` or `none`.
        seconds: What the work is predicted to take, by job and stage.
        json_lines: The same as the style `json`.
        sources: The file that each job stands in, for programs.
    """
    style = ProgressStyle.JSON if json_lines else ProgressStyle(style)
    if style is ProgressStyle.AUTO:
        style = ProgressStyle.BAR if sys.stderr.isatty() else ProgressStyle.LINES
    match style:
        case ProgressStyle.JSON:
            with failures_told(style):
                yield JsonView(costs, seconds, sources)
        case ProgressStyle.NONE:
            yield QuietView(costs, seconds)
        case ProgressStyle.LINES:
            yield View(costs, seconds)
        case _:
            with _bar() as bar:
                yield BarView(costs, bar, seconds)


@contextlib.contextmanager
def failures_told(style: ProgressStyle) -> Iterator[None]:
    """Let a program that reads JSON lines read what stopped a run as well."""
    try:
        yield
    except ItdaError as error:
        if style is ProgressStyle.JSON:
            write_json_line({"event": "run_failed", "error": describe_error(error)})
        raise


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    def text(field: str) -> TextColumn:
        # A name of any length must not push the time left out of the terminal.
        column = Column(no_wrap=True, overflow="ellipsis")
        return TextColumn(f"{{task.{field}}}", markup=False, table_column=column)

    return Progress(
        text("description"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        text("fields[stage]"),
        text("fields[left]"),
        console=Console(stderr=True, force_terminal=True),
        transient=True,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 1] + "…"


def show_failure(event: JobFailed) -> None:
    """Print why a job was not done."""
    if isinstance(event.error, ItdaError):
        print_error(event.error, name=event.job)
    else:
        print_problem(
            Message(
                "{job}: unexpected {error}",
                job=event.job,
                error=describe_error(event.error)["problem"],
            )
        )


def write_json_line(value: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
