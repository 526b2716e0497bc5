"""The triangle product as one batched matrix product over channels."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def triangle_multiply(
    left: Float[Tensor, "batch row col channel"],
    right: Float[Tensor, "batch row col channel"],
    outgoing: bool,
) -> Float[Tensor, "batch row col channel"]:
    """Bring channels to the front, where each is an ordinary matrix product."""
    a = left.permute(0, 3, 1, 2)
    b = right.permute(0, 3, 1, 2)
    product = a @ b.transpose(-1, -2) if outgoing else a.transpose(-1, -2) @ b
    return product.permute(0, 2, 3, 1)
