"""How much of a run is done, and how long the rest will take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from itda.engine.events import (
    Event,
    JobFailed,
    JobFinished,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.engine.plan import Plan
from itda.engine.weights import needs_preparation
from itda.job.entities import Protein

Costs = Mapping[str, Mapping[str, Sequence[float]]]
"""By job and stage, the size of each piece of work: what is twice as large takes twice as long."""

Seconds = Mapping[str, Mapping[str, float]]
"""By job and stage, the seconds that all pieces of the stage are predicted to take together."""

SECONDS_BEFORE_MEASURED = {
    "weights": 10.0, "alignment": 60.0, "templates": 10.0, "predict": 2e-4,
}  # fmt: skip
"""What a unit of each stage is taken for until one was measured; it moves the bar, no more."""

SEARCHES = frozenset({"alignment", "templates"})
"""Stages that run on the processor while the model may fold another job."""

_LEAST_FRACTION = 0.01
_TRUST_IN_PREDICTION = 0.02


def costs_of(plan: Plan) -> Costs:
    """Return the work of each job: a search for each distinct protein, a fold for each seed.

    A search takes longer with the length of the protein and most of all with the database; a fold
    with the pairs of residues. Weights that are checked or converted first are the first job's.
    """
    searches = plan.settings.searches
    waits_for_weights = plan.settings.weights is None and needs_preparation(plan.settings.family)
    costs: dict[str, dict[str, list[float]]] = {}
    for request in plan.requests:
        job = request.job
        proteins = {
            (entity.sequence, entity.msa, entity.templates)
            for entity in job.entities
            if isinstance(entity, Protein)
        }
        residues = sum(getattr(entity, "length", 1) for _, entity in job.chains)
        costs[job.name] = {
            "weights": [1.0] if waits_for_weights and not costs else [],
            "alignment": [
                1.0 + len(sequence) / 500
                for sequence, msa, _ in proteins
                if searches.alignments is not None and msa is None
            ],
            "templates": [
                1.0 + len(sequence) / 500
                for sequence, _, given in proteins
                if searches.templates is not None and not given
            ],
            "predict": [float(max(residues, 50) ** 2)] * len(job.seeds),
        }
    return costs


@dataclass
class _Piece:
    """Work in flight.

    Attributes:
        units: Its size, of a size that all pieces of the stage share.
        known: Whether it is among the work that was foreseen.
        first_fraction: How far it was when it first said so; None until it has.
        fraction: How far it is.
        seconds: Its share of the time that passed since.
    """

    units: float
    known: bool
    first_fraction: float | None = None
    fraction: float = 0.0
    seconds: float = 0.0

    @property
    def gained(self) -> float:
        """Units that were done while it was watched."""
        return (self.fraction - (self.first_fraction or 0.0)) * self.units


@dataclass
class _Sum:
    """Work of a kind that is waiting."""

    units: float = 0.0
    pieces: int = 0

    def add(self, units: Sequence[float]) -> None:
        self.units += sum(units)
        self.pieces += len(units)

    def remove(self, units: Sequence[float]) -> None:
        self.pieces -= len(units)
        # Exactly nothing where nothing is left, whatever was lost in adding up.
        self.units = max(self.units - sum(units), 0.0) if self.pieces else 0.0


class Estimate:
    """Learns from the events of a run how long each kind of stage takes.

    Stages of several jobs may run at once: a batch that is folded together, searches while the
    model is at work. The time that passes is then shared by the pieces of a kind that are in
    flight, so that what a kind takes in all is right, however it is cut.

    Args:
        costs: The work ahead.
        seconds: What it is predicted to take; where it says nothing of a job or a stage, only what
            was measured is gone by. What is predicted is scaled by what was measured so far.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        costs: Costs,
        seconds: Seconds | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._then = clock()
        self._ahead, self._predicted = _in_seconds(costs, seconds or {})
        # Sums beside the pieces themselves, as events are many and jobs may be.
        self._waiting: defaultdict[str, _Sum] = defaultdict(_Sum)
        for stages in self._ahead.values():
            for kind, pieces in stages.items():
                self._waiting[kind].add(pieces)
        self._total = {kind: waiting.units for kind, waiting in self._waiting.items()}
        self._measured_units: defaultdict[str, float] = defaultdict(float)
        self._measured_seconds: defaultdict[str, float] = defaultdict(float)
        self._flying: dict[tuple[str, str], list[_Piece]] = {}
        self._latest = ""
        self._overlapped = False

    def show(self, event: Event) -> None:
        """Take note of an event."""
        self._pass_time()
        match event:
            case StageStarted():
                self._start(event.job, event.stage)
            case StageProgress():
                self._latest = event.stage
                for piece in self._flying.get((event.job, event.stage), ()):
                    if piece.first_fraction is None:
                        # What a killed run left counts as done, not as fast.
                        piece.first_fraction = event.fraction
                        piece.seconds = 0.0 if event.fraction > 0 else piece.seconds
                    piece.fraction = event.fraction
            case StageFinished():
                self._finish(event)
            case JobFinished() | JobFailed():
                for kind, units in self._ahead.pop(event.job, {}).items():
                    self._waiting[kind].remove(units)
                for key in [key for key in self._flying if key[0] == event.job]:
                    del self._flying[key]

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0 to 1, as well as is known."""
        total = self._weighed(self._total)
        return 1.0 - self._weighed(self._left()) / total if total > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None while a kind of stage ahead was never seen or predicted.

        Where searches were seen to run beside the model, the longer of the two counts.
        """
        self._pass_time()
        searches = others = 0.0
        for kind, units in self._left().items():
            rate = self._rate(kind)
            if units > 0 and rate is None:
                return None
            if kind in SEARCHES:
                searches += units * (rate or 0.0)
            else:
                others += units * (rate or 0.0)
        return max(searches, others) if self._overlapped else searches + others

    @property
    def stage_seconds_left(self) -> float | None:
        """Seconds until the pieces in flight of the stage that spoke last are done, if known."""
        self._pass_time()
        pieces = list(self._pieces(self._latest))
        size = sum(piece.units for piece in pieces)
        gained = sum(piece.gained for piece in pieces)
        if not pieces or gained < _LEAST_FRACTION * size or gained <= 0:
            return None
        ahead = sum(piece.units * (1.0 - piece.fraction) for piece in pieces)
        return sum(piece.seconds for piece in pieces) / gained * ahead

    def jobs_in(self, stage: str) -> list[str]:
        """Return the jobs of which this stage is in flight, the first started first."""
        return [job for job, kind in self._flying if kind == stage]

    def stage_fraction(self, stage: str) -> float:
        """Return how far the pieces in flight of a stage are, 0 to 1."""
        pieces = list(self._pieces(stage))
        size = sum(piece.units for piece in pieces)
        return sum(piece.units * piece.fraction for piece in pieces) / size if size else 0.0

    def _start(self, job: str, stage: str) -> None:
        stages = self._ahead.get(job, {})
        if stage == "predict" and self._waiting["weights"].pieces:
            # They are ready by now, whether or not a stage of theirs was seen.
            for others in self._ahead.values():
                self._waiting["weights"].remove(others.pop("weights", []))
        ahead = stages.get(stage, [])
        piece = _Piece(ahead.pop(0), known=True) if ahead else _Piece(1.0, known=False)
        if piece.known:
            self._waiting[stage].remove([piece.units])
        self._flying.setdefault((job, stage), []).append(piece)
        kinds = {kind for _, kind in self._flying}
        self._overlapped = self._overlapped or ("predict" in kinds and bool(kinds & SEARCHES))

    def _finish(self, event: StageFinished) -> None:
        pieces = self._flying.get((event.job, event.stage))
        if not pieces:
            return
        piece = pieces.pop(0)
        if not pieces:
            del self._flying[event.job, event.stage]
        if not event.cached and piece.known:
            units = piece.units * (1.0 - (piece.first_fraction or 0.0))
            self._measured_units[event.stage] += units
            self._measured_seconds[event.stage] += piece.seconds

    def _pass_time(self) -> None:
        """Give the pieces in flight of each kind the time that passed since the last event."""
        now = self._clock()
        passed, self._then = now - self._then, now
        sizes: defaultdict[str, float] = defaultdict(float)
        for (_, kind), pieces in self._flying.items():
            sizes[kind] += sum(piece.units for piece in pieces)
        for (_, kind), pieces in self._flying.items():
            for piece in pieces:
                if sizes[kind] > 0:
                    piece.seconds += passed * piece.units / sizes[kind]

    def _pieces(self, kind: str) -> Iterator[_Piece]:
        for (_, stage), pieces in self._flying.items():
            if stage == kind:
                yield from pieces

    def _left(self) -> dict[str, float]:
        left = {kind: waiting.units for kind, waiting in self._waiting.items()}
        for (_, kind), pieces in self._flying.items():
            for piece in pieces:
                if piece.known:
                    left[kind] = left.get(kind, 0.0) + piece.units * (1.0 - piece.fraction)
        return left

    def _rate(self, kind: str) -> float | None:
        """Return seconds for one unit; None where none was measured or predicted."""
        units, seconds = self._measured_units[kind], self._measured_seconds[kind]
        pieces = [piece for piece in self._pieces(kind) if piece.known]
        gained = sum(piece.gained for piece in pieces)
        if gained >= _LEAST_FRACTION * sum(piece.units for piece in pieces):
            units += gained
            seconds += sum(piece.seconds for piece in pieces)
        if kind in self._predicted:
            # So that the first small piece does not decide.
            trust = _TRUST_IN_PREDICTION * self._total.get(kind, 0.0)
            units, seconds = units + trust, seconds + trust
        return seconds / units if units > 0 else None

    def _weighed(self, units: Mapping[str, float]) -> float:
        return sum(
            many * (self._rate(kind) or SECONDS_BEFORE_MEASURED.get(kind, 0.0))
            for kind, many in units.items()
        )


