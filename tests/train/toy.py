"""A family that is no family of ours, to train: a coil whose step depends on the residue."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from itda.chem.residues import sequence_to_indices
from itda.train.batch import token_mask
from itda.train.targets import ChainTargets


class ToySizes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    types: int = 21


@dataclass(frozen=True)
class ToyFeatures:
    restype: torch.Tensor
    mask: torch.Tensor

    def to(self, device):
        return ToyFeatures(self.restype.to(device), self.mask.to(device))


class Coil(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.step = nn.Embedding(sizes.types, 3)
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, restype):
        return (self.step(restype) + self.shift).cumsum(1)


class ToyTraining:
    family = SimpleNamespace(name="toy", weight_set="toy", converter=None)
    sizes = ToySizes
    loss_names = ("bond", "size")
    loss_weights = {"bond": 1.0}  # noqa: RUF012

    def network(self, sizes):
        return Coil(sizes)

    def features(self, crops):
        mask = token_mask(crops)
        restype = torch.zeros(mask.shape, dtype=torch.long)
        for row, crop in enumerate(crops):
            types = sequence_to_indices(crop.chain.sequence[crop.rows])
            restype[row, : len(crop)] = torch.tensor(types)
        return ToyFeatures(restype, mask)

    def targets(self, crops):
        return ChainTargets.of_crops(crops)

    def losses(self, network, batch, stage, *, recycles):
        ca = network(batch.features.restype)
        bonds = (ca[:, 1:] - ca[:, :-1]).norm(dim=-1)
        error = ((bonds - 3.8).square() * batch.targets.linked[:, :-1]).mean()
        parts = {"bond": error}
        if "size" in stage.losses:
            parts["size"] = ca.square().mean().sqrt()
        return sum(stage.losses[name] * value for name, value in parts.items()), parts

    def fold(self, network, features):
        return network(features.restype)

    def parameter_groups(self, network, *, weight_decay):
        return [
            {"params": [network.step.weight], "weight_decay": weight_decay},
            {"params": [network.shift], "weight_decay": 0.0},
        ]

    def compiled(self, network):
        return [network]


TRAINABLE = ToyTraining()
