"""`itda plan`: what each job of an input needs, and whether it fits, before it is folded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from itda.cli.groups import spread
from itda.cli.options import AsJson, Device, Inputs, Memory, RunArguments
from itda.cli.output import exit_status, print_hint, print_warning, seconds_shown
from itda.errors import ItdaError

if TYPE_CHECKING:
    from itda.cli.asked import Asked
    from itda.cost.predictor import Predictor
    from itda.job.sizes import JobSize


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is said of one record.

    Attributes:
        name: Of the job, as the input has it.
        position: Its place in the input, from 1.
        residues: Of all chains; None where the record could not be read.
        tokens: Residues, nucleotides, and atoms of ligands and modified residues; None likewise.
        bytes: Peak memory; of a refused job what it would need.
        seconds: Of all its seeds and samples; None where it is refused.
        verdict: `runs`, `runs frugally`, or `refused`.
        samples: Folds that are counted: of its seeds and samples, or sets of templates.
        template_sets: Most candidate sets of templates that it is folded after.
        problem: Why it is refused.
        hint: What would work.
        source: The file that it stands in.
    """

    name: str
    position: int
    residues: int | None = None
    tokens: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    verdict: str = "refused"
    samples: int | None = None
    template_sets: int = 1
    problem: str | None = None
    hint: str | None = None
    source: str = ""

    @property
    def fits(self) -> bool:
        """Whether it will be folded."""
        return self.verdict != "refused"


@spread
def plan(
    sources: Inputs,
    run: RunArguments,
    device: Device = "auto",
    memory: Memory = None,
    json_output: AsJson = False,
) -> None:
    """Say what `itda fold` of the same input would need, and what would not fit.

    With the same options it admits what `itda fold` admits. Nothing is folded or searched, and no
    weights are read. `itda bench calibrate` measures this machine; until then constants of a
    shipped table are used, and that is told.

    Exit status: 0 all jobs fit, 1 none, 2 some.
    """
    from itda.cli.asked import ask

    asked = ask(sources, run.options(), device=device, memory=memory)
    for note in asked.notes:
        print_warning(note)
    predictor = asked.engine.predictor(asked.plan.settings)
    lines = lines_of(asked)
    if json_output:
        typer.echo(json.dumps(document(lines, predictor), indent=2, ensure_ascii=False))
    else:
        _print(lines, predictor)
    fitting = sum(line.fits for line in lines)
    raise typer.Exit(exit_status(fitting, len(lines)))


def lines_of(asked: Asked) -> list[Line]:
    """Say of every record of an input, in its order, what becomes of it."""
    from itda.job.sizes import size_of

    sizes = {job.name: size_of(job) for job in asked.batch.jobs}
    lines = [_refused(name, place, sizes.get(name), error) for name, place, error in asked.rejected]
    for position, refusal in asked.plan.refusals:
        lines.append(_refused(refusal.job, position, sizes.get(refusal.job), refusal.error))
    for request in asked.plan.requests:
        assert request.admission is not None
        lines.append(
            Line(
                name=request.job.name,
                position=request.position,
                residues=sizes[request.job.name].residues,
                tokens=sizes[request.job.name].tokens,
                bytes=request.admission.cost.bytes,
                seconds=request.admission.cost.seconds * len(request.job.seeds),
                verdict=request.admission.verdict,
                samples=len(request.job.seeds) * request.job.samples,
                template_sets=min(request.sets, request.job.samples),
            )
        )
    sources = asked.batch.sources
    lines = [replace(line, source=sources[line.position]) for line in lines]
    return sorted(lines, key=lambda line: line.position)


def _refused(name: str, position: int, size: JobSize | None, error: Exception) -> Line:
    return Line(
        name=name,
        position=position,
        residues=None if size is None else size.residues,
        tokens=None if size is None else size.tokens,
        bytes=getattr(error, "needed_bytes", None),
        problem=error.problem if isinstance(error, ItdaError) else str(error),
        hint=(error.hint or None) if isinstance(error, ItdaError) else None,
    )


def document(lines: list[Line], predictor: Predictor) -> dict[str, Any]:
    """Return all that is said, as JSON holds it."""
    return {
        "model": predictor.family.name,
        "device": predictor.device,
        "device_name": predictor.described.shown,
        "memory": {"bytes": predictor.room.bytes, "told": predictor.room.shown},
        "constants": {
            "origin": predictor.calibration.origin,
            "told": predictor.calibration.shown,
        },
        "jobs": [asdict(line) for line in lines],
        "total": {
            "jobs": len(lines),
            "fit": sum(line.fits for line in lines),
            "start_seconds": predictor.start_seconds,
            "seconds": _total_seconds(lines, predictor),
            "bytes": max((line.bytes or 0 for line in lines if line.fits), default=0),
        },
    }


def _total_seconds(lines: list[Line], predictor: Predictor) -> float:
    fitting = [line.seconds or 0.0 for line in lines if line.fits]
    return sum(fitting) + (predictor.start_seconds if fitting else 0.0)


def _print(lines: list[Line], predictor: Predictor) -> None:
    from itda.cost.memory import bytes_shown

    widest = min(40, max((len(line.name) for line in lines), default=0))
    for line in lines:
        residues = "" if line.residues is None else f"{line.residues} residues"
        if line.tokens != line.residues:
            residues = f"{line.tokens} tokens"
        needed = "" if line.bytes is None else bytes_shown(line.bytes)
        seconds = "" if line.seconds is None else seconds_shown(line.seconds)
        verdict = line.verdict
        if line.problem is not None:
            verdict += ": " + " ".join(line.problem.removeprefix(f"job {line.name!r}: ").split())
        if line.template_sets > 1:
            verdict += f", up to {line.template_sets} sets of templates"
        name = line.name if len(line.name) <= widest else line.name[: widest - 1] + "…"
        typer.echo(f"{name:<{widest}}  {residues:>13}  {needed:>8}  {seconds:>12}  {verdict}")
    for hint in dict.fromkeys(line.hint for line in lines if line.hint):
        print_hint(hint)
    total = document(lines, predictor)["total"]
    said = f"{total['fit']} of {total['jobs']} fit"
    if total["fit"]:
        said += (
            f", at most {bytes_shown(total['bytes'])}, one after the other in about "
            f"{seconds_shown(total['seconds'])}"
        )
        if any(line.template_sets > 1 for line in lines):
            said += " beside the searches"
    typer.echo(f"{said}; {predictor.family.name} on {predictor.device}: {predictor.room.shown}")
    typer.echo(f"constants: {predictor.calibration.shown}")
