import numpy as np
import pytest

from itda.engine import crew
from itda.engine.codec import FORMAT
from itda.engine.engine import Engine
from itda.engine.events import (
    JobFailed,
    JobFinished,
    JobStarted,
    JobWarned,
    StageFinished,
    StageProgress,
    StageStarted,
)
from itda.engine.folds import NETWORK_SHARE
from itda.errors import CapabilityError, WeightsError
from itda.job.model import Job
from itda.ops.routing import BACKENDS, VARIABLE, override
from itda.store.store import Store

SEQUENCE = "MKTAYIAKQRQISFVK"


@pytest.fixture
def engine(store) -> Engine:
    return Engine(store, "cpu")


def results(events):
    return [event.result for event in events if isinstance(event, JobFinished)]


def jobs_called(*names: str) -> list[Job]:
    """Each of a sequence of its own, for what is equal is found again."""
    return [Job.from_sequence(name, SEQUENCE[place:]) for place, name in enumerate(names)]


def kinds(events):
    return [type(event) for event in events if not isinstance(event, StageProgress)]


def test_events_tell_the_whole_story(engine, family, job, monkeypatch) -> None:
    monkeypatch.setattr(crew, "TELL_EVERY_SECONDS", 0.0)
    events = list(engine.run([job]))
    stage = [StageStarted, StageFinished]
    assert kinds(events) == [JobStarted, *stage, *stage, JobFinished]
    assert [event.stage for event in events if isinstance(event, StageStarted)] == [
        "predict",
        "validity",
    ]
    progress = [e for e in events if isinstance(e, StageProgress) and e.stage == "predict"]
    # The network is the first part of the stage.
    told = [event.fraction / NETWORK_SHARE for event in progress]
    np.testing.assert_allclose(told, [0, 0.25, 0.5, 0.75])
    assert progress[1].message == "pass 2 of 4"
    assert all(event.job == "helix" for event in events)
    times = [event.time for event in events]
    assert times == sorted(times)


def test_result_is_what_the_model_gave_with_its_validity(engine, family, job) -> None:
    (result,) = results(engine.run([job]))
    assert result.name == "helix" and not result.cached
    assert result.plddt.shape == (16,) and result.pae.shape == (16, 16)
    assert result.best.validity
    assert result.atoms.array_length() == 64
    assert result.provenance.family == "mini"


def test_samples_of_all_seeds_are_ranked(engine, family, job) -> None:
    (result,) = results(engine.run([job.replace(seeds=(1, 2), samples=3)]))
    assert {(p.seed, p.sample) for p in result.predictions} == {
        (seed, sample) for seed in (1, 2) for sample in range(3)
    }
    scores = [p.mean_plddt for p in result.predictions]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 6
    assert result.mean_plddt == scores[0]


def test_second_run_finds_all_again(engine, store, family, job) -> None:
    (first,) = results(engine.run([job]))
    events = list(Engine(Store(store.folder), "cpu").run([job]))
    assert [event.cached for event in events if isinstance(event, StageFinished)] == [True, True]
    (second,) = results(events)
    assert second.cached and family.folded == ["helix"]
    assert np.array_equal(first.atoms.coord, second.atoms.coord)
    assert first.best.validity == second.best.validity
    assert first.provenance == second.provenance


def test_same_molecule_under_another_name_is_found(engine, family, job) -> None:
    list(engine.run([job]))
    (twin,) = results(engine.run([job.replace(name="twin")]))
    assert twin.cached and twin.best.name == "twin"


@pytest.mark.parametrize("change", [{"seed": 5}, {"samples": 2}, {"recycles": 1}])
def test_other_settings_are_computed(engine, family, job, change) -> None:
    list(engine.run([job]))
    (other,) = results(engine.run([job], **change))
    assert not other.cached and family.folded == ["helix", "helix"]


def test_other_weights_are_computed(engine, family, job, monkeypatch) -> None:
    list(engine.run([job]))
    monkeypatch.setattr("fake_family.FakeModel.weights_digest", "sha256:" + "2" * 64)
    (other,) = results(engine.run([job]))
    assert not other.cached


def test_new_seed_beside_an_old_one_is_all_that_is_computed(engine, family, job) -> None:
    list(engine.run([job.replace(seeds=(1,))]))
    events = list(engine.run([job.replace(seeds=(1, 2))]))
    predicts = [e for e in events if isinstance(e, StageFinished) and e.stage == "predict"]
    assert [event.cached for event in predicts] == [True, False]
    assert not results(events)[0].cached


def test_without_a_store_all_is_computed(family, job) -> None:
    for _ in range(2):
        (result,) = results(Engine(None, "cpu").run([job]))
        assert not result.cached


def damage_every_file(store: Store) -> None:
    for path in store.folder.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-7])


