"""What `itda fold` and `itda plan` are asked: one way from their options to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itda.errors import ItdaError

if TYPE_CHECKING:
    from itda.engine.engine import Engine
    from itda.engine.plan import Plan
    from itda.inputs import Inputs
    from itda.job.options import RunOptions
    from itda.job.read import JobBatch


@dataclass(frozen=True)
class Asked:
    """Inputs, checked and admitted.

    Attributes:
        inputs: What was named.
        batch: What the inputs held.
        rejected: Records that are no jobs, or whose files are missing: name, place in the input
            from 1, and error.
        engine: What folds.
        plan: What is admitted, and what is refused.
    """

    inputs: Inputs
    batch: JobBatch
    rejected: tuple[tuple[str, int, ItdaError], ...]
    engine: Engine
    plan: Plan

    @property
    def notes(self) -> list[str]:
        """What the user should know before anything is folded."""
        return [*self.inputs.notes, *map(str, self.batch.warnings), *self.batch.notes]


def ask(
    sources: Sequence[str],
    options: RunOptions,
    *,
    device: str,
    memory: str | None,
    at_once: int | None = None,
    cache: Path | None = None,
) -> Asked:
    """Read inputs, give their jobs their files, and ask which of them can be folded.

    Args:
        sources: As a user writes them: files, folders, patterns, and `-`.
        options: How they are to be read and folded.
        device: Where to fold.
        memory: Most that is taken, such as `8G`.
        at_once: Most jobs of a batch.
        cache: Where work is kept; the user's cache unless told.

    Raises:
        ItdaError: Something that holds for all jobs is wrong.
    """
    from itda.cost.memory import parse_bytes
    from itda.engine.attach import attach
    from itda.engine.engine import Engine
    from itda.engine.given_templates import with_templates
    from itda.engine.many_inputs import read_inputs
    from itda.engine.run_settings import settings_of
    from itda.engine.search_options import split_msa
    from itda.engine.trim import trim as trimmed
    from itda.inputs import expand
    from itda.job.inputs import JOBS
    from itda.store.paths import stage_folder
    from itda.store.store import Store

    settings = settings_of(options)
    family = settings.family
    inputs = expand(sources, JOBS)
    batch = read_inputs(
        inputs.sources,
        molecule=options.molecule,
        ambiguous=options.ambiguous,
        msa=options.msa,
        family=family,
    )
    if options.trim:
        batch = trimmed(batch, family)
    batch, missing = with_templates(batch, options, family)
    places = batch.places
    jobs = list(batch.jobs)
    for field, path in (("msa", split_msa(options.msa)[1]), ("profile", options.profile)):
        jobs, errors = attach(jobs, field, None if path is None else Path(path))
        missing |= errors
    rejected = [(record.called, record.index, record.error) for record in batch.rejected]
    rejected += [(name, places[name], error) for name, error in missing.items()]
    jobs = [job for job in jobs if job.name not in missing]
    engine = Engine(
        Store(cache or stage_folder()),
        device,
        memory=None if memory is None else parse_bytes(memory),
        at_once=at_once,
    )
    plan = engine.plan(jobs, settings, places=[places[job.name] for job in jobs], total=batch.total)
    rejected.sort(key=lambda one: one[1])
    return Asked(inputs, batch, tuple(rejected), engine, plan)