def _in_seconds(
    costs: Costs, seconds: Seconds
) -> tuple[dict[str, dict[str, list[float]]], frozenset[str]]:
    """Return the work with predicted seconds for units, and the kinds of which any was predicted.

    A job of which nothing is predicted is taken for as fast as the others.
    """
    units: defaultdict[str, float] = defaultdict(float)
    predicted: defaultdict[str, float] = defaultdict(float)
    for job, stages in costs.items():
        for kind, pieces in stages.items():
            said = seconds.get(job, {}).get(kind)
            if said is not None and sum(pieces) > 0:
                units[kind] += sum(pieces)
                predicted[kind] += said
    rates = {kind: predicted[kind] / units[kind] for kind in units if predicted[kind] > 0}
    ahead: dict[str, dict[str, list[float]]] = {}
    for job, stages in costs.items():
        ahead[job] = {}
        for kind, pieces in stages.items():
            rate = rates.get(kind, 1.0)
            said = seconds.get(job, {}).get(kind)
            if kind in rates and said is not None and sum(pieces) > 0:
                rate = said / sum(pieces)
            ahead[job][kind] = [piece * rate for piece in pieces]
        for kind, said in seconds.get(job, {}).items():
            if kind not in stages:
                ahead[job][kind] = [said]
                rates.setdefault(kind, 1.0)
    return ahead, frozenset(rates)
