"""The one way into layer norm."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from itda.ops import routing
from itda.ops.layer_norm import reference
from itda.ops.layer_norm import torch as plain

Backend = Literal["auto", "reference", "torch", "triton"]


def layer_norm(
    x: Float[Tensor, "*shape channel"],
    weight: Float[Tensor, "channel"] | None = None,
    bias: Float[Tensor, "channel"] | None = None,
    *,
    epsilon: float = 1e-5,
    backend: Backend = "auto",
) -> Float[Tensor, "*shape channel"]:
    """Centre every vector, divide it by its standard deviation, scale and shift.

    Layer Normalization, Ba et al. 2016, arXiv 1607.06450.

    Args:
        x: Not modified.
        weight: Scale of each channel; none is 1.
        bias: Shift of each channel; none is 0.
        epsilon: Added to the variance.
        backend: `auto` takes what `ops.routing` names; every one is compared with the reference in
            the tests. `triton` gives no gradients.

    Returns:
        The normed vectors, in the dtype of `x`; mean and variance are float32.

    Raises:
        InputError: There is no such backend.
        CapabilityError: The backend named gives no gradients or cannot run on the device.
        DependencyError: The backend named needs a package that is not installed.
    """
    channels = x.shape[-1]
    chosen = routing.pick(
        "layer_norm",
        backend,
        (x, weight, bias),
        channels=channels,
        tokens=x.numel() // max(1, channels),
    )
    if chosen == "reference":
        return reference.layer_norm(x, weight, bias, epsilon)
    if chosen == "torch":
        return plain.layer_norm(x, weight, bias, epsilon)
    out: Tensor = routing.optional("layer_norm", chosen).layer_norm(x, weight, bias, epsilon)
    return out
