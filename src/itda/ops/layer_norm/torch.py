"""Layer norm by PyTorch."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def layer_norm(
    x: Float[Tensor, "*shape channel"],
    weight: Float[Tensor, "channel"] | None,
    bias: Float[Tensor, "channel"] | None,
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Norm in the dtype of `x`; weights of another dtype are not rounded to it."""
    shape = x.shape[-1:]
    if all(given is None or given.dtype == x.dtype for given in (weight, bias)):
        return functional.layer_norm(x, shape, weight, bias, epsilon)
    weight, bias = (None if given is None else given.float() for given in (weight, bias))
    return functional.layer_norm(x.float(), shape, weight, bias, epsilon).to(x.dtype)
