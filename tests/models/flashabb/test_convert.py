import pytest
import torch

from itda.errors import WeightsError
from itda.models.flashabb.convert import CONFIG_FILE, CONVERTER, EARLIER_ANGLES, WEIGHTS_FILE


def convert(state, document):
    return CONVERTER.convert({WEIGHTS_FILE: state}, {CONFIG_FILE: document})


def test_every_tensor_has_one_use_or_a_reason(published):
    state, document = published
    converted = convert(state, document)
    assert set(converted.unused.values()) == {EARLIER_ANGLES}
    read = sum(t.numel() for name, t in state.items() if name not in converted.unused)
    assert sum(tensor.numel() for tensor in converted.tensors.values()) == read


def test_a_missing_and_a_left_over_tensor_are_named(published):
    state, document = published
    name = "model.bb_update_layers.3.linear.bias"
    with pytest.raises(WeightsError, match=name):
        convert({key: value for key, value in state.items() if key != name}, document)
    with pytest.raises(WeightsError, match=r"model\.extra"):
        convert({**state, "model.extra": torch.zeros(2)}, document)


@pytest.mark.parametrize(("name", "value"), [("use_original_sm", False), ("c_s", 21)])
def test_another_architecture_is_refused_by_name(published, name, value):
    state, document = published
    changed = {"model": {**document["model"], name: value}}
    with pytest.raises(WeightsError, match=name):
        convert(state, changed)
