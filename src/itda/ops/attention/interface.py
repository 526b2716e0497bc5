"""The one way into attention, and the choice of its backend."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.attention import reference, sdpa

Backend = Literal["auto", "reference", "sdpa"]

SMALLEST_FUSED_HEAD = 8
"""Below this head size fused kernels have been wrong or slower; the reference is used."""


def choose_backend(head_channels: int) -> Backend:
    """Name the backend that `auto` takes for a head size."""
    return "sdpa" if head_channels >= SMALLEST_FUSED_HEAD else "reference"


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
        backend: `auto` takes the fastest that is compared with the reference in the tests.

    Returns:
        The averaged values, in the dtype of `value`.
    """
    if backend == "auto":
        backend = choose_backend(query.shape[-1])
    run = sdpa.attention if backend == "sdpa" else reference.attention
    return run(query, key, value, bias, key_mask)
