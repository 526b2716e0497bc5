"""Layer norm in plain float32."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from itda.ops.arithmetic import widened


def layer_norm(
    x: Float[Tensor, "*shape channel"],
    weight: Float[Tensor, "channel"] | None,
    bias: Float[Tensor, "channel"] | None,
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Write mean and variance out; float32 or more throughout."""
    centred = widened(x) - widened(x).mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
    if weight is not None:
        normed = normed * widened(weight)
    if bias is not None:
        normed = normed + widened(bias)
    return normed.to(x.dtype)
