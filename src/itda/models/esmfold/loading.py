"""From a converted weights file to a network that is ready, without a second copy in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from itda.chem.literature import literature_placement
from itda.hub.tensor_file import TensorFile
from itda.hub.weights import WeightsCard
from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.convert import LAYER_PREFIX
from itda.models.esmfold.language_model import EsmLayer
from itda.models.esmfold.modeling import EsmFold
from itda.models.esmfold.streaming import StreamedLayers
from itda.models.fitting import fitted
from itda.nn.structure.atoms import AtomBuilder


def load_network(
    weights: Path,
    card: WeightsCard,
    device: str,
    *,
    language_dtype: torch.dtype | None = None,
    streamed: bool = False,
) -> tuple[EsmFold, Iterable[nn.Module]]:
    """Build the network and the layers of its language model.

    On a CPU the layers stay in the file and are read when their turn comes; on another device they
    are loaded once.

    Args:
        weights: Converted and verified.
        card: Theirs.
        device: Such as `cpu` or `cuda:0`.
        language_dtype: Number format of the language model; None for what suits the device.
        streamed: Whether the layers stay in the file, whatever the device.

    Raises:
        WeightsError: The tensors do not fit the sizes on their card.
    """
    dtype = language_dtype or preferred_dtype(device)
    file = TensorFile(weights)
    state = {
        name: torch.empty(shape)
        for name, shape in file.shapes.items()
        if not name.startswith(LAYER_PREFIX)
    }
    file.read_into(state)
    network = fitted(card, state, _without_memory, assign=True)
    config = network.config
    # Its tables are no weights, so nothing has filled them.
    network.build_atoms = AtomBuilder(literature_placement())
    network.eval().to(device)
    # The embedding and the last norm compute as the layers do; rotary frequencies stay exact.
    network.language_model.embedding.to(dtype)
    network.language_model.norm.to(dtype)
    layers = StreamedLayers(
        weights,
        LAYER_PREFIX,
        config.language_layers,
        lambda: EsmLayer(config),
        dtype=dtype,
        device=device,
    )
    if device == "cpu" or streamed:
        return network, layers
    return network, layers.resident()


def _without_memory(sizes: Mapping[str, Any]) -> EsmFold:
    with torch.device("meta"):
        return EsmFold(EsmFoldConfig.model_validate(sizes))


def preferred_dtype(device: str) -> torch.dtype:
    """Name the format in which a device multiplies matrices fastest without losing range."""
    if device == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16
