"""The sizes of a FlashABB network, stored with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from itda.errors import WeightsError
from itda.language import Message


class FlashAbbConfig(BaseModel):
    """Hyper-parameters of the `flashabb` family; the defaults are those of `flash-abb` 0.0.5.

    Attributes:
        channels: Width of the residue representation.
        blocks: Blocks, each with weights of its own.
        heads: Of attention.
        head_channels: Scalar channels of a head.
        query_points: Query and key points of a head.
        value_points: Value points of a head.
        position_bins: Relative positions that a head tells apart; they are counted modulo this.
        torsion_channels: Width inside the angle network and the pLDDT head.
        torsion_blocks: Residual blocks of the angle network.
        dropout: Rate in training, which the norms after it are corrected for.
        epsilon: Smallest squared length of a torsion's (sin, cos), and under the root of norms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = 128
    blocks: int = 8
    heads: int = 12
    head_channels: int = 16
    query_points: int = 4
    value_points: int = 8
    position_bins: int = 128
    torsion_channels: int = 256
    torsion_blocks: int = 2
    dropout: float = 0.1
    epsilon: float = 1e-7

    @classmethod
    def from_published(cls, document: Mapping[str, Any]) -> FlashAbbConfig:
        """Read `params.yaml` of the package `flash-abb`.

        Raises:
            WeightsError: It is of another architecture; what differs is named.
        """
        model = document.get("model") or {}
        for name, wanted in (
            ("c_s", 23),
            ("use_original_sm", True),
            ("use_plddt", True),
            ("no_angles", 7),
            ("no_transition_layers", 1),
            ("trans_scale_factor", 1),
        ):
            if model.get(name) != wanted:
                raise WeightsError(
                    Message(
                        "params.yaml: {name} is {get!r}, and this family runs {wanted!r}",
                        name=name,
                        get=model.get(name),
                        wanted=wanted,
                    ),
                    hint=Message("use the weights of flash-abb 0.0.5"),
                )
        return cls(
            channels=model["embed_dim"],
            blocks=model["no_blocks"],
            heads=model["no_heads_ipa"],
            head_channels=model["c_ipa"],
            query_points=model["no_qk_points"],
            value_points=model["no_v_points"],
            torsion_channels=model["c_resnet"],
            torsion_blocks=model["no_resnet_blocks"],
            dropout=model["dropout_rate"],
            epsilon=model["epsilon"],
        )
