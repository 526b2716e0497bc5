"""The one way into the triangle product, and the choice of its backend."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from itda.ops.triangle_multiply import matmul, reference

Backend = Literal["auto", "reference", "matmul"]


def choose_backend() -> Backend:
    """Name the backend that `auto` takes."""
    return "matmul"


def triangle_multiply(
    left: Float[Tensor, "batch row col channel"],
    right: Float[Tensor, "batch row col channel"],
    *,
    outgoing: bool,
    backend: Backend = "auto",
) -> Float[Tensor, "batch row col channel"]:
    """Sum over the third corner of each triangle (AlphaFold 3 SI, algorithms 12 and 13).

    Args:
        left: Gated projection `a`, already zero where an edge does not exist.
        right: Gated projection `b`, likewise.
        outgoing: Which edges meet: i->k, j->k (True) or k->i, k->j (False).
        backend: `auto` takes the fastest that is compared with the reference in the tests.

    Returns:
        The product in float32 (`reference`) or in the dtype of the inputs (`matmul`).
    """
    if backend == "auto":
        backend = choose_backend()
    run = reference.triangle_multiply if backend == "reference" else matmul.triangle_multiply
    return run(left, right, outgoing)
