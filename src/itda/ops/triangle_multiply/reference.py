"""The triangle product in plain float32."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from itda.ops.arithmetic import widened


def triangle_multiply(
    left: Float[Tensor, "batch row col channel"],
    right: Float[Tensor, "batch row col channel"],
    outgoing: bool,
) -> Float[Tensor, "batch row col channel"]:
    """Write the sum as the paper does."""
    rule = "bikc,bjkc->bijc" if outgoing else "bkic,bkjc->bijc"
    return torch.einsum(rule, widened(left), widened(right))
