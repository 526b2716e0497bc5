"""Triangle attention: the edges of one node attend to one another."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from itda.nn.linear import linear, normed
from itda.nn.rows import OfRows, map_rows
from itda.nn.triangle.update import TriangleUpdate
from itda.ops.triangle_attention import triangle_attention


class TriangleAttention(TriangleUpdate):
    """Attention among the edges of one node (AlphaFold 3 SI, algorithms 14 and 15).

    Args:
        channels: Of the pair representation, and inside.
        heads: That share the channels.
        starting: Whether edges of one starting node attend to one another, or of one ending node.
        biased: Whether the output has a bias, as in AlphaFold 2 (SI, algorithms 13 and 14).
        gate_biased: Whether the gate has a bias; in AlphaFold 3 it has none.
        bias_transposed: Whether the bias of query j and key k is read from the edge k->j of the
            oriented pair, as OpenFold3 does around ending nodes, and not from j->k.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        starting: bool,
        biased: bool = False,
        gate_biased: bool = True,
        bias_transposed: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.turned = not starting
        self.bias_transposed = bias_transposed
        self.norm = nn.LayerNorm(channels)
        self.bias = linear(channels, heads, bias=False)
        self.project = linear(channels, 3 * channels, bias=False)
        self.gate = linear(channels, channels, bias=gate_biased, start="gate")
        self.project_out = linear(channels, channels, bias=biased, start="zero")

    def rows_of(
        self,
        edges: Float[Tensor, "batch row col channel"],
        mask: Bool[Tensor, "batch row col"],
    ) -> OfRows:
        """Norm all edges, and read the bias, which every row needs, from them."""
        biases: list[Float[Tensor, "batch part col head"]] = []

        def read(part: Float[Tensor, "batch part col channel"]) -> Float[Tensor, "..."]:
            part = normed(self.norm, part, self.bias)
            biases.append(self.bias(part))
            return part.to(self.project.weight.dtype)

        # Edges of ending nodes stand in columns: here they are read once.
        every = map_rows(edges, read)
        order = (0, 3, 2, 1) if self.bias_transposed else (0, 3, 1, 2)
        bias = torch.cat(biases, dim=1).permute(order).contiguous()

        def update(rows: slice) -> Float[Tensor, "batch part col channel"]:
            x = every[:, rows]
            projected = self.project(x)
            if x.device.type == "cpu":
                # There attention is as fast in float32, and its logits are not rounded.
                projected = projected.to(bias.dtype)
            query, key, value = (
                part.unflatten(-1, (self.heads, -1)) for part in projected.chunk(3, dim=-1)
            )
            mixed = triangle_attention(query, key, value, bias=bias, mask=mask[:, rows])
            mixed = mixed.flatten(-2).to(x.dtype)
            out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
            return out

        return update
