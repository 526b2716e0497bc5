"""From chains to training examples: crops, and batches of them padded to one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from itda.search.templates.template import Template
from itda.structure.chains.chain import Chain


class Movable(Protocol):
    """Arrays that go to a device together."""

    def to(self, device: torch.device | str) -> Self:
        """Move all arrays."""
        ...


FeaturesType = TypeVar("FeaturesType", bound=Movable)
TargetsType = TypeVar("TargetsType", bound=Movable)


@dataclass(frozen=True)
class Batch(Generic[FeaturesType, TargetsType]):
    """Features and targets of several crops, padded to one length."""

    features: FeaturesType
    targets: TargetsType

    def to(self, device: torch.device | str) -> Batch[FeaturesType, TargetsType]:
        """Move all arrays."""
        return Batch(self.features.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Crop:
    """A stretch of a chain, and whether its profile may be seen.

    Attributes:
        chain: Where it is cut from.
        start: First residue, 0-based.
        stop: One past the last.
        show_profile: Whether the profile is an input; it is a target in any case.
        templates: Known structures laid along the whole chain, best first.
    """

    chain: Chain
    start: int
    stop: int
    show_profile: bool
    templates: Sequence[Template] = ()

    @property
    def rows(self) -> slice:
        """The residues of the chain that are in it."""
        return slice(self.start, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


AnyBatch = Batch[Any, Any]


def token_mask(crops: Sequence[Crop]) -> Bool[Tensor, "batch token"]:
    """True for residues, False where a crop is padded to the longest."""
    lengths = torch.tensor([len(crop) for crop in crops])
    return torch.arange(int(lengths.max())) < lengths[:, None]


def stack_padded(examples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
    """Stack the arrays of each name, padded with zeros along their first axis to the longest."""
    longest = max(len(array) for example in examples for array in example.values())
    return {
        name: torch.from_numpy(np.stack([_pad(example[name], longest) for example in examples]))
        for name in examples[0]
    }


def _pad(array: np.ndarray, length: int) -> np.ndarray:
    return np.pad(array, [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1))
