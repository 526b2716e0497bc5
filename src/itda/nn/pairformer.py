"""The trunk block of AlphaFold 3."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from itda.nn.attention.pair_bias import AttentionPairBias
from itda.nn.rows import add_by_rows
from itda.nn.transition import Transition
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication

Precision = Literal["float32", "bfloat16"]


class PairformerBlock(nn.Module):
    """Triangle updates of the pair, then of the single by the pair (AlphaFold 3 SI, algorithm 17).

    Without gradients the pair is worked on in place and in rows, and no tensor grows with the cube
    of the tokens. With them each block keeps what grows so; `torch.utils.checkpoint` trades that
    for a second run. There is no dropout.

    Args:
        single_channels: Of the single representation.
        pair_channels: Of the pair representation.
        single_heads: That share the single channels.
        pair_heads: That share the pair channels.
        precision: Of matrix products. With `bfloat16` the weights of linear layers are kept so and
            products are summed in float32; norms, softmax and both representations stay in float32.
        ending_bias_transposed: As in OpenFold3; see `TriangleAttention`.
    """

    def __init__(
        self,
        single_channels: int = 384,
        pair_channels: int = 128,
        single_heads: int = 16,
        pair_heads: int = 4,
        *,
        precision: Precision = "float32",
        ending_bias_transposed: bool = False,
    ) -> None:
        super().__init__()
        self.outgoing = TriangleMultiplication(pair_channels, outgoing=True, gate_biased=False)
        self.incoming = TriangleMultiplication(pair_channels, outgoing=False, gate_biased=False)
        self.starting = TriangleAttention(
            pair_channels, pair_heads, starting=True, gate_biased=False
        )
        self.ending = TriangleAttention(
            pair_channels,
            pair_heads,
            starting=False,
            gate_biased=False,
            bias_transposed=ending_bias_transposed,
        )
        self.pair_transition = Transition(pair_channels, 4)
        self.single_attention = AttentionPairBias(
            single_channels, pair_channels, single_heads, gate_biased=False, query_biased=True
        )
        self.single_transition = Transition(single_channels, 4)
        if precision == "bfloat16":
            products_in_bfloat16(self)

    def forward(
        self,
        single: Float[Tensor, "batch token channel"],
        pair: Float[Tensor, "batch token token pair_channel"],
        mask: Bool[Tensor, "batch token"],
    ) -> tuple[
        Float[Tensor, "batch token channel"], Float[Tensor, "batch token token pair_channel"]
    ]:
        """Give the new single and pair; masked tokens never change the others.

        Args:
            single: Float32; not modified.
            pair: Float32; modified in place where no gradient is recorded (`torch.no_grad()`).
            mask: True for tokens, False for padding.
        """
        pair_mask = mask[:, :, None] & mask[:, None, :]
        for triangle in (self.outgoing, self.incoming, self.starting, self.ending):
            pair = triangle.add_to(pair, pair_mask)
        pair = add_by_rows(pair, self.pair_transition)
        single = single + self.single_attention(single, pair, mask)
        return single + self.single_transition(single), pair


def products_in_bfloat16(module: nn.Module) -> None:
    """Keep the weights of linear layers in bfloat16, and so multiply in it.

    Layers that give logits of attention, each named `bias`, stay in float32: they are narrow, and a
    rounded logit is a factor on a weight.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and name.rpartition(".")[2] != "bias":
            layer.to(torch.bfloat16)
