"""`itda plan`: what each job of an input needs, and whether it fits, before it is folded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.options import (
    Ambiguous,
    AmbiguousChoice,
    Device,
    Input,
    Memory,
    Molecule,
    MoleculeChoice,
    Recycles,
    Samples,
    Weights,
)
from itda.cli.output import exit_status, print_hint, print_warning, seconds_shown
from itda.errors import ItdaError

if TYPE_CHECKING:
    from itda.engine.cost.predictor import Predictor
    from itda.engine.plan import Plan
    from itda.job.read import JobBatch


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is said of one record.

    Attributes:
        name: Of the job, as the input has it.
        position: Its place in the input, from 1.
        residues: Of all chains; None where the record could not be read.
        bytes: Peak memory; of a refused job what it would need.
        seconds: Of all its seeds and samples; None where it is refused.
        verdict: `runs`, `runs frugally`, or `refused`.
        problem: Why it is refused.
        hint: What would work.
    """

    name: str
    position: int
    residues: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    verdict: str = "refused"
    problem: str | None = None
    hint: str | None = None

    @property
    def fits(self) -> bool:
        """Whether it will be folded."""
        return self.verdict != "refused"


def plan(
    source: Input,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Model family; `itda models` lists them.")
    ] = "mini",
    samples: Samples = None,
    recycles: Recycles = None,
    device: Device = "auto",
    memory: Memory = None,
    weights: Weights = None,
    molecule: Molecule = MoleculeChoice.AUTO,
    ambiguous: Ambiguous = AmbiguousChoice.REFUSE,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of the lines.")
    ] = False,
) -> None:
    """Say what `itda fold` of the same input would need, and what would not fit.

    Nothing is folded, and no weights are read. `itda bench calibrate` measures this machine; until
    then constants of a shipped table are used, and that is told.

    Exit status: 0 all jobs fit, 1 none, 2 some.
    """
    from itda.engine.cost.memory import parse_bytes
    from itda.engine.cost.predictor import Predictor
    from itda.engine.device import resolve_device
    from itda.engine.inputs import read_input
    from itda.engine.plan import Settings, make_plan
    from itda.engine.weights import choose_weights
    from itda.models.registry import get_family

    family = get_family(model)
    limit = parse_bytes(memory) if memory is not None else None
    chosen = choose_weights(weights, family)
    batch = read_input(source, molecule=molecule.value, ambiguous=ambiguous.value, family=family)
    for warning in (*batch.warnings, *batch.notes):
        print_warning(str(warning))
    taken = {record.index for record in batch.rejected}
    total = len(batch.jobs) + len(batch.rejected)
    made = make_plan(
        batch.jobs,
        Settings(family, chosen, samples=samples, recycles=recycles),
        places=[place for place in range(1, total + 1) if place not in taken],
        total=total,
    )
    # Before memory is asked for, since PyTorch, which this imports, takes some.
    resolved = resolve_device(device)
    predictor = Predictor(family, resolved, limit_bytes=limit, weights=chosen)
    lines = lines_of(made, batch, predictor)
    if json_output:
        typer.echo(json.dumps(document(lines, predictor), indent=2, ensure_ascii=False))
    else:
        _print(lines, predictor)
    fitting = sum(line.fits for line in lines)
    raise typer.Exit(exit_status(fitting, len(lines)))


def lines_of(plan: Plan, batch: JobBatch, predictor: Predictor) -> list[Line]:
    """Ask about every record of an input, in its order."""
    from itda.engine.cost.loads import load_of, residues_of

    residues = {job.name: residues_of(job) for job in batch.jobs}
    lines = [
        _refused(r.name or f"record {r.index}", r.index, None, r.error) for r in batch.rejected
    ]
    for position, refusal in plan.refusals:
        lines.append(_refused(refusal.job, position, residues.get(refusal.job), refusal.error))
    for request in plan.requests:
        job = request.job
        load = load_of(job, recycles=plan.settings.recycles)
        try:
            admission = predictor.admit(load, name=job.name)
        except ItdaError as error:
            needed = predictor.cost(load).bytes
            lines.append(_refused(job.name, request.position, residues[job.name], error, needed))
            continue
        lines.append(
            Line(
                name=job.name,
                position=request.position,
                residues=residues[job.name],
                bytes=admission.cost.bytes,
                seconds=admission.cost.seconds * len(job.seeds),
                verdict=admission.verdict,
            )
        )
    return sorted(lines, key=lambda line: line.position)


def _refused(
    name: str, position: int, residues: int | None, error: Exception, needed: int | None = None
) -> Line:
    return Line(
        name=name,
        position=position,
        residues=residues,
        bytes=needed,
        problem=error.problem if isinstance(error, ItdaError) else str(error),
        hint=(error.hint or None) if isinstance(error, ItdaError) else None,
    )


def document(lines: list[Line], predictor: Predictor) -> dict[str, Any]:
    """Return all that is said, as JSON holds it."""
    return {
        "model": predictor.family.name,
        "device": predictor.device,
        "device_name": predictor.described.shown,
        "memory": {"bytes": predictor.room.bytes, "told": predictor.room.told},
        "constants": {
            "origin": predictor.calibration.origin,
            "told": predictor.calibration.told,
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
    from itda.engine.cost.memory import bytes_shown

    widest = min(40, max((len(line.name) for line in lines), default=0))
    for line in lines:
        residues = "" if line.residues is None else f"{line.residues} residues"
        needed = "" if line.bytes is None else bytes_shown(line.bytes)
        seconds = "" if line.seconds is None else seconds_shown(line.seconds)
        verdict = line.verdict
        if line.problem is not None:
            verdict += ": " + " ".join(line.problem.removeprefix(f"job {line.name!r}: ").split())
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
    typer.echo(f"{said}; {predictor.family.name} on {predictor.device}: {predictor.room.told}")
    typer.echo(f"constants: {predictor.calibration.told}")
