"""Weights put into a network of the sizes on their card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from itda.errors import WeightsError
from itda.hub.weights import WeightsCard
from itda.language import Message

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")


def fitted(
    card: WeightsCard,
    tensors: Mapping[str, Tensor],
    make: Callable[[Mapping[str, Any]], Network],
    *,
    assign: bool = False,
) -> Network:
    """Build a network and fill it.

    Args:
        card: Of the weights.
        tensors: By name.
        make: Builds the network of the sizes on the card.
        assign: Whether the tensors become the network's own, and are not copied.

    Raises:
        WeightsError: The card has other sizes than the family knows, or the tensors do not fit.
    """
    try:
        network = make(card.config)
        network.load_state_dict(tensors, assign=assign)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            Message(
                "weights {card} do not fit the sizes on their card: {error}",
                card=card.name,
                error=str(error).splitlines()[0],
            ),
            hint=Message("use the card that was written with the weights"),
        ) from error
    return network
