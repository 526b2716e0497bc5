import pytest

pytest.importorskip("transformers", reason="the published names and sizes come from it")

from itda.hub.convert import write_converted
from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE
from itda.parity import esmfold as parity


@pytest.fixture(scope="session")
def published():
    """Random tensors under the published names, and the sizes as published."""
    state, document = parity.published(parity.SMALL)
    return {name: state[name] for name in state}, document


@pytest.fixture(scope="session")
def weights(published, tmp_path_factory):
    """Small weights as `itda weights` writes them."""
    state, document = published
    converted = CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})
    path = tmp_path_factory.mktemp("esmfold") / "small.safetensors"
    write_converted(path, converted, family="esmfold", name="small", licence="MIT")
    return path
