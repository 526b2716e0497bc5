import dataclasses

import pytest
from fake_family import FakeFamily

from itda.engine.plan import Settings, make_plan
from itda.engine.searches import refuse_searches
from itda.errors import CapabilityError, InputError, WeightsError
from itda.job.model import Job

SEQUENCE = "MKTAYIAKQR"


def plan(family, *jobs, **settings):
    return make_plan(jobs, Settings(family, **settings))


def test_good_jobs_are_admitted_in_order(family) -> None:
    jobs = [Job.from_sequence(name, SEQUENCE) for name in ("b", "a")]
    made = plan(family, *jobs)
    assert [(request.job.name, request.position) for request in made.requests] == [
        ("b", 1),
        ("a", 2),
    ]
    assert made.refusals == () and made.total == 2


def test_one_refusal_leaves_the_others(family) -> None:
    jobs = [
        Job.from_sequence("good", SEQUENCE),
        Job.from_sequence("pair", "MKT:MKT"),
        Job.from_sequence("also_good", SEQUENCE),
    ]
    made = plan(family, *jobs)
    assert [request.job.name for request in made.requests] == ["good", "also_good"]
    ((position, refusal),) = made.refusals
    assert (position, refusal.job, refusal.refused) == (2, "pair", True)
    assert isinstance(refusal.error, CapabilityError)


def test_nothing_is_loaded(family) -> None:
    plan(family, Job.from_sequence("a", SEQUENCE))
    assert family.models == []


@pytest.mark.parametrize("second", ["helix", "HELIX"])
def test_same_name_is_refused(family, second) -> None:
    made = plan(family, Job.from_sequence("helix", "MKT"), Job.from_sequence(second, "MKV"))
    ((_, refusal),) = made.refusals
    assert isinstance(refusal.error, InputError) and "helix" in str(refusal.error)


def test_seed_and_samples_of_the_run_replace_those_of_the_job(family, job) -> None:
    (request,) = plan(family, job.replace(seeds=(1, 2), samples=3)).requests
    assert (request.job.seeds, request.job.samples) == ((1, 2), 3)
    (request,) = plan(family, job.replace(seeds=(1, 2)), seed=7, samples=5).requests
    assert (request.job.seeds, request.job.samples) == ((7,), 5)


def test_digest_covers_what_the_result_depends_on(family, job, tmp_path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"good")
    profile = tmp_path / "profile.npz"
    profile.write_bytes(b"1")
    with_profile = job.replace(entities=(job.entities[0].replace(profile=profile),))
    digests = [
        plan(family, asked, **settings).requests[0].digest
        for asked, settings in [
            (job, {}),
            (job, {"seed": 1}),
            (job, {"samples": 2}),
            (job, {"recycles": 0}),
            (job, {"weights": weights}),
            (with_profile, {}),
            (Job.from_sequence("helix", "MKT"), {}),
        ]
    ]
    profile.write_bytes(b"2")
    digests.append(plan(family, with_profile).requests[0].digest)
    assert len(set(digests)) == len(digests)


def test_digest_does_not_depend_on_the_name(family, job) -> None:
    twin = job.replace(name="twin")
    assert plan(family, job).requests[0].digest == plan(family, twin).requests[0].digest


def test_missing_weights_stop_the_plan(family, job, tmp_path) -> None:
    with pytest.raises(WeightsError, match="missing"):
        plan(family, job, weights=tmp_path / "missing")


def test_missing_input_file_is_that_job_s_error(family, job, tmp_path) -> None:
    lost = job.replace(
        name="lost", entities=(job.entities[0].replace(msa=tmp_path / "missing.a3m"),)
    )
    made = plan(family, lost, job)
    assert [request.job.name for request in made.requests] == ["helix"]
    assert "missing.a3m" in str(made.refusals[0][1].error)


def test_unexpected_error_of_a_check_is_that_job_s(family, job, monkeypatch) -> None:
    def check(checked: Job) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(family, "check", check)
    ((_, refusal),) = plan(family, job).refusals
    assert not refusal.expected and "ZeroDivisionError" in refusal.traceback


def test_recycling_is_refused_where_there_is_none(family, job) -> None:
    assert plan(family, job, recycles=2).requests
    family.capabilities = dataclasses.replace(family.capabilities, recycles=False)
    with pytest.raises(CapabilityError, match="--recycles 2: mini recycles nothing"):
        plan(family, job, recycles=2)
    assert plan(family, job, recycles=0).requests


def test_more_than_one_structure_is_refused_where_there_is_one(family, job) -> None:
    family.capabilities = dataclasses.replace(family.capabilities, samples=False)
    ((_, refusal),) = plan(family, job, samples=5).refusals
    assert "5 are asked for" in refusal.error.problem
    assert plan(family, job, samples=1, seed=9).requests


def test_what_is_searched_for_a_family_that_takes_none_names_one_that_does(family) -> None:
    narrow = FakeFamily()
    narrow.name = "narrow"
    narrow.capabilities = dataclasses.replace(family.capabilities, inputs=frozenset())
    with pytest.raises(CapabilityError, match="--msa: narrow takes no alignment") as caught:
        refuse_searches(narrow, alignments=True, templates=False)
    assert "choose `--model mini`, which can" in caught.value.hint
