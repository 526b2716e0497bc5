"""From the published weights of ESMFold to ours.

The published file is `facebook/esmfold_v1` of the Hugging Face hub, whose names are those of
`transformers`' `EsmForProteinFolding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from itda.errors import WeightsError
from itda.hub.convert import Converted, StateReader
from itda.language import Message
from itda.models.esmfold.config import EsmFoldConfig

WEIGHTS_FILE = "pytorch_model.bin"
CONFIG_FILE = "config.json"
LAYER_PREFIX = "language_model.layers."

_LAYER = "esm.encoder.layer."
_FREQUENCY = "attention.self.rotary_embeddings.inv_freq"
_UNUSED = {
    "esm.contact_head.*": "predicts contacts from attention maps, which folding does not read",
    "esm.embeddings.position_ids": "a counter; positions are rotary",
    "esm.embeddings.position_embeddings.weight": "of absolute positions; positions are rotary",
    "af2_to_esm": "the order of residue types, which the vocabulary gives",
    "lm_head.*": "predicts masked residues in training; no structure or confidence reads it",
    "trunk.structure_module.ipa.linear_b.bias": (
        "adds one number to all scores of a head, which softmax takes out again"
    ),
}


class EsmFoldConverter:
    """Renames and rearranges; no value is changed but for exact signs and orders."""

    version = 1

    def convert(
        self, states: Mapping[str, Mapping[str, Tensor]], documents: Mapping[str, Any]
    ) -> Converted:
        """Give our tensors.

        Args:
            states: The published tensors under `pytorch_model.bin`.
            documents: The published sizes under `config.json`.

        Raises:
            WeightsError: A tensor is missing, or one is left over, or the sizes are of another
                architecture.
        """
        config = EsmFoldConfig.from_published(documents[CONFIG_FILE])
        reader = StateReader(states[WEIGHTS_FILE], source=WEIGHTS_FILE)
        # The layers of the language model come first, in the order in which they are read.
        tensors = dict(_language_layers(reader, config))
        tensors |= _language_model(reader, states[WEIGHTS_FILE], config)
        tensors |= _inputs(reader)
        for number in range(config.blocks):
            published = f"trunk.blocks.{number}."
            for name, tensor in _block(reader, published, config).items():
                tensors[f"blocks.{number}.{name}"] = tensor
        tensors |= _structure(reader, config)
        tensors |= _heads(reader)
        for pattern, reason in _UNUSED.items():
            reader.skip(pattern, reason)
        return Converted(tensors, config.model_dump(mode="json"), reader.finish())


CONVERTER = EsmFoldConverter()


def _affine(reader: StateReader, published: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.{part}": reader.take(f"{published}.{part}") for part in ("weight", "bias")}


def _joined(reader: StateReader, published: list[str], ours: str) -> dict[str, Tensor]:
    """Stack the outputs of several linear layers of one input."""
    return {
        f"{ours}.{part}": torch.cat([reader.take(f"{name}.{part}") for name in published])
        for part in ("weight", "bias")
    }


def _language_layers(reader: StateReader, config: EsmFoldConfig) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for number in range(config.language_layers):
        source, target = f"{_LAYER}{number}.", f"{LAYER_PREFIX}{number}."
        attention = f"{source}attention."
        tensors |= _affine(reader, f"{attention}LayerNorm", f"{target}norm_attention")
        parts = [f"{attention}self.{name}" for name in ("query", "key", "value")]
        tensors |= _joined(reader, parts, f"{target}project")
        tensors |= _affine(reader, f"{attention}output.dense", f"{target}project_out")
        tensors |= _affine(reader, f"{source}LayerNorm", f"{target}norm_transition")
        tensors |= _affine(reader, f"{source}intermediate.dense", f"{target}up")
        tensors |= _affine(reader, f"{source}output.dense", f"{target}down")
    return tensors


def _language_model(
    reader: StateReader, state: Mapping[str, Tensor], config: EsmFoldConfig
) -> dict[str, Tensor]:
    tensors = {
        "language_model.embedding.weight": reader.take("esm.embeddings.word_embeddings.weight")
    }
    tensors |= _affine(reader, "esm.encoder.emb_layer_norm_after", "language_model.norm")
    tensors["language_model.inverse_frequency"] = _inverse_frequency(reader, state, config)
    return tensors


def _inverse_frequency(
    reader: StateReader, state: Mapping[str, Tensor], config: EsmFoldConfig
) -> Tensor:
    """Take the rotary frequencies as published, which may be rounded, and not a formula's."""
    shared = "esm.rotary_embeddings.inv_freq"
    if shared in state:
        return reader.take(shared)
    first, *others = (
        reader.take(f"{_LAYER}{number}.{_FREQUENCY}") for number in range(config.language_layers)
    )
    for number, other in enumerate(others, 1):
        if not torch.equal(first, other):
            raise WeightsError(
                Message(
                    "{weights_file}: {layer}{number}.{frequency} differs from that of layer 0",
                    weights_file=WEIGHTS_FILE,
                    layer=_LAYER,
                    number=number,
                    frequency=_FREQUENCY,
                ),
                hint=Message(
                    "this family runs weights whose layers share their rotary frequencies"
                ),
            )
    return first


