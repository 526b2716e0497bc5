"""What triangle updates have in common: their rows can be made a stretch at a time."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from itda.nn.rows import OfRows, add_rows, collect_rows


class TriangleUpdate(nn.Module):
    """An update of the pair by triangles of edges.

    A subclass says in `rows_of` what it is, once; it is made whole or added, with gradients or
    without, from there.

    Attributes:
        turned: Whether its rows are the columns of the pair.
    """

    turned = False

    def rows_of(
        self,
        edges: Float[Tensor, "batch row col channel"],
        mask: Bool[Tensor, "batch row col"],
    ) -> OfRows:
        """Prepare what all rows need, and return what gives the update of some.

        What is returned reads of `edges` no more than the rows that it is asked for, which may
        have changed elsewhere meanwhile.
        """
        raise NotImplementedError

    def forward(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give the update to add to `pair`; entries outside `pair_mask` contribute nothing."""
        edges = self._turn(pair)
        return self._turn(collect_rows(edges, self.rows_of(edges, self._turn(pair_mask))))

    def add_to(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give `pair` with the update added, in place where no gradient is recorded."""
        edges = self._turn(pair)
        return self._turn(add_rows(edges, self.rows_of(edges, self._turn(pair_mask))))

    def _turn(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2) if self.turned else x
