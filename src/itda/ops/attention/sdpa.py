"""Attention by PyTorch's fused kernels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from itda.ops.arithmetic import widened


def attention(
    query: Float[Tensor, "batch head row channel"],
    key: Float[Tensor, "batch head column channel"],
    value: Float[Tensor, "batch head column value"],
    bias: Float[Tensor, "#batch head row column"] | None,
    key_mask: Bool[Tensor, "batch column"],
) -> Float[Tensor, "batch head row value"]:
    """Fold the mask into the bias; a finite floor keeps rows without any key free of NaN."""
    floor = torch.finfo(torch.float32).min / 2
    added = torch.zeros(key_mask.shape, dtype=torch.float32, device=key_mask.device)
    added = added.masked_fill(~key_mask, floor)[:, None, None, :]
    if bias is not None:
        added = widened(bias) + added
    out = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=added.clamp_min(floor)
        .to(query.dtype)
        .expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2]),
    )
    return out * key_mask.any(-1)[:, None, None, None].to(out.dtype)
