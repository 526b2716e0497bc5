"""What `itda remote submit` sends, one input after the other, and what it says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

from itda.cli.output import exit_status, print_error, print_fault, print_warning, seconds_shown
from itda.errors import CapabilityError, InputError
from itda.language import Message

if TYPE_CHECKING:
    from itda.inputs import Inputs
    from itda.wire import JobView, RecordUnderstood, Submitted, Understood

Answered = TypeVar("Answered")


def send_each(inputs: Inputs, send: Callable[[str | Path], Answered]) -> tuple[list[Answered], int]:
    """Send each input; return the answers, and how many inputs gave none.

    Raises:
        ItdaError: The only input gives no answer, or the server cannot be asked.
    """
    from itda.inputs import Refused

    answers: list[Answered] = []
    for source in inputs.sources:
        try:
            if isinstance(source, Refused):
                raise source.error
            answers.append(send(_input(source)))
        except (InputError, CapabilityError) as error:
            if len(inputs.sources) == 1:
                raise
            print_error(error, name=source.named if isinstance(source, Refused) else source)
    return answers, len(inputs.sources) - len(answers)


def with_neighbours(
    source: str | Path, files: Sequence[Path], msa: str | None, model: str
) -> list[Path]:
    """Add to the files that are sent the alignments beside an input, and say so."""
    from itda.engine.inputs import neighbours_of
    from itda.models.registry import FAMILIES, get_family

    sent = list(files)
    if isinstance(source, Path):
        family = get_family(model) if model in FAMILIES else None
        for path in neighbours_of(source, msa=msa, family=family):
            if path.name not in {one.name for one in sent}:
                sent.append(path)
                print_warning(
                    Message(
                        "{path} beside {source} is sent with it ({--msa:none}: without)",
                        path=path.name,
                        source=source,
                    )
                )
    return sent


class Submitting:
    """Says what became of each submission, and keeps its jobs.

    Attributes:
        jobs: Those that are queued.
        total: How many records were sent.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.jobs: list[JobView] = []
        self.total = 0
        self._as_json = as_json
        self._quiet = quiet

    def show(self, submitted: Submitted) -> None:
        """Say what became of one input."""
        taken = {job.name for job in self.jobs}
        for job in submitted.jobs:
            if not self._quiet:
                typer.echo(f"{job.id}  {job.name}")
            if job.name in taken:
                print_warning(
                    Message(
                        "{job}: another file has a record of this name; itda remote fetch "
                        "{job_id} {--out:DIR} keeps their results apart",
                        job=job.name,
                        job_id=job.id,
                    )
                )
        if self._as_json:
            typer.echo(submitted.model_dump_json(indent=2))
        for record in submitted.rejected:
            _say_rejected(record)
        self.jobs += submitted.jobs
        self.total += len(submitted.jobs) + len(submitted.rejected)


def show_plans(plans: Sequence[Understood], failed: int, json_output: bool) -> NoReturn:
    """Show what each input would cost, and leave."""
    for found in plans:
        if json_output:
            typer.echo(found.model_dump_json(indent=2))
            continue
        for line in _plan_lines(found):
            typer.echo(line)
        for fault in (*found.problems, *(r.error for r in found.records if r.error)):
            print_fault(fault)
    good = [found for found in plans if not found.problems]
    total = sum(found.total for found in good) + failed + len(plans) - len(good)
    raise typer.Exit(exit_status(sum(found.accepted for found in good), max(total, 1)))


def _plan_lines(found: Understood) -> Iterator[str]:
    from itda.cost.memory import bytes_shown

    for record in found.records:
        cost = ""
        if record.seconds is not None:
            cost = f"  {seconds_shown(record.seconds)}, {bytes_shown(record.bytes or 0)}"
        yield f"{record.name or f'record {record.index}'}  {record.residues} residues{cost}"
    if found.total > len(found.records):
        yield f"and {found.total - len(found.records):,} more records"
    for family in found.families:
        word = "all" if family.can else f"{family.able} of {family.of}"
        yield f"{family.name}: {word}" + ("" if family.available else ", without weights here")
    when = found.starts_in_seconds
    starts = "nobody knows when" if when is None else f"in about {seconds_shown(when)}"
    yield f"{found.accepted} to fold in {seconds_shown(found.seconds)}; would start {starts}"


def _input(source: str) -> str | Path:
    if source == "-":
        content = typer.get_binary_stream("stdin").read()
        try:
            return content.decode("utf-8")
        except UnicodeError as error:
            raise InputError(
                Message("standard input is not text"), hint=Message("give a file")
            ) from error
    return Path(source)


def _say_rejected(record: RecordUnderstood) -> None:
    if record.error is not None:
        print_fault(record.error)