def _inputs(reader: StateReader) -> dict[str, Tensor]:
    tensors = {
        "state_share": reader.take("esm_s_combine"),
        "restype.weight": reader.take("embedding.weight"),
        "relative_position.weight": reader.take(
            "trunk.pairwise_positional_embedding.embedding.weight"
        ),
        "recycled_distance.weight": reader.take("trunk.recycle_disto.weight"),
    }
    for number in (0, 1, 3):
        tensors |= _affine(reader, f"esm_s_mlp.{number}", f"from_language.{number}")
    tensors |= _affine(reader, "trunk.recycle_s_norm", "norm_recycled_single")
    tensors |= _affine(reader, "trunk.recycle_z_norm", "norm_recycled_pair")
    return tensors


def _block(reader: StateReader, source: str, config: EsmFoldConfig) -> dict[str, Tensor]:
    tensors = _single_attention(reader, source, config)
    for theirs, ours in (("mlp_seq", "single_transition"), ("mlp_pair", "pair_transition")):
        tensors |= _affine(reader, f"{source}{theirs}.mlp.0", f"{ours}.norm")
        tensors |= _affine(reader, f"{source}{theirs}.mlp.1", f"{ours}.up")
        tensors |= _affine(reader, f"{source}{theirs}.mlp.3", f"{ours}.down")
    tensors |= _single_to_pair(reader, f"{source}sequence_to_pair.")
    for theirs, ours in (("tri_mul_out", "outgoing"), ("tri_mul_in", "incoming")):
        part = f"{source}{theirs}."
        tensors |= _affine(reader, f"{part}layer_norm_in", f"{ours}.norm")
        tensors |= _joined(reader, [f"{part}linear_a_p", f"{part}linear_b_p"], f"{ours}.project")
        tensors |= _joined(reader, [f"{part}linear_a_g", f"{part}linear_b_g"], f"{ours}.gate")
        tensors |= _affine(reader, f"{part}layer_norm_out", f"{ours}.norm_out")
        tensors |= _affine(reader, f"{part}linear_g", f"{ours}.gate_out")
        tensors |= _affine(reader, f"{part}linear_z", f"{ours}.project_out")
    for theirs, ours in (("tri_att_start", "starting"), ("tri_att_end", "ending")):
        part = f"{source}{theirs}."
        tensors |= _affine(reader, f"{part}layer_norm", f"{ours}.norm")
        tensors[f"{ours}.bias.weight"] = reader.take(f"{part}linear.weight")
        tensors[f"{ours}.project.weight"] = torch.cat(
            [reader.take(f"{part}mha.linear_{name}.weight") for name in "qkv"]
        )
        tensors |= _affine(reader, f"{part}mha.linear_g", f"{ours}.gate")
        tensors |= _affine(reader, f"{part}mha.linear_o", f"{ours}.project_out")
    return tensors


def _single_attention(reader: StateReader, source: str, config: EsmFoldConfig) -> dict[str, Tensor]:
    ours = "single_attention"
    heads = config.single_channels // config.single_head_channels
    tensors = _affine(reader, f"{source}layernorm_1", f"{ours}.norm")
    tensors |= _affine(reader, f"{source}pair_to_sequence.layernorm", f"{ours}.norm_pair")
    tensors[f"{ours}.bias.weight"] = reader.take(f"{source}pair_to_sequence.linear.weight")
    # Published head by head, each its query, key and value; ours all queries, keys, values.
    project = reader.take(f"{source}seq_attention.proj.weight")
    by_head = project.unflatten(0, (heads, 3, -1))
    tensors[f"{ours}.project.weight"] = by_head.transpose(0, 1).flatten(0, 2).contiguous()
    tensors |= _affine(reader, f"{source}seq_attention.g_proj", f"{ours}.gate")
    tensors |= _affine(reader, f"{source}seq_attention.o_proj", f"{ours}.project_out")
    return tensors


