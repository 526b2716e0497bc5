"""ESM-2: the protein language model in front of the folding trunk (Lin et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from itda.models.esmfold.config import EsmFoldConfig

UNMASKED_IN_TRAINING = 1 - 0.15 * 0.8
"""Share of tokens that training left as they are; embeddings are scaled by it (token dropout)."""


class EsmLayer(nn.Module):
    """One transformer layer: attention with rotary positions, then a transition with GELU."""

    def __init__(self, config: EsmFoldConfig) -> None:
        super().__init__()
        channels = config.language_channels
        self.heads = config.language_heads
        self.norm_attention = nn.LayerNorm(channels, eps=config.language_norm_epsilon)
        self.project = nn.Linear(channels, 3 * channels)
        self.project_out = nn.Linear(channels, channels)
        self.norm_transition = nn.LayerNorm(channels, eps=config.language_norm_epsilon)
        self.up = nn.Linear(channels, config.language_hidden)
        self.down = nn.Linear(config.language_hidden, channels)

    def forward(
        self,
        x: Float[Tensor, "batch token channel"],
        rotation: tuple[Float[Tensor, "token half"], Float[Tensor, "token half"]],
        key_mask: Bool[Tensor, "batch token"] | None,
    ) -> Float[Tensor, "batch token channel"]:
        """Give the new state; `key_mask` is None where nothing is padding."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.project(self.norm_attention(x)).chunk(3, dim=-1)
        )
        scale = query.shape[-1] ** -0.5
        mixed = functional.scaled_dot_product_attention(
            rotate(query * scale, *rotation),
            rotate(key, *rotation),
            value,
            attn_mask=None if key_mask is None else key_mask[:, None, None, :],
            scale=1.0,
        )
        x = x + self.project_out(mixed.transpose(1, 2).flatten(-2))
        out: Tensor = x + self.down(functional.gelu(self.up(self.norm_transition(x))))
        return out


class EsmLanguageModel(nn.Module):
    """Embedding and last norm of ESM-2; its layers are given to each run.

    Args:
        config: Sizes.
    """

    inverse_frequency: Tensor

    def __init__(self, config: EsmFoldConfig) -> None:
        super().__init__()
        vocabulary = config.vocabulary
        self.start, self.end, self.padding = (
            vocabulary.index(token) for token in ("<cls>", "<eos>", "<pad>")
        )
        self.embedding = nn.Embedding(len(vocabulary), config.language_channels)
        self.norm = nn.LayerNorm(config.language_channels, eps=config.language_norm_epsilon)
        # As published, where they are rounded to half precision: not computed anew.
        half = config.language_channels // config.language_heads // 2
        self.register_buffer("inverse_frequency", torch.zeros(half))

    def forward(
        self,
        tokens: Int[Tensor, "batch token"],
        mask: Bool[Tensor, "batch token"],
        layers: Iterable[nn.Module],
        share: Float[Tensor, "state"],
    ) -> Float[Tensor, "batch token channel"]:
        """Average the states before and after all layers; gradients reach `share` alone.

        Args:
            tokens: Index of each residue in the vocabulary.
            mask: True for residues; padding stands at the end.
            layers: `EsmLayer`s in order.
            share: Of each state in the average, float32; the first is the embedding's.

        Returns:
            The average for the residues, without start and end tokens, float32.
        """
        batch, length = tokens.shape
        framed = tokens.new_full((batch, length + 2), self.padding)
        framed[:, 0] = self.start
        framed[:, 1:-1] = torch.where(mask, tokens, self.padding)
        framed[torch.arange(batch, device=tokens.device), mask.sum(1) + 1] = self.end
        present = framed != self.padding
        with torch.no_grad():
            x = self.embedding(framed) * UNMASKED_IN_TRAINING * present[..., None]
            x = x.to(self.embedding.weight.dtype)
        position = torch.arange(length + 2, device=tokens.device)
        angle = position[:, None].float() * self.inverse_frequency.float()
        rotation = (angle.cos(), angle.sin())
        key_mask = None if present.all() else present
        gathered: Tensor = share[0] * x.float()
        last = len(share) - 1
        for state, layer in enumerate(layers, 1):
            with torch.no_grad():
                x = layer(x, rotation, key_mask)
                # The published model norms the last state alone.
                normed = self.norm(x) if state == last else x
            gathered += share[state] * normed.float()
        return gathered[:, 1:-1]


def rotate(
    x: Float[Tensor, "batch head token channel"],
    cosine: Float[Tensor, "token half"],
    sine: Float[Tensor, "token half"],
) -> Float[Tensor, "batch head token channel"]:
    """Turn channel pairs (i, i + half) by an angle of the position (RoFormer, Su et al. 2021)."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1).to(
        x.dtype
    )
