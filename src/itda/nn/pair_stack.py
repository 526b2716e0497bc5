"""A trunk block in which the sequence alone can write into the pair."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from itda.nn.attention.pair_bias import AttentionPairBias
from itda.nn.rows import add_by_rows
from itda.nn.single_to_pair import SingleToPair
from itda.nn.transition import Transition
from itda.nn.triangle.attention import TriangleAttention
from itda.nn.triangle.multiplication import TriangleMultiplication


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
        """Give the new single and pair; masked tokens never change the others.

        Neither input is modified.
        """
        pair_mask = mask[:, :, None] & mask[:, None, :]
        # From here on it works in a pair of its own: the one that was given is recycled.
        pair = self.single_to_pair.add_to(pair if torch.is_grad_enabled() else pair.clone(), single)
        for triangle in (self.outgoing, self.incoming, *self.pair_attention):
            if self.training and self.dropout:
                pair = pair + self._drop_rows(triangle(pair, pair_mask))
            else:
                pair = triangle.add_to(pair, pair_mask)
        pair = add_by_rows(pair, self.pair_transition)
        single = single + self.single_attention(single, pair, mask)
        return single + self.single_transition(single), pair

    def _drop_rows(
        self, update: Float[Tensor, "batch row col channel"]
    ) -> Float[Tensor, "batch row col channel"]:
        """Drop the same entries of all rows of an update (AlphaFold 2 SI, 1.11.6)."""
        batch, _, columns, channels = update.shape
        keep = torch.ones(batch, 1, columns, channels, dtype=update.dtype, device=update.device)
        return update * functional.dropout(keep, self.dropout)
