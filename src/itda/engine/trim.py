"""`--trim`: jobs cut to the part that their family folds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from itda.errors import CapabilityError
from itda.job.model import Job
from itda.job.read import JobBatch, RecordWarning
from itda.language import Message
from itda.models import registry
from itda.models.family import Trimming

if TYPE_CHECKING:
    from itda.models.family import Family


def trim(batch: JobBatch, family: Family) -> JobBatch:
    """Cut the jobs of an input, and say in its warnings what was cut.

    Raises:
        CapabilityError: The family folds chains as they are.
    """
    jobs: list[Job] = []
    warnings = list(batch.warnings)
    places = batch.places
    several = len(set(batch.sources.values())) > 1
    for job in batch.jobs:
        cut, told = trim_job(job, family)
        jobs.append(cut)
        place = places[job.name]
        source = batch.sources.get(place, "") if several else ""
        warnings += [RecordWarning(job.name, place, 0, one, source) for one in told]
    return dataclasses.replace(batch, jobs=tuple(jobs), warnings=tuple(warnings))


def trim_job(job: Job, family: Family) -> tuple[Job, tuple[str, ...]]:
    """Cut a job to the part that a family folds; residues keep their numbers.

    Returns:
        The job, and what was cut.

    Raises:
        CapabilityError: The family folds chains as they are.
    """
    if not isinstance(family, Trimming):
        able = [name for name in registry.FAMILIES if _trims(name)]
        raise CapabilityError(
            Message(
                "{--trim}: {family} folds chains as they are, and knows of no part to cut them to",
                family=family.name,
            ),
            hint=Message(
                "leave {--trim} out{what}",
                what=Message(", or choose {--model!c:{able}}", able=able[0]) if able else "",
            ),
        )
    return family.trim(job)


def _trims(name: str) -> bool:
    return isinstance(registry.get_family(name), Trimming)
