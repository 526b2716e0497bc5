"""Triangle attention by PyTorch's fused kernels, which read one bias for all rows."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from itda.ops.arithmetic import widened


def triangle_attention(
    query: Float[Tensor, "batch row col head channel"],
    key: Float[Tensor, "batch row col head channel"],
    value: Float[Tensor, "batch row col head channel"],
    bias: Float[Tensor, "batch head col col"],
    mask: Bool[Tensor, "batch row col"],
) -> Float[Tensor, "batch row col head channel"]:
    """Treat rows as a batch; where all edges exist, the bias is not repeated for the rows."""
    whole = bool(mask.all())
    mixed = [
        functional.scaled_dot_product_attention(
            query[item].transpose(1, 2),
            key[item].transpose(1, 2),
            value[item].transpose(1, 2),
            attn_mask=(bias[item][None] if whole else _closed(bias[item], mask[item])).to(
                query.dtype
            ),
        ).transpose(1, 2)
        for item in range(query.shape[0])
    ]
    out = mixed[0][None] if len(mixed) == 1 else torch.stack(mixed)
    return out if whole else out * mask.any(-1)[..., None, None, None].to(out.dtype)


def _closed(
    bias: Float[Tensor, "head col col"], mask: Bool[Tensor, "row col"]
) -> Float[Tensor, "row head col col"]:
    """Add the mask to the bias of each row."""
    # A finite floor keeps rows without any key free of NaN.
    floor = torch.finfo(torch.float32).min / 2
    closed = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, floor)
    return (widened(bias)[None] + closed[:, None, None, :]).clamp_min(floor)
