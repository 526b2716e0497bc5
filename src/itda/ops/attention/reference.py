"""Attention in plain float32."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.arithmetic import widened


def attention(
    query: Float[Tensor, "batch head row channel"],
    key: Float[Tensor, "batch head column channel"],
    value: Float[Tensor, "batch head column value"],
    bias: Float[Tensor, "#batch head row column"] | None,
    key_mask: Bool[Tensor, "batch column"],
) -> Float[Tensor, "batch head row value"]:
    """Compute every score, mask, normalise and average; float32 or more throughout."""
    scores = torch.einsum("bhic,bhjc->bhij", widened(query), widened(key))
    scores = scores * query.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + widened(bias)
    mask = key_mask[:, None, None, :]
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)
    weights = torch.where(mask, weights, 0.0)
    return torch.einsum("bhij,bhjc->bhic", weights, widened(value)).to(value.dtype)
