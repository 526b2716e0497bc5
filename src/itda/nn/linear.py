"""Linear layers with the initialisations of the AlphaFold line, and the norm before one."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from itda.ops.layer_norm import layer_norm

Start = Literal["default", "relu", "zero", "gate", "shut"]


def linear(inputs: int, outputs: int, *, bias: bool = True, start: Start = "default") -> nn.Linear:
    """Make a linear layer (AlphaFold 2 SI 1.11.4).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        bias: Whether a bias is learned.
        start: `default` keeps variance (LeCun), `relu` keeps it through a ReLU (He), `zero` makes a
            residual branch the identity at first, `gate` opens a sigmoid gate at first, `shut`
            nearly closes one.
    """
    layer = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        if bias:
            layer.bias.fill_({"gate": 1.0, "shut": -2.0}.get(start, 0.0))
        if start in ("zero", "gate", "shut"):
            layer.weight.zero_()
        else:
            variance = (2.0 if start == "relu" else 1.0) / inputs
            nn.init.trunc_normal_(layer.weight, std=(variance / 0.774) ** 0.5, a=-2.0, b=2.0)
    return layer


def normed(
    norm: nn.LayerNorm, x: Float[Tensor, "*shape channel"], layer: nn.Linear
) -> Float[Tensor, "*shape channel"]:
    """Norm in the number format of `x` and give the result in that of the layer that reads it."""
    return layer_norm(x, norm.weight, norm.bias, epsilon=norm.eps).to(layer.weight.dtype)
