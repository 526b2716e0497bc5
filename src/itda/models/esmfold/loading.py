"""From a converted weights file to a network that is ready, without a second copy in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from itda.chem.literature import literature_placement
from itda.errors import WeightsError
from itda.hub.tensor_file import TensorFile
from itda.hub.weights import read_card
from itda.models.esmfold.config import EsmFoldConfig
from itda.models.esmfold.convert import LAYER_PREFIX
from itda.models.esmfold.language_model import EsmLayer
from itda.models.esmfold.modeling import EsmFold
from itda.models.esmfold.streaming import StreamedLayers
from itda.nn.structure_module import AtomBuilder


def load_network(
    weights: Path, device: str, *, language_dtype: torch.dtype | None = None
) -> tuple[EsmFold, Iterable[nn.Module]]:
    """Build the network and the layers of its language model.

    On a CPU the layers stay in the file and are read when their turn comes; on another device they
    are loaded once.

    Args:
        weights: Converted and verified.
        device: Such as `cpu` or `cuda:0`.
        language_dtype: Number format of the language model; None for what suits the device.

    Raises:
        WeightsError: The tensors do not fit the sizes on their card.
    """
    card = read_card(weights)
    dtype = language_dtype or preferred_dtype(device)
    try:
        config = EsmFoldConfig.model_validate(card.config)
    except ValueError as error:
        raise WeightsError(
            f"{weights}: its card has sizes that are not ESMFold's: {error}"
        ) from error
    with torch.device("meta"):
        network = EsmFold(config)
    file = TensorFile(weights)
    state = {
        name: torch.empty(shape)
        for name, shape in file.shapes.items()
        if not name.startswith(LAYER_PREFIX)
    }
    file.read_into(state)
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"weights {card.name} do not fit the sizes on their card: {str(error).splitlines()[0]}",
            hint="use the card that was written with the weights",
        ) from error
    # Its tables are no weights, so nothing has filled them.
    network.build_atoms = AtomBuilder(literature_placement())
    network.eval().to(device)
    # The embedding and the last norm compute as the layers do; rotary frequencies stay exact.
    network.language_model.embedding.to(dtype)
    network.language_model.norm.to(dtype)
    streamed = StreamedLayers(
        weights,
        LAYER_PREFIX,
        config.language_layers,
        lambda: EsmLayer(config),
        dtype=dtype,
        device=device,
    )
    if device == "cpu":
        return network, streamed
    return network, streamed.resident()


def preferred_dtype(device: str) -> torch.dtype:
    """Name the format in which a device multiplies matrices fastest without losing range."""
    if device == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16
