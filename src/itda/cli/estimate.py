"""How much of a run is done, and how long the rest will take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
from itda.job.entities import Protein

Costs = Mapping[str, Mapping[str, Sequence[float]]]
"""By job and stage, the size of each piece of work: what is twice as large takes twice as long."""

SECONDS_BEFORE_MEASURED = {"alignment": 60.0, "templates": 10.0, "predict": 2e-4}
"""What a unit of each stage is taken for until one was measured; it moves the bar, no more."""

_LEAST_FRACTION = 0.01


def costs_of(plan: Plan) -> Costs:
    """Return the work of each job: a search for each distinct protein, a fold for each seed.

    A search takes longer with the length of the protein and most of all with the database; a fold
    with the pairs of residues.
    """
    searches = plan.settings.searches
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
    job: str
    stage: str
    units: float
    began: float
    first_fraction: float | None = None
    fraction: float = 0.0


class Estimate:
    """Learns from the events of a run how long each kind of stage takes.

    Args:
        costs: The work ahead.
        clock: Seconds that pass.
    """

    def __init__(self, costs: Costs, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ahead = {
            job: {kind: list(of) for kind, of in stages.items()} for job, stages in costs.items()
        }
        self._total: defaultdict[str, float] = defaultdict(float)
        for stages in self._ahead.values():
            for kind, units in stages.items():
                self._total[kind] += sum(units)
        self._measured_units: defaultdict[str, float] = defaultdict(float)
        self._measured_seconds: defaultdict[str, float] = defaultdict(float)
        self._now: _Piece | None = None

    def show(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StageStarted():
                ahead = self._ahead.get(event.job, {}).get(event.stage, [])
                units = ahead.pop(0) if ahead else 0.0
                self._now = _Piece(event.job, event.stage, units, self._clock())
            case StageProgress() if self._now is not None:
                if self._now.first_fraction is None:
                    # What a killed run left counts as done, not as fast.
                    self._now.first_fraction = event.fraction
                    self._now.began = self._clock()
                self._now.fraction = event.fraction
            case StageFinished() if self._now is not None:
                if not event.cached:
                    self._measured_units[event.stage] += self._now.units
                    self._measured_seconds[event.stage] += event.seconds
                self._now = None
            case JobFinished() | JobFailed():
                self._now = None
                self._ahead.pop(event.job, None)

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0 to 1, as well as is known."""
        total = self._weighed(self._total)
        return 1.0 - self._weighed(self._left()) / total if total > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done; None while a kind of stage ahead was never seen."""
        seconds = 0.0
        for kind, units in self._left().items():
            rate = self._rate(kind)
            if units > 0 and rate is None:
                return None
            seconds += units * (rate or 0.0)
        return seconds

    @property
    def stage_seconds_left(self) -> float | None:
        """Seconds until the present stage is done; None while it cannot be said."""
        measured = self._measured_now()
        if self._now is None or measured is None:
            return None
        gained, seconds = measured
        return seconds / gained * (1.0 - self._now.fraction)

    def _left(self) -> dict[str, float]:
        left: defaultdict[str, float] = defaultdict(float)
        for stages in self._ahead.values():
            for kind, units in stages.items():
                left[kind] += sum(units)
        if self._now is not None:
            left[self._now.stage] += self._now.units * (1.0 - self._now.fraction)
        return left

    def _rate(self, kind: str) -> float | None:
        """Return seconds for one unit; None where none was measured."""
        units, seconds = self._measured_units[kind], self._measured_seconds[kind]
        measured = self._measured_now()
        if self._now is not None and self._now.stage == kind and measured is not None:
            units += measured[0] * self._now.units
            seconds += measured[1]
        return seconds / units if units > 0 else None

    def _measured_now(self) -> tuple[float, float] | None:
        """Return the part of the present stage that was seen, and its seconds."""
        if self._now is None or self._now.first_fraction is None:
            return None
        gained = self._now.fraction - self._now.first_fraction
        return (gained, self._clock() - self._now.began) if gained >= _LEAST_FRACTION else None

    def _weighed(self, units: Mapping[str, float]) -> float:
        return sum(
            many * (self._rate(kind) or SECONDS_BEFORE_MEASURED.get(kind, 0.0))
            for kind, many in units.items()
        )
