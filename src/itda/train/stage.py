"""Stages of a training run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RecipePart(BaseModel):
    """What the parts of a recipe derive from: nothing that they do not know is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(RecipePart):
    """A part of the run with one crop size and one set of loss weights.

    Attributes:
        steps: Optimiser steps.
        crop: Longest stretch of a chain, residues.
        batch: Examples a step, over all processes.
        recycles: Most recycling passes; each step draws from 0 to this.
        clamp_probability: Share of examples whose backbone error is cut at 10 angstrom.
        losses: Weights by name; those of the family unless told.
    """

    steps: int = Field(gt=0)
    crop: int = Field(gt=3)
    batch: int = Field(gt=0)
    recycles: int = Field(0, ge=0)
    clamp_probability: float = Field(0.9, ge=0, le=1)
    losses: dict[str, float]
