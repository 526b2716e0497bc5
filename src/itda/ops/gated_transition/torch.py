"""The gated transition by PyTorch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from itda.ops.arithmetic import multiplied
from itda.ops.layer_norm import layer_norm


def gated_transition(
    x: Float[Tensor, "*shape channel"],
    norm_weight: Float[Tensor, "channel"] | None,
    norm_bias: Float[Tensor, "channel"] | None,
    up: Float[Tensor, "two_hidden channel"],
    down: Float[Tensor, "channel hidden"],
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Multiply in the number format of the weights; it takes memory for two hidden vectors each."""
    normed = layer_norm(x, norm_weight, norm_bias, epsilon=epsilon).to(up.dtype)
    to_gate, to_value = up.chunk(2)
    # One after the other, so that less is in use at a time.
    gate = functional.linear(normed, to_gate)
    gate = functional.silu(gate, inplace=not torch.is_grad_enabled())
    hidden = multiplied(gate, functional.linear(normed, to_value))
    return functional.linear(hidden, down).to(x.dtype)
