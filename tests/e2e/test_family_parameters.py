"""Parameters of a family's own: given on every face, kept with the result, refused by name."""

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from fake_family import FakeFamily, FakeModel, install
from pydantic import Field

import itda
from itda.cli.main import run
from itda.cluster.perform import Performer, options_of
from itda.cluster.work import Task
from itda.engine.plan import Settings, make_plan
from itda.errors import CapabilityError, InputError
from itda.job.model import Job
from itda.job.options import RunOptions
from itda.models import registry
from itda.models.choose_parameters import choose_parameters
from itda.models.parameters import FamilyParameters
from itda.remote.client import _body
from itda.remote.packing import Packed
from itda.wire import Options

SEQUENCE = "MKTAYIAKQRQISFVK"


class Steps(FamilyParameters):
    """Of a family that diffuses."""

    steps: Annotated[int, Field(ge=1, le=1000)] = 200
    """Steps of diffusion."""

    step_scale: Annotated[float, Field(gt=0)] = 1.5
    """How far each step goes."""

    schedule: Literal["karras", "linear"] = "karras"
    """How noise is spread over steps."""

    potentials: tuple[str, ...] = ()
    """Which potentials steer it."""


class SteppedModel(FakeModel):
    def begin(self, orders, *, recycles, progress):
        self.given = [order.parameters for order in orders]
        return super().begin(orders, recycles=recycles, progress=progress)


class SteppedFamily(FakeFamily):
    parameters = Steps

    def demand(self, load):
        self.asked = load.parameters
        return super().demand(load)

    def load(self, weights, device, *, frugal=False):
        self.models.append(SteppedModel(device))
        return self.models[-1]


@pytest.fixture
def stepped(monkeypatch, tmp_path) -> SteppedFamily:
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("x.fasta").write_text(f">x\n{SEQUENCE}\n")
    return install(SteppedFamily(), monkeypatch.setattr)


@pytest.fixture
def two(monkeypatch, stepped) -> None:
    """Two families: `mini` with parameters, `plain` with none."""
    plain = FakeFamily()
    plain.name = "plain"
    both = {"mini": stepped, "plain": plain}
    monkeypatch.setattr(registry, "FAMILIES", dict.fromkeys(both, ""))
    monkeypatch.setattr(registry, "get_family", both.__getitem__)


def test_command_line(stepped, capsys) -> None:
    arguments = ["--parameter", "steps=20", "--parameter", 'potentials=["clash"]']
    assert run(["fold", "x.fasta", *arguments]) == 0
    (model,) = stepped.models
    given = Steps(steps=20, potentials=("clash",))
    assert model.given == [given] and stepped.asked == given
    told = json.loads(Path("x_itda/x.confidence.json").read_text())["provenance"]["parameters"]
    assert told == {
        "steps": 20, "step_scale": 1.5, "schedule": "karras", "potentials": ["clash"],
    }  # fmt: skip
    assert "parameter steps" in Path("x_itda/x.cif").read_text()
    summary = json.loads(Path("x_itda/summary.json").read_text())
    assert summary["settings"]["parameters"] == told


def test_other_parameters_are_another_result_and_a_default_that_is_said_is_not(stepped) -> None:
    def cached(**parameters):
        return itda.fold(SEQUENCE, parameters=parameters).cached

    assert not cached()
    assert cached() and cached(steps=200) and cached(steps="200", step_scale=1.5)
    assert not cached(steps=201)
    assert cached(steps=201)


def test_python_says_what_it_was_made_with(stepped) -> None:
    made = itda.fold(SEQUENCE, parameters={"steps": 7, "schedule": "linear"})
    assert made.provenance.parameters["steps"] == 7
    assert stepped.models[0].given == [Steps(steps=7, schedule="linear")]
    again = itda.fold(SEQUENCE, parameters={"steps": 7, "schedule": "linear"})
    assert again.cached and again.provenance == made.provenance


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "--parameter of mini: steps: must be greater than or equal to 1, not 0"),
        ({"steps": "many"}, "steps: must be a valid integer"),
        ({"step_scale": "nan"}, "step_scale"),
        ({"schedule": "other"}, "schedule: must be 'karras' or 'linear', not 'other'"),
        ({"potentials": 3}, "potentials: must be a list"),
    ],
)
def test_a_wrong_value_is_refused_with_its_rule(stepped, given, said) -> None:
    with pytest.raises(InputError) as caught:
        choose_parameters(given, stepped)
    assert said in caught.value.problem


