"""The sizes of a mini model, stored with its weights."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator


class MiniConfig(BaseModel):
    """Hyper-parameters of the `mini` family.

    Attributes:
        single_channels: Width of the single representation.
        pair_channels: Width of the pair representation.
        blocks: Trunk blocks.
        single_heads: Heads of attention over residues.
        pair_heads: Heads of triangle attention; 0 leaves triangle attention out.
        stem_kernel: Residues that the convolution of the input embedding looks at.
        structure_channels: Width inside the structure module.
        structure_heads: Heads of invariant point attention.
        structure_steps: Steps of the structure module, which share weights.
        structure_start: `origin`, or `torsions` for a chain built from predicted phi and psi.
        template_channels: Width of the template embedding; 0 for weights that know no templates.
        recycles: Passes beyond the first that the weights were trained for, and the default.
        dropout: Rate in the trunk's pair updates, in training.
        confidence_channels: Hidden width of the pLDDT head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    single_channels: int = 320
    pair_channels: int = 64
    blocks: int = 8
    single_heads: int = 8
    pair_heads: int = 0
    stem_kernel: int = 9
    structure_channels: int = 256
    structure_heads: int = 8
    structure_steps: int = 4
    structure_start: Literal["origin", "torsions"] = "origin"
    template_channels: int = 0
    recycles: int = 3
    dropout: float = 0.1
    confidence_channels: int = 128

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        if self.template_channels and self.structure_start != "torsions":
            raise ValueError("template_channels needs structure_start: torsions")
        return self
