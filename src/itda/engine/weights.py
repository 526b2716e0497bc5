"""Which weights a run takes: the family's own, a published set by its name, or the user's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from itda.errors import WeightsError
from itda.language import Message

if TYPE_CHECKING:
    from itda.models.family import Family
    from itda.progress import Progress


def choose_weights(weights: str | Path | None, family: Family) -> Path | None:
    """Turn what the user names into a file.

    Args:
        weights: A file, the name of a set of `itda weights list`, or None. A file goes before a set
            of the same name.
        family: The chosen one.

    Returns:
        A safetensors file; None for the weights that the family takes by itself. That a file is
        there is checked later.

    Raises:
        WeightsError: The set belongs to another family, or is not on this machine.
    """
    if weights is None or isinstance(weights, Path) or Path(weights).is_file():
        return None if weights is None else Path(weights)
    from itda.hub.installed import ensure
    from itda.hub.registry import weight_sets

    weight_set = weight_sets().get(weights)
    if weight_set is None:
        return Path(weights)
    if weight_set.family != family.name:
        raise WeightsError(
            Message(
                "{--weights:{weights}}: these are weights of the family {family}, not "
                "{family_name}",
                weights=weights,
                family=weight_set.family,
                family_name=family.name,
            ),
            hint=Message("choose {--model:{family}}", family=weight_set.family),
        )
    if weights == family.weight_set:
        return None
    return ensure(weight_set, family.converter)


def needs_preparation(family: Family) -> bool:
    """Whether the weights of a family come from elsewhere and are checked or converted first."""
    from itda.hub.installed import state_of
    from itda.hub.registry import weight_sets

    weight_set = weight_sets().get(family.weight_set)
    return weight_set is not None and state_of(weight_set) != "built in"


def prepare(family: Family, progress: Progress) -> None:
    """Check the weights of a family, and convert them where that was not done before.

    Raises:
        WeightsError: They are not on this machine, altered, or their licence must be acknowledged.
    """
    from itda.hub.installed import ensure
    from itda.hub.registry import get_weight_set

    ensure(get_weight_set(family.weight_set), family.converter, progress=progress)
