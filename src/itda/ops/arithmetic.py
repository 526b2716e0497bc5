"""Arithmetic that looks at the context: number format, and whether gradients are recorded."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def widened(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Give numbers in float32, or in float64 where they come so, as to check gradients."""
    return x if x.dtype == torch.float64 else x.float()


def multiplied(x: Float[Tensor, "*shape"], y: Float[Tensor, "..."]) -> Float[Tensor, "*shape"]:
    """Multiply in the number format of `x`, in place where no gradient is recorded.

    In place with one, PyTorch would copy `x` first.
    """
    y = y.to(x.dtype)
    return x * y if torch.is_grad_enabled() else x.mul_(y)
