"""Triangle multiplication: each edge learns from the two other edges of its triangles."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear, normed
from itda.nn.rows import OfRows, collect_rows
from itda.nn.triangle.update import TriangleUpdate
from itda.ops.arithmetic import multiplied
from itda.ops.triangle_multiply import triangle_multiply


class TriangleMultiplication(TriangleUpdate):
    """Triangle multiplicative update (AlphaFold 3 SI, algorithms 12 and 13).

    Args:
        channels: Of the pair representation, and inside.
        outgoing: Which edges meet: i->k, j->k (True) or k->i, k->j (False).
        biased: Whether the projections have biases, as in AlphaFold 2 (SI, algorithms 11 and 12).
        gate_biased: Whether the gates have biases; in AlphaFold 3 they have none.
    """

    def __init__(
        self,
        channels: int,
        *,
        outgoing: bool,
        biased: bool = False,
        gate_biased: bool = True,
    ) -> None:
        super().__init__()
        self.outgoing = outgoing
        self.norm = nn.LayerNorm(channels)
        self.project = linear(channels, 2 * channels, bias=biased)
        self.gate = linear(channels, 2 * channels, bias=gate_biased, start="gate")
        self.norm_out = nn.LayerNorm(channels)
        self.gate_out = linear(channels, channels, bias=gate_biased, start="gate")
        self.project_out = linear(channels, channels, bias=biased, start="zero")

    def rows_of(
        self,
        edges: Float[Tensor, "batch row col channel"],
        mask: Bool[Tensor, "batch row col"],
    ) -> OfRows:
        """Sum over the third corners of all triangles; what is left looks at one edge at a time."""
        product = self._product(edges, mask)
        norm, layer = self.norm_out, self.project_out
        # The scale and shift of the norm join the projection that reads it.
        weight = (layer.weight * norm.weight).to(layer.weight.dtype)
        shift = functional.linear(norm.bias.to(weight.dtype), layer.weight, layer.bias)

        def update(rows: slice) -> Float[Tensor, "batch part col channel"]:
            x = normed(self.norm, edges[:, rows], self.gate_out)
            gate: Tensor = self.gate_out(x).sigmoid_()
            columns = product[:, :, rows].flatten(2).to(norm.weight.dtype)
            centred = columns - columns.mean(1, keepdim=True)
            scale = (centred.square().mean(1) + norm.eps).rsqrt_()
            columns = centred.to(weight.dtype).transpose(1, 2)
            projected = torch.bmm(columns, weight.t().expand(len(columns), -1, -1))
            projected = multiplied(projected, scale[..., None]).add_(shift)
            return multiplied(projected, gate.flatten(1, 2)).view_as(gate)

        return update

    def _product(
        self,
        edges: Float[Tensor, "batch row col channel"],
        mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch channel row col"]:
        """Sum over the third corners.

        Channels come first, where each is an ordinary matrix: the matrix products write and read
        them so, and nothing is transposed in memory.
        """
        # Where gradients are recorded nobody looks, so that torch.compile need not break off.
        whole = not torch.is_grad_enabled() and bool(mask.all())

        def gated(rows: slice) -> Float[Tensor, "batch two_channels part col"]:
            x = normed(self.norm, edges[:, rows], self.project).flatten(1, 2).transpose(1, 2)
            out = multiplied(_projected(self.project, x), _projected(self.gate, x).sigmoid_())
            if not whole:
                out = multiplied(out, mask[:, rows].flatten(1)[:, None])
            return out.view(*out.shape[:2], -1, edges.shape[2])

        both = collect_rows(edges, gated, axis=2)
        left, right = (half.permute(0, 2, 3, 1) for half in both.chunk(2, dim=1))
        return triangle_multiply(left, right, outgoing=self.outgoing).permute(0, 3, 1, 2)


def _projected(
    layer: nn.Linear, x: Float[Tensor, "batch channel edge"]
) -> Float[Tensor, "batch out edge"]:
    """Apply a linear layer to vectors that stand in columns; all but `bmm` would copy them."""
    out = torch.bmm(layer.weight.expand(len(x), -1, -1), x)
    return out if layer.bias is None else out.add_(layer.bias[:, None])
