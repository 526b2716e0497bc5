"""The gated transition by PyTorch, a stretch of vectors at a time where no gradient is wanted."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from itda.ops.layer_norm import torch as plain

VECTORS_AT_ONCE = 2048
"""Vectors whose hidden ones stay in a processor's cache at 128 channels."""


def gated_transition(
    x: Float[Tensor, "*shape channel"],
    norm_weight: Float[Tensor, "channel"] | None,
    norm_bias: Float[Tensor, "channel"] | None,
    up: Float[Tensor, "two_hidden channel"],
    down: Float[Tensor, "channel hidden"],
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Keep no hidden vectors of all of `x` at once, unless a gradient needs them."""
    up, down = up.to(x.dtype), down.to(x.dtype)
    if torch.is_grad_enabled():
        normed = plain.layer_norm(x, norm_weight, norm_bias, epsilon)
        gate, value = functional.linear(normed, up).chunk(2, dim=-1)
        return functional.linear(functional.silu(gate) * value, down)
    vectors = x.reshape(-1, x.shape[-1])
    # On another device than a CPU a short stretch would leave it idle.
    at_once = VECTORS_AT_ONCE if x.device.type == "cpu" else 128 * VECTORS_AT_ONCE
    out = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    for part, written in zip(vectors.split(at_once), out.split(at_once), strict=True):
        normed = plain.layer_norm(part, norm_weight, norm_bias, epsilon)
        gate, value = functional.linear(normed, up).chunk(2, dim=-1)
        torch.mm(functional.silu(gate, inplace=True).mul_(value), down.t(), out=written)
    return out.view(x.shape)
