"""The trunk: blocks that update a single and a pair representation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.linear import linear
from itda.nn.rows import add_by_rows, map_rows, row_slices
from itda.ops import routing
from itda.ops.attention import attention
from itda.ops.gated_transition import gated_transition
from itda.ops.layer_norm import layer_norm
from itda.ops.triangle_attention import triangle_attention
from itda.ops.triangle_multiply import triangle_multiply


def normed(
    norm: nn.LayerNorm, x: Float[Tensor, "*shape channel"], layer: nn.Linear
) -> Float[Tensor, "*shape channel"]:
    """Norm in the number format of `x` and give the result in that of the layer that reads it."""
    return layer_norm(x, norm.weight, norm.bias, epsilon=norm.eps).to(layer.weight.dtype)


class Transition(nn.Module):
    """Two-layer gated update of every vector (AlphaFold 3 SI, algorithm 11)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.up = linear(channels, 2 * factor * channels, bias=False, start="relu")
        self.down = linear(factor * channels, channels, bias=False, start="zero")

    def forward(self, x: Float[Tensor, "*shape channel"]) -> Float[Tensor, "*shape channel"]:
        """Give the update to add to `x`."""
        if self._has_kernel(x):
            return gated_transition(
                x,
                norm_weight=self.norm.weight,
                norm_bias=self.norm.bias,
                up=self.up.weight,
                down=self.down.weight,
                epsilon=self.norm.eps,
            )
        x = normed(self.norm, x, self.up)
        if torch.is_grad_enabled():
            gate, value = self.up(x).chunk(2, dim=-1)
            out: Tensor = self.down(functional.silu(gate) * value)
            return out
        # One after the other, so that less is in use at a time.
        to_gate, to_value = self.up.weight.chunk(2)
        hidden = functional.silu(functional.linear(x, to_gate), inplace=True)
        out = self.down(hidden.mul_(functional.linear(x, to_value)))
        return out

    def _has_kernel(self, x: Float[Tensor, "*shape channel"]) -> bool:
        """Whether the routing names something else than PyTorch's own operations."""
        if x.dtype != self.up.weight.dtype:
            return False
        inputs = (x, self.norm.weight, self.norm.bias, self.up.weight, self.down.weight)
        channels = x.shape[-1]
        tokens = x.numel() // max(1, channels)
        chosen = routing.pick("gated_transition", "auto", inputs, channels=channels, tokens=tokens)
        return chosen != "torch"


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


