"""The one way into triangle attention."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops import routing
from itda.ops.triangle_attention import reference, sdpa

Backend = Literal["auto", "reference", "sdpa", "triton", "cuequivariance"]


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
        backend: `auto` takes what `ops.routing` names; every one is compared with the reference in
            the tests. `triton` gives no gradients; `cuequivariance` needs NVIDIA's package.

    Returns:
        The averaged values, in the dtype of `value`.

    Raises:
        InputError: There is no such backend.
        CapabilityError: The backend named gives no gradients or cannot run on the device.
        DependencyError: The backend named needs a package that is not installed.
    """
    chosen = routing.pick(
        "triangle_attention",
        backend,
        (query, key, value, bias),
        channels=query.shape[-1],
        tokens=key.shape[2],
    )
    if chosen == "reference":
        return reference.triangle_attention(query, key, value, bias, mask)
    if chosen == "sdpa":
        return sdpa.triangle_attention(query, key, value, bias, mask)
    out: Tensor = routing.optional("triangle_attention", chosen).triangle_attention(
        query, key, value, bias, mask
    )
    return out
