"""From a job to the load that it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from itda.cost.devices import Device
from itda.job.model import Job
from itda.job.sizes import size_of
from itda.models.demand import Load

if TYPE_CHECKING:
    from itda.models.parameters import FamilyParameters


def load_of(
    *jobs: Job,
    recycles: int | None = None,
    templates: int = 0,
    template_sets: int = 1,
    frugal: bool = False,
    parameters: FamilyParameters | None = None,
) -> Load:
    """Give the load of jobs that are folded at once.

    Args:
        jobs: One or more, with the run's number of samples put in.
        recycles: Passes beyond the first; None for the family's choice.
        templates: Most that a search gives a chain; those that a job names are counted too.
        template_sets: How many of the samples are folded after templates of their own.
        frugal: Whether speed is given up for memory.
        parameters: Of the family's own.
    """
    named = [
        len(getattr(entity, "templates", None) or ()) for job in jobs for entity in job.entities
    ]
    sizes = [size_of(job) for job in jobs]
    return Load(
        tokens=tuple(size.tokens for size in sizes),
        atoms=tuple(size.atoms for size in sizes),
        chains=max(len(job.chains) for job in jobs),
        templates=max([templates, *named]),
        samples=max(job.samples for job in jobs),
        template_sets=template_sets,
        recycles=recycles,
        frugal=frugal,
        parameters=parameters,
    )


def on_device(load: Load, device: Device) -> Load:
    """Say of a load where it is folded, which a family's demand depends on."""
    return dataclasses.replace(
        load, device=device.kind, cores=device.cores, dtype=load.dtype or device.half
    )
