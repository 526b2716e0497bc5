"""The one way into triangle attention, and the choice of its backend."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.attention.interface import Backend, choose_backend
from itda.ops.triangle_attention import reference, sdpa


def triangle_attention(
    query: Float[Tensor, "batch row col head channel"],
    key: Float[Tensor, "batch row col head channel"],
    value: Float[Tensor, "batch row col head channel"],
    *,
    bias: Float[Tensor, "batch head col col"],
    mask: Bool[Tensor, "batch row col"],
    backend: Backend = "auto",
) -> Float[Tensor, "batch row col head channel"]:
    """Attention within each row of edges (AlphaFold 3 SI, algorithms 14 and 15).

    Args:
        query: Of the edges of some nodes, one row a node; not yet scaled.
        key: Likewise.
        value: Likewise.
        bias: Added to the scaled scores of every row: query's column first, then key's.
        mask: False edges take no part as keys; a row without any gives 0.
        backend: `auto` takes the fastest that is compared with the reference in the tests.

    Returns:
        The averaged values, in the dtype of `value`.
    """
    if backend == "auto":
        backend = choose_backend(query.shape[-1])
    run = sdpa.triangle_attention if backend == "sdpa" else reference.triangle_attention
    return run(query, key, value, bias, mask)
