"""The loop, the data and recipes know no family by name."""

import pytest
import torch
import yaml

from itda.errors import DataError
from itda.hub.weights import load
from itda.train.export import export_weights
from itda.train.families.mini import TRAINABLE as MINI
from itda.train.loop import Trainer
from itda.train.recipe import Recipe, read_recipe
from itda.train.trainable import TRAINABLES, get_trainable
from tests.train.conftest import RECIPE


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(TRAINABLES, "toy", "tests.train.toy:TRAINABLE")
    stages = [{"steps": 30, "crop": 16, "batch": 2}]
    schedule = {"peak": 0.1, "warmup": 2, "weight_decay": 0.01}
    return {
        **{name: value for name, value in RECIPE.items() if name != "model"},
        **{"family": "toy", "model": {}, "stages": stages, "schedule": schedule},
    }


def test_another_family_is_trained_from_a_recipe_to_weights(toy, data_folder, tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy))
    recipe = read_recipe(path)
    assert recipe.stages[0].losses == {"bond": 1.0}
    trainer = Trainer(recipe, data=data_folder, run=tmp_path / "run", accelerator="cpu")
    groups = trainer.optimiser.param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [
        (1, 0.01),
        (1, 0.0),
    ]
    assert trainer.train()
    trainer.metrics.flush()
    losses = [row["loss"] for row in trainer.metrics.rows()]
    assert losses[-1] < 0.5 * losses[0]
    card = export_weights(trainer, tmp_path / "toy.safetensors")
    assert (card.family, card.config) == ("toy", {"types": 21})
    _, tensors = load(tmp_path / "toy.safetensors", family="toy")
    averaged = trainer.averaged_network().step.weight
    torch.testing.assert_close(tensors["step.weight"], averaged.detach(), atol=0.01, rtol=0.01)
    again = Trainer(recipe, data=data_folder, run=tmp_path / "run", accelerator="cpu")
    assert again.step == 30
    torch.testing.assert_close(again.network.shift, trainer.network.shift)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family": "esmfold"}, "family: .*'esmfold' cannot be trained; known: mini, toy"),
        ({"family": ["toy"]}, "family: Input should be a valid string"),
        ({"model": {"types": "many"}}, "model: .*types: Input should be a valid integer"),
        ({"model": {"blocks": 8}}, "model: .*blocks: Extra inputs"),
        (
            {"stages": [{"steps": 1, "crop": 16, "batch": 1, "losses": {"plddt": 1.0}}]},
            r"stages\.0\.losses: unknown loss 'plddt'; known: bond, size",
        ),
        ({"stages": "none"}, "stages: Input should be a valid tuple"),
    ],
)
def test_recipes_are_checked_by_the_family(toy, tmp_path, change, said):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump({**toy, **change}))
    with pytest.raises(DataError, match=said):
        read_recipe(path)


def test_a_recipe_from_before_families_had_names_is_the_same():
    unsaid = Recipe.model_validate(RECIPE)
    said = Recipe.model_validate({**RECIPE, "family": "mini"})
    assert unsaid.digest == said.digest
    assert "family" not in unsaid.model_dump(exclude_defaults=True)
    # Of the recipe in tests/train/conftest.py, as it was computed then.
    assert unsaid.digest.startswith("b0323c238415febc")


def test_what_a_family_is_trained_by_is_found_by_its_name():
    assert get_trainable("mini") is MINI
    with pytest.raises(DataError, match="cannot be trained"):
        get_trainable("flashabb")
