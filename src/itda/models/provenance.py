"""What a prediction was made with, filled in from the card of the weights: for all families."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from importlib import metadata

from itda.chem.component_file import components_in_use
from itda.hub.licence import acknowledged
from itda.hub.registry import BuiltIn, WeightSet, sets_of_family, weight_sets
from itda.hub.source import built_in_folder
from itda.hub.weights import WeightsCard, card_path, read_card
from itda.ops.routing import choose
from itda.structure.prediction import Provenance

LIBRARIES = ("itda", "torch", "numpy", "biotite")

COMPONENTS = "chemical components"
"""The component dictionary where it is the user's own, in the versions of a prediction."""

OWN_FILE = "a file of the user's own"


def kernels_of(device: str, channels: Mapping[str, int | None]) -> dict[str, str]:
    """Name the backend of each operation, as `auto` takes it where no gradient is wanted.

    Args:
        device: Such as `cpu` or `cuda:0`.
        channels: By operation: of one head for attention, else of one vector; None where any do.
    """
    kind = device.partition(":")[0]
    return {
        operation: choose(operation, device=kind, channels=width).backend
        for operation, width in channels.items()
    }


def provenance_of(
    card: WeightsCard,
    *,
    seed: int,
    recycles: int,
    inputs: Mapping[str, str],
    device: str,
    kernels: Mapping[str, str],
    dtype: str | Mapping[str, str],
    libraries: Sequence[str] = LIBRARIES,
) -> Provenance:
    """Say what a prediction was made with, now.

    Args:
        card: Of the weights. It tells the family, and the published set where they are of one.
        seed: Of the random numbers.
        recycles: Passes beyond the first.
        inputs: Digest of each input by its name.
        device: Such as `cpu` or `cuda:0`.
        kernels: Backend of each operation by its name.
        dtype: Number format; of each part by its name where they differ.
        libraries: Distributions whose versions are named.
    """
    versions = {name: metadata.version(name) for name in libraries}
    components = components_in_use()
    if components is not None:
        # Else they are those of biotite, whose version stands there.
        versions[COMPONENTS] = f"{components.date}, sha256:{components.sha256}"
    weight_set = set_of(card)
    if weight_set is None:
        non_commercial, agreed = "-NC" in card.licence, None
    else:
        non_commercial = weight_set.licence.non_commercial
        agreed = acknowledged(weight_set) if non_commercial else None
    return Provenance(
        itda_version=versions["itda"],
        family=card.family,
        weights_set=None if weight_set is None else weight_set.name,
        weights_source=_source(card, weight_set),
        weights_digest=f"sha256:{card.sha256}",
        weights_licence=card.licence,
        non_commercial=non_commercial,
        licence_acknowledged=None if agreed is None else agreed.date,
        citations=() if weight_set is None else weight_set.citations,
        seed=seed,
        recycles=recycles,
        inputs=dict(inputs),
        device=device,
        kernels=dict(kernels),
        dtype=dtype if isinstance(dtype, str) else dict(dtype),
        versions=versions,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def set_of(card: WeightsCard) -> WeightSet | None:
    """Return the published set that weights are of; None for a file of the user's own."""
    if card.source is not None:
        return weight_sets().get(card.source.name)
    for weight_set in sets_of_family(card.family):
        if isinstance(weight_set.source, BuiltIn):
            folder = built_in_folder(weight_set.source)
            for file in weight_set.files:
                path = folder / file.name
                ours = path.suffix == ".safetensors" and card_path(path).is_file()
                if ours and read_card(path).sha256 == card.sha256:
                    return weight_set
    return None


def _source(card: WeightsCard, weight_set: WeightSet | None) -> str:
    if card.source is not None:
        return card.source.origin
    return OWN_FILE if weight_set is None else "built in"
