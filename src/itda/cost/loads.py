"""From a job to the load that it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from itda.cost.devices import Device
from itda.job.model import Job
from itda.models.demand import Load

if TYPE_CHECKING:
    from itda.models.parameters import FamilyParameters


def load_of(
    *jobs: Job,
    recycles: int | None = None,
    templates: int = 0,
    frugal: bool = False,
    parameters: FamilyParameters | None = None,
) -> Load:
    """Give the load of jobs that are folded at once.

    Args:
        jobs: One or more, with the run's number of samples put in.
        recycles: Passes beyond the first; None for the family's choice.
        templates: Most that a search gives a chain; those that a job names are counted too.
        frugal: Whether speed is given up for memory.
        parameters: Of the family's own.
    """
    named = [
        len(getattr(entity, "templates", None) or ()) for job in jobs for entity in job.entities
    ]
    return Load(
        tokens=tuple(residues_of(job) for job in jobs),
        chains=max(len(job.chains) for job in jobs),
        templates=max([templates, *named]),
        samples=max(job.samples for job in jobs),
        recycles=recycles,
        frugal=frugal,
        parameters=parameters,
    )


def residues_of(job: Job) -> int:
    """Count the residues of all chains; anything without a sequence counts as one."""
    return sum(getattr(entity, "length", 1) for _, entity in job.chains)


def on_device(load: Load, device: Device) -> Load:
    """Say of a load where it is folded, which a family's demand depends on."""
    return dataclasses.replace(
        load, device=device.kind, cores=device.cores, dtype=load.dtype or device.half
    )
