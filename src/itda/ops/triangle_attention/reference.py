"""Triangle attention in plain float32."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.arithmetic import widened


def triangle_attention(
    query: Float[Tensor, "batch row col head channel"],
    key: Float[Tensor, "batch row col head channel"],
    value: Float[Tensor, "batch row col head channel"],
    bias: Float[Tensor, "batch head col col"],
    mask: Bool[Tensor, "batch row col"],
) -> Float[Tensor, "batch row col head channel"]:
    """Compute every score as the paper writes it; takes memory for all of them."""
    scores = torch.einsum("brihc,brjhc->brhij", widened(query), widened(key))
    scores = scores * query.shape[-1] ** -0.5 + widened(bias)[:, None]
    kept = mask[:, :, None, None, :]
    weights = torch.softmax(scores.masked_fill(~kept, -torch.inf), dim=-1)
    weights = torch.where(kept, weights, 0.0)
    return torch.einsum("brhij,brjhc->brihc", weights, widened(value)).to(value.dtype)
