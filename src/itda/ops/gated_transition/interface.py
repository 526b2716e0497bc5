"""The one way into the gated transition."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from itda.ops import routing
from itda.ops.gated_transition import reference
from itda.ops.gated_transition import torch as plain

Backend = Literal["auto", "reference", "torch", "triton"]


def gated_transition(
    x: Float[Tensor, "*shape channel"],
    *,
    norm_weight: Float[Tensor, "channel"] | None,
    norm_bias: Float[Tensor, "channel"] | None,
    up: Float[Tensor, "two_hidden channel"],
    down: Float[Tensor, "channel hidden"],
    epsilon: float = 1e-5,
    backend: Backend = "auto",
) -> Float[Tensor, "*shape channel"]:
    """Two-layer gated update of every vector (AlphaFold 3 SI, algorithm 11).

    Args:
        x: Before the norm; not modified.
        norm_weight: Scale of the layer norm; none is 1.
        norm_bias: Shift of the layer norm; none is 0.
        up: Rows of the gate first, then those of the value, as in `nn.Linear.weight`. Where its
            number format is not that of `x`, `auto` takes PyTorch, which multiplies in it.
        down: As in `nn.Linear.weight`.
        epsilon: Of the layer norm.
        backend: `auto` takes what `ops.routing` names; every one is compared with the reference in
            the tests. `triton` gives no gradients.

    Returns:
        The update to add to `x`, in its dtype.

    Raises:
        InputError: There is no such backend.
        CapabilityError: The backend named gives no gradients or cannot run on the device.
        DependencyError: The backend named needs a package that is not installed.
    """
    channels = x.shape[-1]
    if backend == "auto" and x.dtype != up.dtype:
        # Kernels multiply numbers of one format.
        backend = "torch"
    chosen = routing.pick(
        "gated_transition",
        backend,
        (x, norm_weight, norm_bias, up, down),
        channels=channels,
        tokens=x.numel() // max(1, channels),
    )
    if chosen == "reference":
        return reference.gated_transition(x, norm_weight, norm_bias, up, down, epsilon)
    if chosen == "torch":
        return plain.gated_transition(x, norm_weight, norm_bias, up, down, epsilon)
    out: Tensor = routing.optional("gated_transition", chosen).gated_transition(
        x, norm_weight, norm_bias, up, down, epsilon
    )
    return out