def _single_to_pair(reader: StateReader, source: str) -> dict[str, Tensor]:
    """Exchange the halves: published, the first is the column's, and it is column - row."""
    ours = "single_to_pair"
    tensors = _affine(reader, f"{source}layernorm", f"{ours}.norm")
    for part in ("weight", "bias"):
        column, row = reader.take(f"{source}proj.{part}").chunk(2)
        tensors[f"{ours}.project.{part}"] = torch.cat([row, column])
    products, differences = reader.take(f"{source}o_proj.weight").chunk(2, dim=1)
    tensors[f"{ours}.project_out.weight"] = torch.cat([products, -differences], dim=1)
    tensors[f"{ours}.project_out.bias"] = reader.take(f"{source}o_proj.bias")
    return tensors


def _structure(reader: StateReader, config: EsmFoldConfig) -> dict[str, Tensor]:
    source = "trunk.structure_module."
    tensors = _affine(reader, "trunk.trunk2sm_s", "to_structure_single")
    tensors |= _affine(reader, "trunk.trunk2sm_z", "to_structure_pair")
    for theirs, ours in (
        ("layer_norm_s", "norm_single"),
        ("layer_norm_z", "norm_pair"),
        ("linear_in", "project"),
        ("layer_norm_ipa", "norm_attention"),
        ("transition.layers.0.linear_1", "transition.0"),
        ("transition.layers.0.linear_2", "transition.2"),
        ("transition.layers.0.linear_3", "transition.4"),
        ("transition.layer_norm", "norm_transition"),
        ("bb_update.linear", "update"),
    ):
        tensors |= _affine(reader, source + theirs, f"structure.{ours}")
    tensors |= _point_attention(reader, f"{source}ipa.", config)
    tensors |= _angles(reader, f"{source}angle_resnet.", config)
    return tensors


def _point_attention(reader: StateReader, source: str, config: EsmFoldConfig) -> dict[str, Tensor]:
    ours = "structure.attention"
    heads = config.structure_heads
    tensors = {
        f"{ours}.point_weight": reader.take(f"{source}head_weights"),
        f"{ours}.pair_bias.weight": reader.take(f"{source}linear_b.weight"),
        f"{ours}.project_out.bias": reader.take(f"{source}linear_out.bias"),
    }
    for part in ("weight", "bias"):
        query = reader.take(f"{source}linear_q.{part}").unflatten(0, (heads, -1))
        key_value = reader.take(f"{source}linear_kv.{part}").unflatten(0, (heads, -1))
        tensors[f"{ours}.scalars.{part}"] = torch.cat([query, key_value], dim=1).flatten(0, 1)
        # Published axis by axis (x, y, z), each head by head; ours head by head, then x, y, z.
        points = [
            reader.take(f"{source}linear_{name}_points.{part}").unflatten(0, (3, heads, -1))
            for name in ("q", "kv")
        ]
        stacked = torch.cat(points, dim=2).movedim(0, 2)
        tensors[f"{ours}.points.{part}"] = stacked.flatten(0, 2).contiguous()
    tensors[f"{ours}.project_out.weight"] = _gathered_by_head(
        reader.take(f"{source}linear_out.weight"), config
    )
    return tensors


def _gathered_by_head(weight: Tensor, config: EsmFoldConfig) -> Tensor:
    """Bring columns from (scalars, x, y, z, norms, pair; each head by head) to head by head."""
    heads, points = config.structure_heads, config.value_points
    sizes = [config.structure_head_channels, *[points] * 4, config.structure_pair_channels]
    scalars, x, y, z, norms, pair = (
        part.unflatten(1, (heads, -1))
        for part in weight.split([heads * size for size in sizes], dim=1)
    )
    local = torch.stack([x, y, z], dim=-1).flatten(-2)
    return torch.cat([scalars, pair, local, norms], dim=-1).flatten(1).contiguous()


def _angles(reader: StateReader, source: str, config: EsmFoldConfig) -> dict[str, Tensor]:
    ours = "structure.torsions"
    tensors = _affine(reader, f"{source}linear_in", f"{ours}.from_state")
    tensors |= _affine(reader, f"{source}linear_initial", f"{ours}.from_start")
    for number in range(config.torsion_blocks):
        block = f"{source}layers.{number}."
        tensors |= _affine(reader, f"{block}linear_1", f"{ours}.blocks.{number}.1")
        tensors |= _affine(reader, f"{block}linear_2", f"{ours}.blocks.{number}.3")
    return tensors | _affine(reader, f"{source}linear_out", f"{ours}.out")


def _heads(reader: StateReader) -> dict[str, Tensor]:
    tensors = _affine(reader, "distogram_head", "distogram_head")
    tensors |= _affine(reader, "ptm_head", "pae_head")
    for number in range(4):
        tensors |= _affine(reader, f"lddt_head.{number}", f"lddt_head.{number}")
    return tensors
