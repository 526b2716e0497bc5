"""Training that goes on from weights that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from itda.errors import WeightsError
from itda.hub.weights import load


def start_from(network: nn.Module, weights: Path, *, family: str = "mini") -> dict[str, Any]:
    """Copy weights into a network that may have parts which they lack.

    Args:
        network: Whose tensors are replaced where the weights have them.
        weights: A safetensors file with its card.
        family: That the weights must belong to.

    Returns:
        Name and digest of the weights, and the tensors that started anew, for the new card.

    Raises:
        WeightsError: The weights are not whole, hold a tensor that the network has not, or one of
            another shape.
    """
    card, tensors = load(weights, family=family)
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise WeightsError(
                f"{weights}: the network of the recipe has no {name}",
                hint="train a model that has every part of the one it goes on from",
            )
        if own[name].shape != tensor.shape:
            raise WeightsError(
                f"{weights}: {name} is {tuple(tensor.shape)}, in the recipe "
                f"{tuple(own[name].shape)}",
                hint="keep the sizes of the weights that training goes on from",
            )
    network.load_state_dict(tensors, strict=False)
    anew = sorted(set(own) - set(tensors))
    return {"weights": card.name, "sha256": card.sha256, "started_anew": anew}
