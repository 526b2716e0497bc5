"""From the weights of the package `flash-abb` to ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from itda.hub.convert import Converted, StateReader
from itda.models.flashabb.config import FlashAbbConfig

WEIGHTS_FILE = "flabb_weights.pt"
CONFIG_FILE = "params.yaml"

EARLIER_ANGLES = "gives angles of a block before the last, which no structure or confidence reads"


class FlashAbbConverter:
    """Renames and rearranges; no value is changed."""

    version = 1

    def convert(
        self, states: Mapping[str, Mapping[str, Tensor]], documents: Mapping[str, Any]
    ) -> Converted:
        """Give our tensors.

        Args:
            states: The published tensors under `flabb_weights.pt`.
            documents: The published sizes under `params.yaml`.

        Raises:
            WeightsError: A tensor is missing, or one is left over, or the sizes are of another
                architecture.
        """
        config = FlashAbbConfig.from_published(documents[CONFIG_FILE])
        reader = StateReader(states[WEIGHTS_FILE], source=WEIGHTS_FILE)
        tensors = _affine(reader, "model.linear_in_node", "embedding")
        for number in range(config.blocks):
            for name, tensor in _block(reader, number, config).items():
                tensors[f"blocks.{number}.{name}"] = tensor
        tensors |= _angles(reader, config)
        for theirs, ours in (("layer_norm", 0), ("linear_1", 1), ("linear_2", 3), ("linear_3", 5)):
            tensors |= _affine(reader, f"model.plddt.{theirs}", f"lddt_head.{ours}")
        for number in range(config.blocks - 1):
            reader.skip(f"model.angle_resnet_layers.{number}.*", EARLIER_ANGLES)
        return Converted(tensors, config.model_dump(mode="json"), reader.finish())


CONVERTER = FlashAbbConverter()


def _affine(reader: StateReader, published: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.{part}": reader.take(f"{published}.{part}") for part in ("weight", "bias")}


def _block(reader: StateReader, number: int, config: FlashAbbConfig) -> dict[str, Tensor]:
    tensors = _attention(reader, f"model.ipa_layers.{number}.", config)
    tensors |= _affine(reader, f"model.layer_norm_ipa_layers.{number}", "norm_attention")
    transition = f"model.transition_layers.{number}."
    for theirs, ours in (("linear_1", 0), ("linear_2", 2), ("linear_3", 4)):
        tensors |= _affine(reader, f"{transition}layers.0.{theirs}", f"transition.{ours}")
    tensors |= _affine(reader, f"{transition}layer_norm", "norm_transition")
    return tensors | _affine(reader, f"model.bb_update_layers.{number}.linear", "update")


def _attention(reader: StateReader, source: str, config: FlashAbbConfig) -> dict[str, Tensor]:
    heads = config.heads
    tensors = {
        "attention.point_weight": reader.take(f"{source}head_weights"),
        "attention.frequency": reader.take(f"{source}rotary_emb.freqs"),
        "attention.project_out.bias": reader.take(f"{source}linear_out.bias"),
    }
    for part in ("weight", "bias"):
        query = reader.take(f"{source}linear_q.{part}").unflatten(0, (heads, -1))
        key_value = reader.take(f"{source}linear_kv.{part}").unflatten(0, (heads, -1))
        key, value = key_value.chunk(2, dim=1)
        scalars = torch.cat([_halves(query), _halves(key), value], dim=1)
        tensors[f"attention.scalars.{part}"] = scalars.flatten(0, 1)
        # Published axis by axis (x, y, z), each head by head; ours head by head, then x, y, z.
        points = reader.take(f"{source}linear_points.{part}").unflatten(0, (3, heads, -1))
        tensors[f"attention.points.{part}"] = points.movedim(0, 2).flatten(0, 2).contiguous()
    tensors["attention.project_out.weight"] = _gathered(
        reader.take(f"{source}linear_out.weight"), config
    )
    return tensors


def _halves(rows: Tensor) -> Tensor:
    """Bring rotary pairs from neighbours (0, 1), (2, 3) to halves (0, n), (1, n + 1)."""
    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1)


def _gathered(weight: Tensor, config: FlashAbbConfig) -> Tensor:
    """Bring the columns of points from (x, y, z), each head by head, to x, y, z of each point."""
    heads, points = config.heads, config.value_points
    sizes = [heads * config.head_channels, *[heads * points] * 3]
    scalars, x, y, z, rest = weight.split([*sizes, weight.shape[1] - sum(sizes)], dim=1)
    local = torch.stack([x, y, z], dim=-1).flatten(1)
    return torch.cat([scalars, local, rest], dim=1).contiguous()


def _angles(reader: StateReader, config: FlashAbbConfig) -> dict[str, Tensor]:
    source = f"model.angle_resnet_layers.{config.blocks - 1}."
    tensors = _affine(reader, f"{source}linear_in", "torsions.from_state")
    tensors |= _affine(reader, f"{source}linear_initial", "torsions.from_start")
    for number in range(config.torsion_blocks):
        block = f"{source}layers.{number}."
        tensors |= _affine(reader, f"{block}linear_2", f"torsions.blocks.{number}.1")
        tensors |= _affine(reader, f"{block}linear_3", f"torsions.blocks.{number}.3")
    return tensors | _affine(reader, f"{source}linear_out", "torsions.out")
