from __future__ import annotations

import dataclasses
import json

import pytest

from itda.cost import calibrate as calibrating
from itda.cost import calibration
from itda.cost.calibrate import calibrate, chosen_cases
from itda.cost.calibration import find, read, shipped, sizes_key, store
from itda.cost.constants import Constants
from itda.cost.devices import Device, describe
from itda.cost.loads import load_of, on_device
from itda.cost.measure import Answer, Case, ExhaustedError, synthetic_job
from itda.job.model import Job
from itda.models.demand import FORMULAS, Load
from itda.models.registry import FAMILIES, get_family

DEVICE = Device("cpu", "A Processor", 2, 2, None)
CONSTANTS = Constants(
    fixed_bytes=3e8,
    bytes_per_live=1.0,
    address_bytes=1e8,
    fixed_seconds=0.1,
    seconds={"products": 1e-11, "moved": 2e-10, "jobs": 0.05},
    start_seconds=3.0,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path))
    return tmp_path


def entry(constants=CONSTANTS):
    return {"constants": constants.to_dict(), "measured": "2026-11-25T00:00:00"}


def test_what_was_measured_here_goes_before_the_shipped_table():
    assert find("mini", DEVICE).origin == "derived"
    store(DEVICE, families={"mini": entry()})
    found = find("mini", DEVICE)
    assert found.constants == CONSTANTS
    assert found.origin == "measured here" and "2026-11-25" in found.shown
    # Other families and other devices keep the table.
    assert find("esmfold", DEVICE).origin != "measured here"
    assert find("mini", dataclasses.replace(DEVICE, threads=1)).origin != "measured here"


def test_own_sizes_have_constants_of_their_own():
    sizes = {"blocks": 2}
    store(DEVICE, families={"mini": entry()})
    assert find("mini", DEVICE, sizes).constants == CONSTANTS
    own = dataclasses.replace(CONSTANTS, fixed_seconds=9.0)
    store(DEVICE, families={sizes_key("mini", sizes): entry(own)})
    assert find("mini", DEVICE, sizes).constants == own
    assert find("mini", DEVICE).constants == CONSTANTS


@pytest.mark.parametrize("field", ["formulas", "file", "entry"])
def test_constants_of_other_formulas_or_broken_files_are_not_used(field):
    path = store(DEVICE, families={"mini": entry()})
    data = json.loads(path.read_text())
    if field == "formulas":
        data["formulas"] = FORMULAS - 1
    if field == "entry":
        del data["families"]["mini"]["constants"]["fixed_bytes"]
    path.write_text("{" if field == "file" else json.dumps(data))
    assert find("mini", DEVICE).origin != "measured here"


def test_another_version_has_constants_of_its_own(monkeypatch):
    store(DEVICE, families={"mini": entry()})
    monkeypatch.setattr("itda.cost.calibration.itda_version", lambda: "99.0")
    assert find("mini", DEVICE).origin != "measured here"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "device",
    [
        Device("cpu", "AMD EPYC", 1, 1, "bfloat16"),
        Device("cpu", "Never heard of", 64, 64, None),
        Device("cuda", "NVIDIA A100-SXM4-80GB", 1, 1, "bfloat16"),
        Device("cuda", "NVIDIA Something", 1, 1, "bfloat16"),
        Device("mps", "Apple arm64", 1, 1, "float16"),
    ],
)
def test_the_shipped_table_has_something_for_every_device(family, device):
    found = shipped(family, device)
    assert found.origin in ("measured elsewhere", "derived")
    assert "itda bench calibrate" in found.shown
    demand = get_family(family).demand(on_device(Load(tokens=(230,)), device))
    assert 1e-3 < found.constants.seconds_of(demand) < 3600
    assert 1e8 < found.constants.bytes_of(demand) < 3e10
    # Every kind of work costs something somewhere, or is known to be free.
    assert all(value >= 0 for value in found.constants.seconds.values())


def test_a_faster_card_is_predicted_to_be_faster():
    demand = get_family("esmfold").demand(Load(tokens=(500,), device="cuda", dtype="bfloat16"))
    seconds = [
        shipped("esmfold", Device("cuda", name, 1, 1, "bfloat16")).constants.seconds_of(demand)
        for name in ("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB", "Tesla T4")
    ]
    assert seconds == sorted(seconds)


def test_what_an_allocation_that_failed_taught_is_told():
    assert calibration.Calibration(CONSTANTS, "derived", "a table").shown == "a table"
    raised = calibration.Calibration(CONSTANTS, "derived", "a table", 1.5).shown
    assert "a table" in raised and "1.50 times" in raised and "calibrate" in raised


def test_the_table_says_what_was_measured():
    table = calibration._table()
    for measured in table["measured"]:
        assert measured["formulas"] == FORMULAS, "calibrate again: the formulas have changed"
        for constants in measured["families"].values():
            assert Constants.from_dict(constants).seconds
    assert "derived" in table["note"] and "measured" in table["note"]


