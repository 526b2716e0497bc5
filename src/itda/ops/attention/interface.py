"""The one way into attention."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops import routing
from itda.ops.attention import reference, sdpa

Backend = Literal["auto", "reference", "sdpa", "triton"]


def attention(
    query: Float[Tensor, "batch head row channel"],
    key: Float[Tensor, "batch head column channel"],
    value: Float[Tensor, "batch head column value"],
    *,
    bias: Float[Tensor, "#batch head row column"] | None,
    key_mask: Bool[Tensor, "batch column"],
    backend: Backend = "auto",
) -> Float[Tensor, "batch head row value"]:
    """Scaled dot-product attention with pair bias (AlphaFold 3 SI, algorithm 24).

    Args:
        query: Not yet scaled; it is divided by the square root of its channels here.
        key: One row a column of the bias.
        value: What is averaged; may have another channel count.
        bias: Added to the scaled scores, in float32 whatever the inputs.
        key_mask: False columns take no part; a row with no column left gives 0.
        backend: `auto` takes what `ops.routing` names; every one is compared with the reference in
            the tests. `triton` gives no gradients.

    Returns:
        The averaged values, in the dtype of `value`.

    Raises:
        InputError: There is no such backend.
        CapabilityError: The backend named gives no gradients or cannot run on the device.
        DependencyError: The backend named needs a package that is not installed.
    """
    chosen = routing.pick(
        "attention",
        backend,
        (query, key, value, bias),
        channels=query.shape[-1],
        tokens=key.shape[2],
    )
    if chosen == "reference":
        return reference.attention(query, key, value, bias, key_mask)
    if chosen == "sdpa":
        return sdpa.attention(query, key, value, bias, key_mask)
    out: Tensor = routing.optional("attention", chosen).attention(query, key, value, bias, key_mask)
    return out
