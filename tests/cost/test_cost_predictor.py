from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import pytest

from itda.cost import calibration, predictor
from itda.cost.devices import Device
from itda.cost.memory import Room
from itda.cost.predictor import Cost, Predictor
from itda.errors import CapabilityError
from itda.models.demand import Load
from itda.models.registry import get_family

LOAD = Load(tokens=(300,))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path))
    return tmp_path


def of(family="mini", **options) -> Predictor:
    return Predictor(get_family(family), "cpu", **options)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with 24 GB, on a machine with 100 GB."""
    monkeypatch.setattr(
        predictor,
        "describe",
        lambda name: (
            Device("cpu", "AMD EPYC", 8, 8, "bfloat16")
            if name == "cpu"
            else Device("cuda", "NVIDIA RTX 4090", 1, 1, "bfloat16")
        ),
    )
    rooms = {
        "cpu": Room(100 * 10**9, "this machine has free"),
        "cuda:0": Room(24 * 10**9, "cuda:0 has free"),
    }

    def room(device, *, limit_bytes=None, address_bytes=0):
        return rooms[device]

    monkeypatch.setattr(predictor, "room", room)
    return rooms


def test_a_load_fits_up_to_the_byte_that_it_needs():
    needed = of().cost(LOAD).bytes
    assert of(limit_bytes=needed).fits(LOAD)
    assert not of(limit_bytes=needed - 1).fits(LOAD)


def test_the_largest_fits_and_one_residue_more_does_not():
    asked = of(limit_bytes=600_000_000)
    largest = asked.largest_tokens(LOAD)
    assert 100 < largest < 1024
    assert asked.fits(dataclasses.replace(LOAD, tokens=(largest,)))
    assert not asked.fits(dataclasses.replace(LOAD, tokens=(largest + 1,)))


def test_the_largest_is_no_more_than_the_family_folds():
    asked = of()
    asked._room = (time.monotonic() + 1e6, Room(10**15, ""))
    assert asked.largest_tokens(LOAD) == get_family("mini").capabilities.max_tokens


def test_nothing_fits_into_nothing():
    asked = of(limit_bytes=1000)
    assert asked.largest_tokens(LOAD) == 0
    assert asked.largest_batch(dataclasses.replace(LOAD, tokens=(20, 20))) == 0
    with pytest.raises(CapabilityError, match="not even the shortest chain fits"):
        asked.admit(LOAD)


def test_a_batch_is_as_large_as_memory_lets_it_be():
    tokens = [200] * 300
    asked = of(limit_bytes=700_000_000)
    count = asked.largest_batch(dataclasses.replace(LOAD, tokens=tuple(tokens)))
    assert 1 < count < 300
    assert asked.fits(dataclasses.replace(LOAD, tokens=tuple(tokens[:count])))
    assert not asked.fits(dataclasses.replace(LOAD, tokens=tuple(tokens[: count + 1])))
    assert asked.largest_batch(dataclasses.replace(LOAD, tokens=())) == 0


def test_a_family_of_single_jobs_has_batches_of_one():
    asked = of("esmfold")
    asked._room = (time.monotonic() + 1e6, Room(10**12, ""))
    assert asked.largest_batch(Load(tokens=(50, 50, 50))) == 1


def test_a_batch_that_does_not_fit_is_made_smaller():
    asked = of(limit_bytes=700_000_000)
    admission = asked.admit(Load(tokens=(200,) * 300))
    assert admission.verdict == "runs in smaller batches"
    assert 1 < admission.load.jobs < 300
    assert admission.cost == asked.cost(admission.load)
    assert asked.admit(LOAD).verdict == "runs"


def test_what_fits_only_frugally_runs_frugally(gpu):
    family = get_family("esmfold")
    asked = Predictor(family, "cuda:0")
    load = Load(tokens=(700,))
    whole, frugal = asked.cost(load), asked.cost(dataclasses.replace(load, frugal=True))
    assert frugal.bytes < whole.bytes
    gpu["cuda:0"] = Room((frugal.bytes + whole.bytes) // 2, "cuda:0 has free")
    admission = Predictor(family, "cuda:0").admit(load)
    assert admission.verdict == "runs frugally"
    assert admission.load.frugal


def test_a_refusal_names_what_is_needed_what_is_there_and_what_would_work(gpu):
    gpu["cuda:0"] = Room(5 * 10**9, "cuda:0 has free")
    asked = Predictor(get_family("esmfold"), "cuda:0")
    with pytest.raises(CapabilityError) as refused:
        asked.admit(Load(tokens=(2000,)), name="titin")
    said, hint = refused.value.problem, refused.value.hint
    largest = asked.largest_tokens(Load(tokens=(1,), frugal=True))
    assert "'titin'" in said and "2000 residues" in said
    assert "cuda:0 has free 5.0 GB" in said
    assert f"at most {largest} residues fit" in said
    assert "--device cpu" in hint and f"up to {largest} residues" in hint


def test_a_refusal_says_which_limit_to_raise_and_what_to_leave_out():
    one = of().cost(dataclasses.replace(LOAD, samples=1)).bytes
    with pytest.raises(CapabilityError) as refused:
        of(limit_bytes=one).admit(dataclasses.replace(LOAD, samples=400))
    assert "--memory allows" in refused.value.problem
    assert "it fits with --samples 1" in refused.value.hint
    assert "raise --memory to" in refused.value.hint


def test_what_ran_out_of_memory_does_not_fit_again(home):
    asked = of(limit_bytes=of().cost(LOAD).bytes + 10**6)
    assert asked.fits(LOAD)
    asked.learn_exhausted(LOAD)
    assert not asked.fits(LOAD)
    # Nor in the next run.
    again = of(limit_bytes=asked.limit_bytes)
    assert not again.fits(LOAD)
    # Until it is measured anew.
    entry = {"constants": again.calibration.constants.to_dict(), "measured": "2026-11-25"}
    calibration.store(again.described, families={"mini": entry})
    assert of(limit_bytes=asked.limit_bytes).fits(LOAD)


def test_memory_that_another_program_took_spoils_no_later_run():
    asked = of(limit_bytes=40 * of().cost(LOAD).bytes)
    asked._room = (time.monotonic() + 1e6, Room(asked.limit_bytes, ""))
    asked.learn_exhausted(LOAD)
    # Not in this run, nor anything larger; smaller ones may.
    assert not asked.fits(LOAD)
    assert not asked.fits(dataclasses.replace(LOAD, tokens=(400,)))
    assert asked.fits(dataclasses.replace(LOAD, tokens=(100,)))
    # The next run takes it for twice as large, not for forty times.
    assert of().cost(LOAD).bytes == pytest.approx(asked.cost(LOAD).bytes)
    assert asked.cost(LOAD).bytes < 0.1 * asked.limit_bytes


def test_what_is_learned_is_kept_even_where_nothing_can_be_written(home, monkeypatch):
    monkeypatch.setenv("ITDA_HOME", "/proc/no/such/folder")
    asked = of(limit_bytes=of().cost(LOAD).bytes)
    asked.learn_exhausted(LOAD)
    assert not asked.fits(LOAD)


def test_the_room_is_asked_for_now_and_then(monkeypatch):
    now = [0.0]
    rooms = iter([Room(10**9, "a"), Room(2 * 10**9, "b")])
    monkeypatch.setattr(predictor, "room", lambda *_, **__: next(rooms))
    asked = of(clock=lambda: now[0])
    assert asked.room.source == asked.room.source == "a"
    now[0] = 2.0
    assert asked.room.source == "b"


def test_sizes_of_ones_own_weights_are_taken(tmp_path):
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"")
    sizes = {"single_channels": 64, "pair_channels": 64, "blocks": 2}
    weights.with_suffix(".json").write_text(
        '{"version": 1, "family": "mini", "name": "own", "sha256": "' + "0" * 64 + '", '
        '"licence": "MIT", "config": ' + str(sizes).replace("'", '"') + "}"
    )
    own = of(weights=weights)
    assert own.cost(LOAD).bytes > of().cost(LOAD).bytes


def test_families_are_predicted_without_pytorch():
    code = (
        "import sys; from itda.cost.predictor import Predictor\n"
        "from itda.models.registry import FAMILIES, get_family\n"
        "from itda.models.demand import Load\n"
        "for name in FAMILIES: Predictor(get_family(name), 'cpu').cost(Load(tokens=(200,)))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_cost_is_a_number_of_bytes_and_seconds():
    cost = of().cost(LOAD)
    assert isinstance(cost, Cost)
    assert cost.bytes > 10**8 and cost.seconds > 0 and of().start_seconds > 0
