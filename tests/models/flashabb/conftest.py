import pytest
import torch

from itda.hub.convert import write_converted
from itda.models.flashabb.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
from itda.models.flashabb.family import FlashAbbFamily
from itda.parity import flashabb as parity


@pytest.fixture(scope="session")
def published():
    """The published tensors and sizes."""
    from pathlib import Path

    package = pytest.importorskip("flash_abb", reason="the published weights are in it")
    folder = Path(package.__file__).parent / "weights"
    return torch.load(folder / WEIGHTS_FILE, weights_only=True), parity.published_sizes()


@pytest.fixture(scope="session")
def model(published, tmp_path_factory):
    """The family's model on the published weights."""
    state, document = published
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    path = tmp_path_factory.mktemp("flashabb") / "published.safetensors"
    write_converted(path, converted, family="flashabb", name="published", licence="BSD-3-Clause")
    return FlashAbbFamily().load(path, "cpu")
