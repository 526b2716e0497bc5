"""Two-layer updates of every vector by itself."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear
from itda.ops.gated_transition import gated_transition


class Transition(nn.Module):
    """Two-layer gated update of every vector (AlphaFold 3 SI, algorithm 11)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.up = linear(channels, 2 * factor * channels, bias=False, start="relu")
        self.down = linear(factor * channels, channels, bias=False, start="zero")

    def forward(self, x: Float[Tensor, "*shape channel"]) -> Float[Tensor, "*shape channel"]:
        """Give the update to add to `x`."""
        return gated_transition(
            x,
            norm_weight=self.norm.weight,
            norm_bias=self.norm.bias,
            up=self.up.weight,
            down=self.down.weight,
            epsilon=self.norm.eps,
        )


class ReluTransition(nn.Module):
    """Two-layer update of every vector through a ReLU (AlphaFold 2 SI, algorithm 9)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.up = linear(channels, factor * channels, start="relu")
        self.down = linear(factor * channels, channels, start="zero")

    def forward(self, x: Float[Tensor, "*shape channel"]) -> Float[Tensor, "*shape channel"]:
        """Give the update to add to `x`."""
        out: Tensor = self.down(functional.relu(self.up(self.norm(x)), inplace=True))
        return out
