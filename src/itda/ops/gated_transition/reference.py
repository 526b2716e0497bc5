"""The gated transition in plain float32."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from itda.ops.arithmetic import widened
from itda.ops.layer_norm import reference


def gated_transition(
    x: Float[Tensor, "*shape channel"],
    norm_weight: Float[Tensor, "channel"] | None,
    norm_bias: Float[Tensor, "channel"] | None,
    up: Float[Tensor, "two_hidden channel"],
    down: Float[Tensor, "channel hidden"],
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Write each step as the paper does; float32 or more throughout."""
    normed = reference.layer_norm(widened(x), norm_weight, norm_bias, epsilon)
    gate, value = torch.einsum("...c,hc->...h", normed, widened(up)).chunk(2, dim=-1)
    gated = gate * torch.sigmoid(gate) * value
    return torch.einsum("...h,ch->...c", gated, widened(down)).to(x.dtype)
