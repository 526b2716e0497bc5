"""Which weights a run takes, and what is told while they are made ready."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from fake_family import FakeFamily, install

from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobStarted, StageFinished, StageProgress, StageStarted
from itda.engine.weights import choose_weights, needs_preparation
from itda.errors import WeightsError
from itda.hub import installed, registry
from itda.job.model import Job


def test_nothing_is_chosen_unless_told(family) -> None:
    assert choose_weights(None, family) is None


def test_the_name_of_the_family_s_own_set_is_as_if_nothing_were_told(family) -> None:
    assert choose_weights("mini", family) is None


def test_a_set_of_another_family_is_refused_with_that_family(family) -> None:
    with pytest.raises(WeightsError, match="of the family esmfold, not mini") as caught:
        choose_weights("esmfold_v1", family)
    assert caught.value.hint == "choose --model esmfold"


def test_another_set_of_the_same_family_is_made_ready(family, tmp_path, monkeypatch) -> None:
    second = registry.get_weight_set("mini").model_copy(update={"name": "second"})
    monkeypatch.setattr(registry, "weight_sets", lambda: {"second": second})
    asked = []

    def ensure(weight_set, converter):
        asked.append((weight_set.name, converter))
        return tmp_path / "second.safetensors"

    monkeypatch.setattr(installed, "ensure", ensure)
    assert choose_weights("second", family) == tmp_path / "second.safetensors"
    assert asked == [("second", None)]


def test_a_file_goes_before_a_set_of_its_name(family, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("esmfold_v1").write_bytes(b"good")
    assert choose_weights("esmfold_v1", family) == Path("esmfold_v1")
    assert choose_weights(Path("elsewhere"), family) == Path("elsewhere")


def test_what_is_neither_is_told_of_by_the_plan(family, job) -> None:
    path = choose_weights("nowhere", family)
    with pytest.raises(WeightsError, match="nowhere: weights cannot be read") as caught:
        list(Engine(None, "cpu").run([job], weights=path))
    assert "itda weights list" in caught.value.hint


def test_weights_that_come_with_itda_need_no_stage(family, job) -> None:
    assert not needs_preparation(family)
    events = list(Engine(None, "cpu").run([job]))
    assert isinstance(events[0], JobStarted)
    assert all(event.stage != "weights" for event in events if isinstance(event, StageStarted))


def test_weights_from_elsewhere_tell_how_far_they_are(family, monkeypatch) -> None:
    """Before the first job, under its name, and once for all jobs."""
    made = []

    def ensure(weight_set, converter, *, progress):
        progress(0.2, f"converting {weight_set.name}")
        made.append(weight_set.name)

    family.weight_set = "flashabb"
    monkeypatch.setattr(installed, "ensure", ensure)
    jobs = [Job.from_sequence(name, "MKTAYIAKQR" + name) for name in ("AA", "CC")]
    events = list(Engine(None, "cpu").run(jobs))
    kinds = [type(event) for event in events[:4]]
    assert kinds == [StageStarted, StageProgress, StageFinished, JobStarted]
    assert {(event.job, event.stage) for event in events[:3]} == {("AA", "weights")}
    assert events[1].message == "converting flashabb"
    assert made == ["flashabb"]


def test_weights_that_are_not_here_stop_the_run_before_the_first_job(family, job, monkeypatch):
    def ensure(weight_set, converter, *, progress):
        raise WeightsError(f"weights {weight_set.name} are not on this machine", hint="pull them")

    family.weight_set = "esmfold_v1"
    monkeypatch.setattr(installed, "ensure", ensure)
    run = Engine(None, "cpu").run([job])
    seen = []
    with pytest.raises(WeightsError, match="esmfold_v1 are not on this machine"):
        seen.extend(run)
    assert family.models == []


def test_one_model_serves_all_jobs(family) -> None:
    jobs = [Job.from_sequence(f"j{n}", "MKTAYIAKQR" + "A" * n) for n in range(3)]
    list(Engine(None, "cpu").run(jobs))
    assert len(family.models) == 1
    assert family.folded == ["j0", "j1", "j2"]


@pytest.mark.parametrize("names", [("good",), ("crash", "exhausted", "good")])
def test_a_model_is_given_up_with_its_run_whatever_is_kept_of_it(monkeypatch, names) -> None:
    """Errors are kept by the caller, and hold the frames that they went through."""

    class Forgetful(FakeFamily):
        def load(self, weights, device, *, frugal=False):
            model = super().load(weights, device, frugal=frugal)
            self.models.clear()
            alive.append(weakref.ref(model))
            return model

    alive: list[weakref.ref] = []
    install(Forgetful(), monkeypatch.setattr)
    jobs = [Job.from_sequence(n, "MKTAYIAKQR" + "A" * i) for i, n in enumerate(names)]
    kept = list(Engine(None, "cpu").run(jobs))
    gc.collect()
    assert alive and not any(reference() for reference in alive)
    for event in kept:
        if isinstance(event, JobFailed) and not event.expected:
            assert event.error.__traceback__ is not None
            assert "nobody expected this" in event.traceback
