"""Which weights a recipe goes on from, and which sizes its network has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from itda.errors import DataError, WeightsError
from itda.hub.weights import load
from itda.models.mini.config import MiniConfig
from itda.train.families.mini import TRAINABLE
from itda.train.recipe import Recipe, read_recipe
from itda.train.warm_start import initial_weights, with_sizes

from .conftest import RECIPE


def recipe(**fields: object) -> Recipe:
    told = {**RECIPE, **fields}
    return Recipe.model_validate({name: value for name, value in told.items() if value is not None})


def test_the_weights_that_come_with_itda_have_a_name(tmp_path: Path) -> None:
    path = initial_weights(recipe(initial_weights="mini"), tmp_path)
    assert path is not None
    card, _ = load(path, family="mini")
    made = with_sizes(recipe(initial_weights="mini", model=None), path)
    assert made.model == MiniConfig.model_validate(card.config)


def test_a_file_below_the_data_folder_goes_first(tmp_path: Path) -> None:
    (tmp_path / "mini").write_bytes(b"")
    assert initial_weights(recipe(initial_weights="mini"), tmp_path) == tmp_path / "mini"
    with pytest.raises(WeightsError, match="there is no file") as refused:
        initial_weights(recipe(initial_weights="old/mine.safetensors"), tmp_path)
    assert "name mini" in refused.value.hint
    assert initial_weights(recipe(), tmp_path) is None


def test_sizes_come_from_the_recipe_or_the_weights(tmp_path: Path) -> None:
    assert with_sizes(recipe(), None) == recipe()
    with pytest.raises(DataError, match="says no `model`"):
        with_sizes(recipe(model=None), None)


def test_losses_may_be_left_out() -> None:
    shipped = read_recipe("mini-cpu.yaml")
    assert shipped.stages[0].losses == TRAINABLE.loss_weights
    stage = yaml.safe_load("{steps: 6, crop: 64, batch: 2}")
    assert recipe(stages=[stage]).stages[0].losses == TRAINABLE.loss_weights