def test_damaged_entry_is_computed_anew_with_a_warning(engine, store, family, job) -> None:
    (first,) = results(engine.run([job]))
    damage_every_file(store)
    events = list(engine.run([job]))
    (warning,) = [event for event in events if isinstance(event, JobWarned)]
    assert "damaged" in warning.message
    (second,) = results(events)
    assert not second.cached and np.array_equal(first.atoms.coord, second.atoms.coord)
    assert results(engine.run([job]))[0].cached


def test_entry_that_cannot_be_decoded_is_computed_anew(engine, store, family, job, monkeypatch):
    list(engine.run([job]))
    monkeypatch.setattr("itda.engine.codec.FORMAT", FORMAT + 1)
    events = list(engine.run([job]))
    assert any(isinstance(event, JobWarned) for event in events)
    assert results(events) and results(engine.run([job]))[0].cached


@pytest.mark.parametrize("error", [TypeError, KeyError, ValueError, ZeroDivisionError])
def test_a_fault_of_the_reader_is_no_damage(engine, store, family, job, monkeypatch, error):
    list(engine.run([job]))
    kept = sorted(store.folder.rglob("*.npz"))

    def broken(*_given, **_named):
        raise error("nobody expected this")

    with monkeypatch.context() as patch:
        patch.setattr("itda.engine.folds.decode_prediction", broken)
        events = list(engine.run([job]))
    assert not any(isinstance(event, JobWarned) for event in events)
    (failure,) = [event for event in events if isinstance(event, JobFailed)]
    assert isinstance(failure.error, error) and "nobody expected this" in failure.traceback
    assert kept and sorted(store.folder.rglob("*.npz")) == kept
    assert results(engine.run([job]))[0].cached


def test_the_routing_in_force_keeps_results_apart(engine, store, family, job, monkeypatch):
    """However it was said: by `override`, or by the environment in any spelling."""
    list(engine.run([job]))
    with override(layer_norm="torch"):
        assert not results(engine.run([job]))[0].cached
        assert results(engine.run([job]))[0].cached
    monkeypatch.setenv(VARIABLE, " layer_norm=torch ")
    assert results(engine.run([job]))[0].cached
    with override(layer_norm="reference"):
        assert not results(engine.run([job]))[0].cached
    monkeypatch.setenv(VARIABLE, "reference")
    assert not results(engine.run([job]))[0].cached
    every = ",".join(f"{op}=reference" for op in BACKENDS)
    monkeypatch.setenv(VARIABLE, every)
    assert results(engine.run([job]))[0].cached
    monkeypatch.delenv(VARIABLE)
    assert results(engine.run([job]))[0].cached


def test_full_disk_of_the_store_does_not_stop_a_job(engine, store, family, job, monkeypatch):
    def full(key, files, **_said) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "put", full)
    events = list(engine.run([job]))
    assert results(events)
    assert "No space left" in next(e for e in events if isinstance(e, JobWarned)).message


def test_one_failure_leaves_the_others(engine, family) -> None:
    names = ["first", "crash", "second", "exhausted", "third"]
    events = list(engine.run(jobs_called(*names)))
    assert [result.name for result in results(events)] == ["first", "second", "third"]
    crash, exhausted = [event for event in events if isinstance(event, JobFailed)]
    assert crash.job == "crash" and not crash.expected and not crash.refused
    assert "ZeroDivisionError" in crash.traceback and "begin" in crash.traceback
    assert exhausted.expected and isinstance(exhausted.error, CapabilityError)
    assert "13 residues" in str(exhausted.error)


def test_refusals_come_before_anything_is_loaded(engine, family) -> None:
    jobs = [Job.from_sequence("good", SEQUENCE), Job.from_sequence("pair", "MKT:MKT")]
    events = engine.run(jobs)
    refusal = next(events)
    assert isinstance(refusal, JobFailed) and refusal.refused and family.models == []
    assert [result.name for result in results(events)] == ["good"]


def test_only_refusals_load_nothing(engine, family) -> None:
    list(engine.run([Job.from_sequence("pair", "MKT:MKT")]))
    assert family.models == []


def test_bad_weights_stop_the_run(engine, family, job, tmp_path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"bad")
    with pytest.raises(WeightsError, match="weights"):
        list(engine.run([job], weights=weights))
    assert family.folded == []


def test_device_that_is_not_there_is_refused(store, family, job) -> None:
    with pytest.raises(CapabilityError, match="cuda:99"):
        list(Engine(store, "cuda:99").run([job]))


def test_unknown_family_is_refused(engine, family, job) -> None:
    with pytest.raises(CapabilityError, match="maxi"):
        list(engine.run([job], family="maxi"))


def test_ctrl_c_stops_and_keeps_what_was_done(engine, family) -> None:
    jobs = jobs_called("done", "interrupted", "never")
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(engine.run(jobs))
    assert [result.name for result in results(seen)] == ["done"]
    assert family.folded == ["done"]
    assert results(engine.run(jobs[:1]))[0].cached
