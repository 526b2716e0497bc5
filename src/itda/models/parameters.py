"""Parameters of a family's own, such as steps of diffusion."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FamilyParameters(BaseModel):
    """What a family derives its parameters from; each has a default and a docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
