"""From a single representation into the pair."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear
from itda.nn.rows import OfRows, add_rows


class SingleToPair(nn.Module):
    """Products and differences of single vectors, to update the pair (ESMFold, Lin et al. 2023).

    Args:
        single_channels: Of the single representation.
        pair_channels: Of the pair representation.
        inner: Products, and as many differences; `pair_channels` unless told.
    """

    def __init__(
        self, single_channels: int, pair_channels: int, *, inner: int | None = None
    ) -> None:
        super().__init__()
        self.inner = inner or pair_channels
        self.norm = nn.LayerNorm(single_channels)
        self.project = linear(single_channels, 2 * self.inner)
        self.project_out = linear(2 * self.inner, pair_channels, start="zero")

    def forward(
        self, single: Float[Tensor, "batch token channel"]
    ) -> Float[Tensor, "batch token token pair_channel"]:
        """Give the update to add to the pair."""
        return self._rows_of(single)(slice(None))

    def add_to(
        self,
        pair: Float[Tensor, "batch token token pair_channel"],
        single: Float[Tensor, "batch token channel"],
    ) -> Float[Tensor, "batch token token pair_channel"]:
        """Give `pair` with the update added, in place where no gradient is recorded."""
        return add_rows(pair, self._rows_of(single))

    def _rows_of(self, single: Float[Tensor, "batch token channel"]) -> OfRows:
        left, right = self.project(self.norm(single)).chunk(2, dim=-1)
        products, differences = self.project_out.weight.split(self.inner, dim=1)
        # A difference is projected before it is taken: the same sum without a tensor of all pairs.
        first = functional.linear(left, differences, self.project_out.bias)
        second = functional.linear(right, differences)

        def update(rows: slice) -> Float[Tensor, "batch part token pair_channel"]:
            mixed = functional.linear(left[:, rows, None] * right[:, None, :], products)
            return mixed.add_(first[:, rows, None]).sub_(second[:, None, :])

        return update