def test_esmfold_at_full_size_is_predicted_as_it_was_measured():
    """Figures of docs/esmfold.md: one thread of an AMD EPYC, one recycle."""
    device = Device("cpu", "AMD EPYC", 1, 1, "bfloat16")
    constants = shipped("esmfold", device).constants
    for tokens, gigabytes, seconds in ((64, 3.62, 13.4), (128, 3.62, 43.4), (256, 3.77, 168.0)):
        load = on_device(Load(tokens=(tokens,), recycles=1), device)
        demand = get_family("esmfold").demand(load)
        assert constants.bytes_of(demand) / 1e9 == pytest.approx(gigabytes, rel=0.05)
        assert constants.seconds_of(demand) == pytest.approx(seconds, rel=0.25)
        # With the language model in float32, or half of the pairs, it would be seen.
        other = dataclasses.replace(load, dtype="float32")
        assert constants.bytes_of(get_family("esmfold").demand(other)) / 1e9 != pytest.approx(
            gigabytes, rel=0.05
        )


def fake_measure(asked: list[Case], *, fails: set[int] = frozenset(), constants=CONSTANTS):
    def measure(case: Case, **_) -> Answer:
        asked.append(case)
        if max(case.tokens) in fails:
            raise ExhaustedError("out of memory")
        demand = get_family(case.family).demand(on_device(case.load, describe("cpu")))
        return Answer(
            seconds=constants.seconds_of(demand),
            start_seconds=3.0,
            bytes=int(constants.bytes_of(demand)),
            loading_bytes=0,
            address_bytes=5,
            threads=2,
        )

    return measure


def test_calibration_finds_the_constants_and_keeps_them(monkeypatch, home):
    asked, said = [], []
    monkeypatch.setattr(calibrating, "measure", fake_measure(asked))
    (fitted,) = calibrate(
        ["mini"], "cpu", lambda fraction, message: said.append((fraction, message))
    )
    assert fitted.seconds_error.median < 0.03 and fitted.bytes_error.worst < 1e-3
    assert len(asked) == fitted.points >= 12
    found = find("mini", describe("cpu"))
    assert found.origin == "measured here"
    demand = get_family("mini").demand(Load(tokens=(777,)))
    assert found.constants.bytes_of(demand) == pytest.approx(CONSTANTS.bytes_of(demand), rel=1e-3)
    assert [fraction for fraction, _ in said] == sorted(fraction for fraction, _ in said)
    assert said[-1][1] == fitted.shown
    # Nothing is left over.
    assert [path.suffix for path in (home / "calibration").iterdir()] == [".json"]


def test_calibration_that_was_stopped_goes_on(monkeypatch):
    asked = []
    measure = fake_measure(asked)

    def stops(case, **options):
        if len(asked) == 5:
            raise KeyboardInterrupt
        return measure(case, **options)

    monkeypatch.setattr(calibrating, "measure", stops)
    with pytest.raises(KeyboardInterrupt):
        calibrate(["mini"], "cpu")
    assert read(describe("cpu"))["families"] == {}
    monkeypatch.setattr(calibrating, "measure", measure)
    (fitted,) = calibrate(["mini"], "cpu")
    # The five of before were not folded again.
    assert len(asked) == len(set(asked)) == fitted.points


def test_sizes_that_do_not_fit_are_left_out_and_told(monkeypatch):
    asked, said = [], []
    cases = chosen_cases(get_family("mini"))
    largest = max(max(case.tokens) for case in cases)
    monkeypatch.setattr(calibrating, "measure", fake_measure(asked, fails={largest}))
    (fitted,) = calibrate(["mini"], "cpu", lambda _, message: said.append(message))
    assert fitted.points == len(cases) - sum(largest in case.tokens for case in cases)
    assert any("memory ran out" in message for message in said)


def test_sizes_that_would_take_too_long_are_left_out(monkeypatch):
    asked, said = [], []
    slow = dataclasses.replace(CONSTANTS, seconds={"products": 1e-9})
    monkeypatch.setattr(calibrating, "measure", fake_measure(asked, constants=slow))
    (fitted,) = calibrate(["mini"], "cpu", lambda _, message: said.append(message))
    assert 3 < fitted.points < len(chosen_cases(get_family("mini")))
    assert any("too long" in message for message in said)


def test_families_whose_weights_are_not_here_are_left_out(monkeypatch):
    said = []
    monkeypatch.setenv("ITDA_WEIGHTS", "/nonexistent")
    monkeypatch.setattr(calibrating, "has_weights", lambda family: False)
    assert calibrate(["esmfold"], "cpu", lambda _, message: said.append(message)) == []
    assert "esmfold: left out, its weights are not on this machine" in said


@pytest.mark.parametrize("name", FAMILIES)
def test_cases_tell_constants_apart_and_can_be_folded(name):
    family = get_family(name)
    cases = chosen_cases(family)
    assert len(cases) == len(set(cases)) > 8
    assert all(Case.from_json(case.to_json()) == case for case in cases)
    if family.capabilities.samples:
        assert any(case.samples > 1 for case in cases)
    if family.capabilities.recycles:
        assert len({case.recycles for case in cases}) > 2
    for case in cases:
        for place, tokens in enumerate(case.tokens):
            job = synthetic_job(family, tokens, seed=place)
            assert load_of(job).tokens == (tokens,)


def test_a_load_is_made_of_jobs():
    first, second = (
        Job.from_sequence("a", "M" * 30 + ":" + "K" * 20),
        Job.from_sequence("b", "MKTA"),
    )
    load = load_of(first.replace(samples=3), second, recycles=2, templates=4)
    assert load == Load(
        tokens=(50, 4), atoms=(30 * 8 + 20 * 9, 8 + 9 + 7 + 5), chains=2, templates=4, samples=3,
        recycles=2, frugal=False,
    )  # fmt: skip
