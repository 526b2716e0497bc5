"""The one way into the triangle product."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from itda.ops import routing
from itda.ops.triangle_multiply import matmul, reference

Backend = Literal["auto", "reference", "matmul", "triton"]


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
        backend: `auto` takes what `ops.routing` names; every one is compared with the reference in
            the tests. `triton` gives no gradients, and reads channels last without a copy.

    Returns:
        The product in float32 (`reference`) or in the dtype of the inputs (the others).

    Raises:
        InputError: There is no such backend.
        CapabilityError: The backend named gives no gradients or cannot run on the device.
        DependencyError: The backend named needs a package that is not installed.
    """
    chosen = routing.pick(
        "triangle_multiply",
        backend,
        (left, right),
        channels=left.shape[-1],
        tokens=left.shape[2] if outgoing else left.shape[1],
    )
    if chosen == "reference":
        return reference.triangle_multiply(left, right, outgoing)
    if chosen == "matmul":
        return matmul.triangle_multiply(left, right, outgoing)
    out: Tensor = routing.optional("triangle_multiply", chosen).triangle_multiply(
        left, right, outgoing
    )
    return out
