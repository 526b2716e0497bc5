import pytest
import torch

from itda.errors import WeightsError
from itda.models.esmfold.convert import CONFIG_FILE, CONVERTER, WEIGHTS_FILE

FREQUENCY = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"


def convert(state, document):
    return CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})


def test_every_tensor_has_one_use_or_a_reason(published):
    state, document = published
    converted = convert(state, document)
    assert set(converted.unused) < set(state)
    assert all(len(reason) > 20 for reason in converted.unused.values())
    # Nothing is made up: as many numbers go in as come out.
    read = sum(tensor.numel() for name, tensor in state.items() if name not in converted.unused)
    assert sum(tensor.numel() for tensor in converted.tensors.values()) == read


def test_the_language_model_stays_in_half_precision(published):
    converted = convert(*published)
    assert converted.tensors["language_model.layers.0.project.weight"].dtype == torch.float16
    assert converted.tensors["blocks.0.outgoing.project.weight"].dtype == torch.float32


@pytest.mark.parametrize("name", ["esm_s_combine", "trunk.blocks.2.tri_att_end.mha.linear_o.bias"])
def test_a_missing_tensor_is_named(published, name):
    state, document = published
    with pytest.raises(WeightsError, match=name):
        convert({key: value for key, value in state.items() if key != name}, document)


def test_a_tensor_that_is_left_over_is_named(published):
    state, document = published
    with pytest.raises(WeightsError, match=r"trunk\.blocks\.9\.extra"):
        convert({**state, "trunk.blocks.9.extra": torch.zeros(1)}, document)


def old_form(state, document):
    """The published file has the frequencies in each layer, rounded to half precision."""
    shared = state["esm.rotary_embeddings.inv_freq"]
    rest = {
        name: value for name, value in state.items() if name != "esm.rotary_embeddings.inv_freq"
    }
    layers = range(document["num_hidden_layers"])
    return {**rest, **{FREQUENCY.format(layer): shared.clone() for layer in layers}}


def test_frequencies_of_each_layer_are_read_as_published(published):
    state, document = published
    converted = convert(old_form(state, document), document)
    torch.testing.assert_close(
        converted.tensors["language_model.inverse_frequency"],
        state["esm.rotary_embeddings.inv_freq"],
        rtol=0,
        atol=0,
    )


def test_layers_that_disagree_on_frequencies_are_refused(published):
    state, document = published
    old = old_form(state, document)
    old[FREQUENCY.format(1)][0] += 1
    with pytest.raises(WeightsError, match=r"layer\.1"):
        convert(old, document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("position_embedding_type",), "absolute"),
        (("emb_layer_norm_before",), True),
        (("esmfold_config", "use_esm_attn_map"), True),
        (("esmfold_config", "trunk", "structure_module", "num_angles"), 5),
    ],
)
def test_another_architecture_is_refused_by_name(published, path, value):
    state, document = published
    changed = dict(document)
    place = changed
    for key in path[:-1]:
        place[key] = dict(place[key])
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(WeightsError, match=path[-1]):
        convert(state, changed)
