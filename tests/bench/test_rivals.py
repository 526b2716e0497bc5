import importlib.util
from typing import ClassVar

import pytest

from itda.bench.rivals import compare as comparing
from itda.bench.rivals import weights
from itda.bench.rivals.blocks import PARTS, RIVALS, ours
from itda.bench.rivals.compare import WORKER, compare
from itda.bench.side import Side
from itda.errors import DependencyError, InputError

PLACES = {
    "boltz": weights.BOLTZ, "openfold3": weights.OPENFOLD3, "protenix": weights.PROTENIX
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_every_weight_of_ours_has_one_place_in_theirs(name):
    state = ours().module.state_dict()
    theirs = weights.translated(state, PLACES[name])
    places = [place for names in PLACES[name].values() for place in names]
    assert len(places) == len(set(places))
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(
        tensor.numel() for tensor in state.values()
    )


def test_a_weight_without_a_place_is_told():
    state = ours().module.state_dict()
    state["extra"] = state["outgoing.norm.weight"]
    with pytest.raises(KeyError, match="extra"):
        weights.translated(state, weights.BOLTZ)


@pytest.mark.parametrize("name", RIVALS)
def test_theirs_compute_the_same_numbers(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed here; `itda bench rivals` runs the same check")
    with Side(WORKER, "ours") as mine, Side(WORKER, name) as theirs:
        transposed = theirs.ask(do="about")["bias_transposed"]
        found = comparing._numbers(mine, theirs, transposed, lambda _: None)
    assert found["float32"]["passed"]
    assert found["a_weight_changed"]["noticed"]


def test_the_check_of_numbers_sees_a_changed_weight_and_a_transposed_bias():
    with Side(WORKER, "ours") as mine, Side(WORKER, "ours") as other:
        found = comparing._numbers(mine, other, False, lambda _: None)
        assert found["float32"]["difference"] == 0
        assert 0 < found["bfloat16"]["difference"] < found["bfloat16"]["tolerance"]
        assert found["a_weight_changed"]["noticed"]


def test_every_part_runs_and_takes_memory():
    with Side(WORKER, "ours") as side:
        for part in PARTS:
            for precision in ("float32", "bfloat16"):
                found = side.ask(do="measure", part=part, tokens=9, precision=precision)
                assert found["seconds"] > 0, part


class FakeSide:
    """Answers at once: rivals take three times as long and five times as much memory."""

    asked: ClassVar[list] = []

    def __init__(self, module, name, python=None):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ask(self, **request):
        if request["do"] == "about":
            if self.name == "protenix":
                raise DependencyError("No module named 'protenix'")
            return {"package": self.name, "version": "1", "torch": "2", "bias_transposed": False}
        self.asked.append((self.name, request["part"], request["precision"]))
        faster = 2.0 if request["precision"] == "bfloat16" else 1.0
        times, more = (1.0, 1) if self.name == "ours" else (3.0, 5)
        return {"seconds": times / faster, "bytes": 1000 * more, "exact": True}


@pytest.fixture
def fake_sides(monkeypatch):
    FakeSide.asked = []
    monkeypatch.setattr(comparing, "Side", FakeSide)
    monkeypatch.setattr(comparing, "_numbers", lambda *_: {})


def run(**changed):
    options = {"rivals": ["boltz", "protenix"], "python": None, "tokens": [300], "parts_up_to": 0}
    return compare(**options | {"repeats": 3, "report": lambda _: None} | changed)


def test_sides_run_in_turn_and_ratios_are_theirs_over_ours(fake_sides):
    found = run()
    assert list(found["left_out"]) == ["protenix"]
    row = found["rows"][0]
    assert row["ratios"]["ours float32, theirs float32"]["boltz"] == {
        "seconds": 3.0, "peak_bytes": 5.0
    }  # fmt: skip
    assert row["ratios"]["ours bfloat16, theirs float32"]["boltz"]["seconds"] == 6.0
    assert row["seconds_of_48_blocks"]["float32"] == {"ours": 48.0, "boltz": 144.0}
    rounds = [FakeSide.asked[place : place + 4] for place in (0, 4, 8)]
    assert all(sorted(one) == sorted(rounds[0]) and len(set(one)) == 4 for one in rounds)
    assert len({one[0] for one in rounds}) == 3


def test_parts_are_measured_up_to_a_size(fake_sides):
    found = run(tokens=[300, 400], parts_up_to=300)
    assert [row["part"] for row in found["rows"]] == [*PARTS, "block"]


def test_without_any_rival_it_says_what_to_do(fake_sides):
    with pytest.raises(DependencyError, match="protenix") as caught:
        run(rivals=["protenix"])
    assert "--python" in caught.value.hint


def test_an_unknown_rival_is_refused():
    with pytest.raises(InputError, match="alphafold"):
        run(rivals=["alphafold"])


def test_a_side_that_ends_tells_its_last_words():
    with (
        Side("itda.bench.rivals.worker", "nobody") as side,
        pytest.raises(DependencyError, match="nobody"),
    ):
        side.ask(do="about")