def test_an_unknown_name_is_refused_with_what_there_is(two) -> None:
    with pytest.raises(CapabilityError) as caught:
        choose_parameters({"step": 5}, registry.get_family("mini"))
    assert "'step': mini has no such parameter; it has steps, step_scale" in caught.value.problem
    assert "did you mean `steps`" in caught.value.hint
    with pytest.raises(CapabilityError) as caught:
        choose_parameters({"steps": 5}, registry.get_family("plain"))
    assert "'steps': plain has none of its own" in caught.value.problem
    assert "`--model mini`" in caught.value.hint


def test_every_shipped_family_refuses_one_and_names_nobody() -> None:
    for name in registry.FAMILIES:
        with pytest.raises(CapabilityError, match=f"'steps': {name} has none of its own"):
            choose_parameters({"steps": 5}, registry.get_family(name))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parameter", "steps"], "steps: is no NAME=VALUE"),
        (["--parameter", "=5"], "=5: is no NAME=VALUE"),
        (["--parameter", "steps=5", "--parameter", "steps=6"], "steps: is given twice"),
        (["--parameter", "potentials=[clash]"], "is no JSON"),
        (["--parameter", "temperature=3"], "mini has no such parameter"),
        (["--parameter", "steps=0"], "steps: must be greater than or equal to 1, not '0'"),
    ],
)
@pytest.mark.parametrize("command", ["fold", "plan"])
def test_command_line_refuses(stepped, capsys, command, arguments, said) -> None:
    assert run([command, "x.fasta", *arguments]) == 1
    assert said in capsys.readouterr().err and stepped.folded == []


def test_python_refuses_in_its_own_words(two) -> None:
    with pytest.raises(CapabilityError) as caught:
        itda.fold(SEQUENCE, model="plain", parameters={"steps": 5})
    assert "--" not in str(caught.value) and 'model="mini"' in caught.value.hint


def test_models_lists_them(stepped, capsys) -> None:
    assert run(["models", "mini"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--parameter steps=integer from 1 to 1000 (default 200): Steps of diffusion." in shown
    assert "--parameter step_scale=number above 0 (default 1.5): How far each step goes." in shown
    assert 'schedule="karras" or "linear" (default "karras")' in shown
    assert run(["models", "--json"]) == 0
    (family,) = json.loads(capsys.readouterr().out)["families"]
    assert list(family["parameters"]) == ["steps", "step_scale", "schedule", "potentials"]
    assert run(["models", "mini", "--markdown"]) == 0
    assert "- `--parameter` steps=integer" in capsys.readouterr().out


def test_a_worker_is_given_what_was_sent(stepped, tmp_path) -> None:
    sent = Options(parameters={"steps": 9, "potentials": ["clash"]})
    task = Task(key="x", family="mini", document={}, settings=sent.settings(), output=tmp_path)
    assert json.loads(json.dumps(task.settings)) == {
        "parameters": {"steps": 9, "potentials": ["clash"]}
    }
    settings = Performer()._settings(task)
    assert settings.parameters == Steps(steps=9, potentials=("clash",))
    assert RunOptions.checked(**options_of(task)).parameters["steps"] == 9
    assert Options().settings() == {}


@pytest.mark.parametrize(
    "parameters",
    [{"steps": {"a": 1}}, {"steps": float("nan")}, {"steps": "\x00"}, {"s" * 70: 1}, {"../x": 1}],
)
def test_what_a_database_cannot_keep_is_not_sent(parameters) -> None:
    with pytest.raises(ValueError, match="parameters"):
        Options(parameters=parameters)


def test_a_form_holds_them_as_json() -> None:
    packed = Packed(text="", files=[("file", ("x.a3m", b""))])
    body = _body(packed, {"parameters": {"steps": 5}}, {})
    assert json.loads(body["data"]["parameters"]) == {"steps": 5}


def test_keys_of_families_without_are_as_before() -> None:
    family = FakeFamily()
    settings = Settings(family)
    assert settings.parameters_key == {} and "parameters" not in settings.shown()
    job = Job.from_sequence("x", SEQUENCE)
    (plain,) = make_plan([job], settings).requests
    (stepped,) = make_plan([job], Settings(SteppedFamily())).requests
    assert plain.digest != stepped.digest
