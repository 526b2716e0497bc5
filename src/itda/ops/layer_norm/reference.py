"""Layer norm in plain float32."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def layer_norm(
    x: Float[Tensor, "*shape channel"],
    weight: Float[Tensor, "channel"] | None,
    bias: Float[Tensor, "channel"] | None,
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Write mean and variance out; float32 throughout."""
    centred = x.float() - x.float().mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
    if weight is not None:
        normed = normed * weight.float()
    if bias is not None:
        normed = normed + bias.float()
    return normed.to(x.dtype)
