"""From the options of a run to the engine's settings: the one way, for every face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itda.engine import search_options
from itda.engine.plan import Settings
from itda.engine.weights import choose_weights
from itda.models import registry
from itda.models.choose_parameters import choose_parameters

if TYPE_CHECKING:
    from itda.job.options import RunOptions
    from itda.models.family import Family


def settings_of(options: RunOptions, family: Family | None = None) -> Settings:
    """Find the family, its weights, databases and programs that a run asks for.

    Args:
        options: Of the run.
        family: Taken in place of the one that the options name.

    Raises:
        CapabilityError: There is no such family, it takes no alignment or template, or has no
            parameter of such a name.
        InputError: Options contradict one another, or name a file that is not there.
        DataError: A database is missing, damaged or of the wrong kind, or several would do.
        DependencyError: A program is not installed.
        WeightsError: The weights belong to another family, or are not on this machine.
    """
    family = family or registry.get_family(options.family)
    searches = search_options.choose_searches(options, family)
    return Settings(
        family,
        choose_weights(options.weights, family),
        options.seed,
        options.samples,
        options.recycles,
        searches,
        deterministic=options.deterministic,
        effort=options.effort,
        parameters=choose_parameters(options.parameters, family),
    )