class TriangleMultiplication(nn.Module):
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

    def forward(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give the update to add to `pair`; entries outside `pair_mask` contribute nothing."""
        if torch.is_grad_enabled():
            left, right = self._edges(pair, pair_mask).chunk(2, dim=-1)
            return self._read(triangle_multiply(left, right, outgoing=self.outgoing), pair)
        product = self._product(pair, pair_mask)
        update, read = torch.empty_like(pair), self._reader()
        for part in row_slices(pair):
            update[:, part] = self._update(pair[:, part], product[:, :, part], *read)
        return update

    def add_to(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Add the update to `pair` in place, without gradients."""
        product, read = self._product(pair, pair_mask), self._reader()
        for part in row_slices(pair):
            pair[:, part] += self._update(pair[:, part], product[:, :, part], *read)
        return pair

    def _product(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch channel row col"]:
        """Sum over the third corners.

        Channels come first, where each is an ordinary matrix: the matrix products write and read
        them so, and nothing is transposed in memory.
        """
        batch, rows, columns, channels = pair.shape
        edges = self.project.weight.new_empty(batch, 2 * channels, rows, columns)
        whole = bool(pair_mask.all())
        for part in row_slices(pair):
            x = normed(self.norm, pair[:, part], self.project).flatten(1, 2).transpose(1, 2)
            gated = _project_first(self.project, x).mul_(_project_first(self.gate, x).sigmoid_())
            if not whole:
                gated.mul_(pair_mask[:, part].flatten(1)[:, None])
            edges[:, :, part] = gated.unflatten(2, (-1, columns))
        left, right = edges.permute(0, 2, 3, 1).chunk(2, dim=-1)
        return triangle_multiply(left, right, outgoing=self.outgoing).permute(0, 3, 1, 2)

    def _reader(self) -> tuple[Float[Tensor, "channel channel"], Float[Tensor, "channel"]]:
        """Let the scale and shift of the norm of products join the projection that reads them."""
        layer, norm = self.project_out, self.norm_out
        weight = (layer.weight * norm.weight).to(layer.weight.dtype)
        shift = functional.linear(norm.bias.to(weight.dtype), layer.weight, layer.bias)
        return weight, shift

    def _update(
        self,
        pair: Float[Tensor, "batch part col channel"],
        product: Float[Tensor, "batch channel part col"],
        weight: Float[Tensor, "channel channel"],
        shift: Float[Tensor, "channel"],
    ) -> Float[Tensor, "batch part col channel"]:
        """Norm products over the channels, project and gate them."""
        gate = self.gate_out(normed(self.norm, pair, self.gate_out)).sigmoid_()
        flat = product.flatten(2).to(self.norm_out.weight.dtype)
        centred = flat - flat.mean(1, keepdim=True)
        width = (centred.square().mean(1) + self.norm_out.eps).rsqrt_()
        projected = weight.new_empty(len(flat), flat.shape[2], len(weight))
        # Item by item: a product with a batch copies what stands in columns.
        for item, columns in zip(projected, centred.to(weight.dtype), strict=True):
            torch.mm(columns.t(), weight.t(), out=item)
        projected.mul_(width.to(weight.dtype)[..., None]).add_(shift)
        out: Tensor = gate.mul_(projected.view_as(gate))
        return out

    def _edges(
        self,
        pair: Float[Tensor, "batch part col channel"],
        pair_mask: Bool[Tensor, "batch part col"],
    ) -> Float[Tensor, "batch part col two_channels"]:
        x = self.norm(pair)
        gated: Tensor = self.project(x) * torch.sigmoid(self.gate(x))
        return gated * pair_mask[..., None].to(x.dtype)

    def _read(
        self,
        product: Float[Tensor, "batch part col channel"],
        pair: Float[Tensor, "batch part col channel"],
    ) -> Float[Tensor, "batch part col channel"]:
        gate = torch.sigmoid(self.gate_out(self.norm(pair)))
        out: Tensor = self.project_out(self.norm_out(product.contiguous())) * gate
        return out


def _project_first(
    layer: nn.Linear, x: Float[Tensor, "batch channel pair"]
) -> Float[Tensor, "batch out pair"]:
    """Apply a linear layer to vectors that stand in columns.

    Item by item, since a product with a batch is computed the other way round and copied.
    """
    out = x.new_empty(x.shape[0], len(layer.weight), x.shape[2])
    for item, columns in zip(out, x, strict=True):
        torch.mm(layer.weight, columns, out=item)
    return out if layer.bias is None else out.add_(layer.bias[:, None])


class TriangleAttention(nn.Module):
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
        self.starting = starting
        self.bias_transposed = bias_transposed
        self.norm = nn.LayerNorm(channels)
        self.bias = linear(channels, heads, bias=False)
        self.project = linear(channels, 3 * channels, bias=False)
        self.gate = linear(channels, channels, bias=gate_biased, start="gate")
        self.project_out = linear(channels, channels, bias=biased, start="zero")

    def forward(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Give the update to add to `pair`."""
        edges, mask = self._oriented(pair, pair_mask)
        x, bias = self._normed(edges)
        out = torch.cat(
            [self._rows(x[:, rows], bias, mask[:, rows]) for rows in self._slices(edges)], dim=1
        ).to(pair.dtype)
        return out if self.starting else out.transpose(1, 2)

    def add_to(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> Float[Tensor, "batch row col channel"]:
        """Add the update to `pair` in place, without gradients."""
        edges, mask = self._oriented(pair, pair_mask)
        x, bias = self._normed(edges)
        for rows in row_slices(edges):
            edges[:, rows] += self._rows(x[:, rows], bias, mask[:, rows])
        return pair

    def _oriented(
        self,
        pair: Float[Tensor, "batch row col channel"],
        pair_mask: Bool[Tensor, "batch row col"],
    ) -> tuple[Float[Tensor, "batch row col channel"], Bool[Tensor, "batch row col"]]:
        if self.starting:
            return pair, pair_mask
        return pair.transpose(1, 2), pair_mask.transpose(1, 2)

    def _slices(self, edges: Float[Tensor, "batch row col channel"]) -> list[slice]:
        return [slice(None)] if torch.is_grad_enabled() else list(row_slices(edges))

    def _normed(
        self, edges: Float[Tensor, "batch row col channel"]
    ) -> tuple[Float[Tensor, "batch row col channel"], Float[Tensor, "batch head query key"]]:
        """Norm all edges, and read the bias, which every row needs, from them."""
        if torch.is_grad_enabled():
            x: Tensor = self.norm(edges)
            bias: Tensor = self.bias(x)
        else:
            # Edges of ending nodes stand in columns: here they are read once.
            x = edges.new_empty(edges.shape, dtype=self.project.weight.dtype)
            bias = edges.new_empty(*edges.shape[:-1], self.heads)
            for rows in row_slices(edges):
                part = normed(self.norm, edges[:, rows], self.bias)
                x[:, rows], bias[:, rows] = part, self.bias(part)
        order = (0, 3, 2, 1) if self.bias_transposed else (0, 3, 1, 2)
        return x, bias.permute(order).contiguous()

    def _rows(
        self,
        x: Float[Tensor, "batch part col channel"],
        bias: Float[Tensor, "batch head query key"],
        mask: Bool[Tensor, "batch part col"],
    ) -> Float[Tensor, "batch part col channel"]:
        projected = self.project(x)
        if x.device.type == "cpu":
            # There attention is as fast in float32, and its logits are not rounded.
            projected = projected.to(bias.dtype)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)) for part in projected.chunk(3, dim=-1)
        )
        mixed = triangle_attention(query, key, value, bias=bias, mask=mask).flatten(-2).to(x.dtype)
        out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
        return out


class AttentionPairBias(nn.Module):
    """Attention over residues with a bias read from the pair (AlphaFold 3 SI, algorithm 24).

    Args:
        single_channels: Of the single representation, and inside.
        pair_channels: Of the pair representation.
        heads: That share the single channels.
        biased: Whether the output has a bias.
        gate_biased: Whether the gate has a bias; in AlphaFold 3 it has none.
        query_biased: Whether the queries have a bias, as in AlphaFold 3.
    """

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        heads: int,
        *,
        biased: bool = False,
        gate_biased: bool = True,
        query_biased: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(single_channels)
        self.norm_pair = nn.LayerNorm(pair_channels)
        self.bias = linear(pair_channels, heads, bias=False)
        self.project = linear(single_channels, 3 * single_channels, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(single_channels)) if query_biased else None
        self.gate = linear(single_channels, single_channels, bias=gate_biased, start="gate")
        self.project_out = linear(single_channels, single_channels, bias=biased, start="zero")

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token channel"]:
        """Give the update to add to `single`."""
        x = normed(self.norm, single, self.project)
        query, key, value = self.project(x).chunk(3, dim=-1)
        if self.query_bias is not None:
            query = query + self.query_bias.to(query.dtype)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        bias = map_rows(pair, lambda rows: self.bias(normed(self.norm_pair, rows, self.bias)))
        bias = bias.permute(0, 3, 1, 2)
        mixed = attention(query, key, value, bias=bias, key_mask=mask)
        mixed = mixed.transpose(1, 2).flatten(-2)
        out: Tensor = self.project_out(mixed * torch.sigmoid(self.gate(x)))
        return out


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
        left, right = self.project(self.norm(single)).chunk(2, dim=-1)
        products, differences = self.project_out.weight.split(self.inner, dim=1)
        # A difference is projected before it is taken: the same sum without a tensor of all pairs.
        first = functional.linear(left, differences, self.project_out.bias)
        second = functional.linear(right, differences)
        if torch.is_grad_enabled():
            mixed = functional.linear(left[:, :, None] * right[:, None, :], products)
            return mixed + first[:, :, None] - second[:, None, :]
        batch, tokens = single.shape[:2]
        out = single.new_empty(batch, tokens, tokens, len(products))
        for rows in row_slices(out):
            mixed = functional.linear(left[:, rows, None] * right[:, None, :], products)
            out[:, rows] = mixed.add_(first[:, rows, None]).sub_(second[:, None, :])
        return out


class PairStackBlock(nn.Module):
    """One trunk block: pair from single, triangles, transition, then single from pair.

    Pair updates of Pairformer (AlphaFold 3 SI, algorithm 17) with the single-to-pair step of
    ESMFold, so that sequence alone can write into the pair. Triangle attention is optional
    (Pairmixer, arXiv 2510.18870, does without).
    """

    def __init__(
        self,
        single_channels: int,
        pair_channels: int,
        single_heads: int,
        *,
        pair_heads: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.single_to_pair = SingleToPair(single_channels, pair_channels)
        self.outgoing = TriangleMultiplication(pair_channels, outgoing=True)
        self.incoming = TriangleMultiplication(pair_channels, outgoing=False)
        self.pair_attention = nn.ModuleList(
            TriangleAttention(pair_channels, pair_heads, starting=starting)
            for starting in ((True, False) if pair_heads else ())
        )
        self.pair_transition = Transition(pair_channels, 2)
        self.single_attention = AttentionPairBias(single_channels, pair_channels, single_heads)
        self.single_transition = Transition(single_channels, 4)
        self.dropout = dropout

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the new single and pair; masked tokens never change the others."""
        pair_mask = mask[:, :, None] & mask[:, None, :]
        pair = pair + self.single_to_pair(single)
        for triangle in (self.outgoing, self.incoming, *self.pair_attention):
            if torch.is_grad_enabled() or self.training:
                pair = pair + self._drop_rows(triangle(pair, pair_mask))
            else:
                triangle.add_to(pair, pair_mask)
        pair = add_by_rows(pair, self.pair_transition)
        single = single + self.single_attention(single, pair, mask)
        return single + self.single_transition(single), pair

    def _drop_rows(
        self, update: Float[Tensor, "batch row col channel"]
    ) -> Float[Tensor, "batch row col channel"]:
        """Drop whole rows of an update in training (AlphaFold 2 SI, 1.11.6)."""
        if not self.training or not self.dropout:
            return update
        batch, _, columns, channels = update.shape
        keep = torch.ones(batch, 1, columns, channels, dtype=update.dtype, device=update.device)
        return update * functional.dropout(keep, self.dropout)
