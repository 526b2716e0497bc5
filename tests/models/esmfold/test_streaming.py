import pytest
import torch

from itda.errors import WeightsError
from itda.hub.weights import read_card
from itda.models.esmfold.convert import LAYER_PREFIX
from itda.models.esmfold.language_model import EsmLayer
from itda.models.esmfold.loading import load_network
from itda.models.esmfold.streaming import StreamedLayers


def streamed(weights, count=3, dtype=torch.float32, prefix=LAYER_PREFIX):
    network, _ = load_network(weights, read_card(weights), "cpu", language_dtype=dtype)
    return StreamedLayers(weights, prefix, count, lambda: EsmLayer(network.config), dtype=dtype)


def test_layers_come_in_order_with_the_weights_of_the_file(weights):
    from safetensors.torch import load_file

    tensors = load_file(weights)
    for number, layer in enumerate(streamed(weights)):
        for name, parameter in layer.named_parameters():
            expected = tensors[f"{LAYER_PREFIX}{number}.{name}"].float()
            assert torch.equal(parameter, expected), (number, name)


def test_a_second_pass_and_resident_layers_give_the_same(weights):
    layers = streamed(weights)
    x = torch.randn(1, 5, 48)
    rotation = (torch.rand(5, 6), torch.rand(5, 6))

    def through(these):
        y = x
        with torch.no_grad():
            for layer in these:
                y = layer(y, rotation, None)
        return y

    first = through(layers)
    assert torch.equal(through(layers), first)
    assert torch.equal(through(layers.resident()), first)


def test_a_reader_that_stops_early_can_start_again(weights):
    layers = streamed(weights)
    next(iter(layers))
    assert len(list(layers)) == 3


def test_a_missing_layer_is_named_before_anything_is_read(weights):
    with pytest.raises(WeightsError, match=r"layers\.3\.norm_attention\.weight is missing"):
        streamed(weights, count=4)


def test_a_file_cut_short_is_an_error_and_not_zeros(weights, tmp_path):
    cut = tmp_path / "cut.safetensors"
    content = weights.read_bytes()
    layers = streamed(weights)
    cut.write_bytes(content[: len(content) - 10_000])
    layers.file.path = cut
    with pytest.raises(WeightsError, match="ends before"):
        list(layers)
