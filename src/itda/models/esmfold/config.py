"""The sizes of an ESMFold network, stored with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from itda.errors import WeightsError
from itda.language import Message


class EsmFoldConfig(BaseModel):
    """Hyper-parameters of the `esmfold` family; the defaults are those of `esmfold_v1`.

    Attributes:
        language_layers: Layers of the language model ESM-2.
        language_channels: Its width.
        language_heads: Its attention heads.
        language_hidden: Width inside its transitions.
        language_norm_epsilon: Of its layer norms.
        vocabulary: Its tokens in the order of its embedding.
        blocks: Blocks of the folding trunk.
        single_channels: Width of the single representation.
        pair_channels: Width of the pair representation.
        single_head_channels: Channels of a head of attention over residues.
        pair_head_channels: Channels of a head of triangle attention.
        position_clip: Largest residue offset that has an embedding of its own.
        structure_channels: Width of single vectors in the structure module.
        structure_pair_channels: Width of pair vectors there.
        structure_heads: Heads of invariant point attention.
        structure_head_channels: Channels of such a head.
        query_points: Query and key points of such a head.
        value_points: Value points of such a head.
        structure_steps: Steps of the structure module, which share weights.
        torsion_channels: Width inside the angle network.
        torsion_blocks: Its residual blocks.
        confidence_channels: Hidden width of the pLDDT head.
        recycles: Passes beyond the first that the weights were trained for, and the default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language_layers: int = 36
    language_channels: int = 2560
    language_heads: int = 40
    language_hidden: int = 10240
    language_norm_epsilon: float = 1e-5
    vocabulary: tuple[str, ...]
    blocks: int = 48
    single_channels: int = 1024
    pair_channels: int = 128
    single_head_channels: int = 32
    pair_head_channels: int = 32
    position_clip: int = 32
    structure_channels: int = 384
    structure_pair_channels: int = 128
    structure_heads: int = 12
    structure_head_channels: int = 16
    query_points: int = 4
    value_points: int = 8
    structure_steps: int = 8
    torsion_channels: int = 128
    torsion_blocks: int = 2
    confidence_channels: int = 128
    recycles: int = 3

    @classmethod
    def from_published(cls, document: Mapping[str, Any]) -> EsmFoldConfig:
        """Read `config.json` of a published ESMFold.

        Args:
            document: As the hub serves it for `facebook/esmfold_v1`.

        Raises:
            WeightsError: It is of another architecture; what differs is named.
        """
        fold = document.get("esmfold_config") or {}
        trunk = fold.get("trunk") or {}
        structure = trunk.get("structure_module") or {}
        for place, given, name, wanted in (
            ("config.json", document, "position_embedding_type", "rotary"),
            ("config.json", document, "token_dropout", True),
            ("config.json", document, "emb_layer_norm_before", False),
            ("config.json", document, "rope_theta", 10000.0),
            ("esmfold_config", fold, "embed_aa", True),
            ("esmfold_config", fold, "bypass_lm", False),
            ("esmfold_config", fold, "esm_ablate_sequence", False),
            ("esmfold_config", fold, "use_esm_attn_map", False),
            ("structure_module", structure, "trans_scale_factor", 10),
            ("structure_module", structure, "num_transition_layers", 1),
            ("structure_module", structure, "num_angles", 7),
        ):
            found = given.get(name, wanted)
            if (found or False) != wanted:
                raise WeightsError(
                    Message(
                        "{place}: {name} is {found!r}, and this family runs {wanted!r} only",
                        place=place,
                        name=name,
                        found=found,
                        wanted=wanted,
                    ),
                    hint=Message("import weights in the form of facebook/esmfold_v1"),
                )
        passes = trunk.get("max_recycles", 4)
        return cls(
            language_layers=document["num_hidden_layers"],
            language_channels=document["hidden_size"],
            language_heads=document["num_attention_heads"],
            language_hidden=document["intermediate_size"],
            language_norm_epsilon=document["layer_norm_eps"],
            vocabulary=tuple(document["vocab_list"]),
            blocks=trunk.get("num_blocks", 48),
            single_channels=trunk.get("sequence_state_dim", 1024),
            pair_channels=trunk.get("pairwise_state_dim", 128),
            single_head_channels=trunk.get("sequence_head_width", 32),
            pair_head_channels=trunk.get("pairwise_head_width", 32),
            position_clip=trunk.get("position_bins", 32),
            structure_channels=structure.get("sequence_dim", 384),
            structure_pair_channels=structure.get("pairwise_dim", 128),
            structure_heads=structure.get("num_heads_ipa", 12),
            structure_head_channels=structure.get("ipa_dim", 16),
            query_points=structure.get("num_qk_points", 4),
            value_points=structure.get("num_v_points", 8),
            structure_steps=structure.get("num_blocks", 8),
            torsion_channels=structure.get("resnet_dim", 128),
            torsion_blocks=structure.get("num_resnet_blocks", 2),
            confidence_channels=fold.get("lddt_head_hid_dim", 128),
            # The published number counts all passes.
            recycles=max(passes, 1) - 1,
        )
