"""Triangle attention by a Triton kernel: one bias for all rows, no scores in memory.

The kernel is that of `attention`, whose rows share a bias. Peak memory beyond the inputs is the
output; the scores of all rows (row x head x column x column) never exist.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.attention.triton import attend_rows


def triangle_attention(
    query: Float[Tensor, "batch row col head channel"],
    key: Float[Tensor, "batch row col head channel"],
    value: Float[Tensor, "batch row col head channel"],
    bias: Float[Tensor, "batch head col col"],
    mask: Bool[Tensor, "batch row col"],
) -> Float[Tensor, "batch row col head channel"]:
    """Run all rows of all items at once."""
    return attend_rows(query, key, value, bias, mask, op="triangle_attention")
