"""Torsion angles from residue representations."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear


class TorsionHead(nn.Module):
    """Torsion angles as points on the unit circle (AlphaFold 2 SI, algorithm 20, lines 11-14)."""

    def __init__(
        self,
        single_channels: int,
        channels: int,
        torsions: int,
        *,
        hidden: int | None = None,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        hidden = hidden or channels
        self.torsion_count = torsions
        self.from_state = linear(channels, hidden)
        self.from_start = linear(single_channels, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                linear(hidden, hidden, start="relu"),
                nn.ReLU(),
                linear(hidden, hidden, start="zero"),
            )
            for _ in range(blocks)
        )
        self.out = linear(hidden, torsions * 2)

    def forward(
        self,
        state: Float[Tensor, "batch token channel"],
        start: Float[Tensor, "batch token single_channel"],
    ) -> Float[Tensor, "batch token torsion 2"]:
        """Give (sin, cos) before normalisation."""
        x = self.from_state(state) + self.from_start(start)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.out(functional.relu(x)).unflatten(-1, (self.torsion_count, 2))
        return out

    def unit(self, raw: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape 2"]:
        """Bring (sin, cos) to length one."""
        return raw / (raw.square().sum(-1, keepdim=True) + 1e-8).sqrt()


class AngleResnet(TorsionHead):
    """Torsion angles as AlphaFold 2's published network gives them: a ReLU before each input.

    State, each with weight and bias: `from_state` (channels to hidden), `from_start` likewise,
    `blocks.N.1` and `blocks.N.3` (hidden to hidden), `out` (hidden to 2 a torsion, sine first).

    Args:
        channels: Of the state and of the first state.
        hidden: Inside.
        blocks: Residual blocks.
        torsions: Angles.
        least: Smallest squared length that is divided by.
    """

    def __init__(
        self, channels: int, hidden: int, *, blocks: int, torsions: int, least: float = 1e-8
    ) -> None:
        super().__init__(channels, channels, torsions, hidden=hidden, blocks=blocks)
        self.least = least

    def forward(
        self,
        state: Float[Tensor, "batch token channel"],
        start: Float[Tensor, "batch token channel"],
    ) -> Float[Tensor, "batch token torsion 2"]:
        """Give (sin, cos) before normalisation."""
        return super().forward(functional.relu(state), functional.relu(start))

    def unit(self, raw: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape 2"]:
        """Bring (sin, cos) to length one, with the published guard against a length of zero."""
        return raw / raw.square().sum(-1, keepdim=True).clamp_min(self.least).sqrt()
