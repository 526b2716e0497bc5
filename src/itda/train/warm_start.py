"""Training that goes on from weights that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from itda.errors import DataError, WeightsError
from itda.hub.installed import ensure
from itda.hub.registry import get_weight_set
from itda.hub.weights import load, read_card
from itda.language import Message
from itda.train.recipe import Recipe


def initial_weights(recipe: Recipe, data: Path) -> Path | None:
    """Return the file of weights that a recipe goes on from; None where it starts anew.

    Args:
        recipe: Names the weights of its family that Itda knows (`mini`), or a file below the data
            folder.
        data: The data folder.

    Raises:
        WeightsError: There is no such file.
    """
    named, family = recipe.initial_weights, recipe.trainable.family
    if named is None:
        return None
    path = data / named
    if named == family.weight_set and not path.exists():
        return ensure(get_weight_set(named), family.converter)
    if not path.is_file():
        raise WeightsError(
            Message("initial_weights: there is no file {path}", path=path),
            hint=Message(
                "name {weight_set}, which comes with Itda, or a file below {data} with its "
                "card beside it",
                weight_set=family.weight_set,
                data=data,
            ),
        )
    return path


def with_sizes(recipe: Recipe, weights: Path | None) -> Recipe:
    """Return the recipe with the sizes of its network: its own, or those of its weights.

    Raises:
        DataError: It says no sizes and goes on from no weights.
        WeightsError: The weights have no card.
    """
    if recipe.model is not None:
        return recipe
    if weights is None:
        raise DataError(
            Message("the recipe {recipe} says no `model`", recipe=recipe.name),
            hint=Message(
                "write its sizes, or `initial_weights: mini` to go on from what comes with Itda"
            ),
        )
    sizes = recipe.trainable.sizes.model_validate(read_card(weights).config)
    return recipe.model_copy(update={"model": sizes})


def start_from(network: nn.Module, weights: Path, *, family: str) -> dict[str, Any]:
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
                Message(
                    "{weights}: the network of the recipe has no {name}", weights=weights, name=name
                ),
                hint=Message("train a model that has every part of the one it goes on from"),
            )
        if own[name].shape != tensor.shape:
            raise WeightsError(
                Message(
                    "{weights}: {name} is {shape}, in the recipe {tuple}",
                    weights=weights,
                    name=name,
                    shape=tuple(tensor.shape),
                    tuple=tuple(own[name].shape),
                ),
                hint=Message("keep the sizes of the weights that training goes on from"),
            )
    network.load_state_dict(tensors, strict=False)
    anew = sorted(set(own) - set(tensors))
    return {"weights": card.name, "sha256": card.sha256, "started_anew": anew}
