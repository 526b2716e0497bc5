"""Quotas stop at their limit, say when they renew, and do; the books add up."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from itda.errors import InputError
from itda.server.errors import NotFoundError, QuotaError
from itda.server.queue.ledger import CSV_COLUMNS, usage_csv
from itda.server.queue.quotas import period_of
from itda.server.queue.records import Capacity, Priority, State, UsageLine

from .lab import new_job
from .test_submit import in_threads

DAY = 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        ("2026-11-30T00:00:00", "2026-12-01", "2026-12-01"),
        ("2026-11-29T23:59:59", "2026-11-30", "2026-12-01"),
        ("2026-12-31T12:00:00", "2027-01-01", "2027-01-01"),
        ("2027-01-01T00:00:00", "2027-01-02", "2027-02-01"),
        ("2028-02-28T12:00:00", "2028-02-29", "2028-03-01"),
        ("2026-03-29T02:30:00", "2026-03-30", "2026-04-01"),
    ],
)
def test_periods_are_of_the_calendar(now, day, month):
    assert period_of(at(now), "day") == (at(now[:10]), at(day))
    assert period_of(at(now), "month") == (at(f"{now[:7]}-01"), at(month))


def run_one(lab, worker, seconds):
    claims = lab.queue.claim(worker, Capacity())
    if not claims:
        return False
    lab.now += seconds
    assert lab.queue.finish(claims[0], [], {})
    return True


@pytest.mark.parametrize("level", ["organisation", "project", "user"])
@pytest.mark.parametrize("period", ["day", "month"])
def test_a_quota_stops_at_its_limit_and_renews(lab, level, period):
    kim, lee, worker = lab.person("kim"), lab.person("lee"), lab.worker()
    lab.now = at("2026-11-27T10:00:00")
    renews_at = at("2026-11-28") if period == "day" else at("2026-12-01")
    owner = {"organisation": kim.organisation_id, "project": kim.project_id, "user": kim.user_id}
    lab.queue.set_quota(level, owner[level], "cpu", 100.0, period)
    lab.submit(kim, *(f"job {number}" for number in range(30)))
    ran = 0
    while run_one(lab, worker, 10.0):
        ran += 1
    assert ran == 10
    (status,) = lab.queue.quota_status(kim.project_id, kim.user_id)
    assert (status.level, status.used_seconds, status.renews_at) == (level, 100.0, renews_at)
    with pytest.raises(QuotaError) as refused:
        lab.submit(kim, "one more")
    assert refused.value.renews_at == renews_at
    assert f"{datetime.fromtimestamp(renews_at, UTC):%Y-%m-%d %H:%M} UTC" in refused.value.hint
    # One that waits is told what for.
    waiting = lab.queue.jobs(None, states=[State.QUEUED]).jobs[0]
    assert lab.queue.held_by(waiting.id) == status
    assert lab.queue.position(waiting.id)[1] is None
    # Others, and other devices, are not held up.
    lab.submit(lee, "lee's")
    assert run_one(lab, worker, 10.0)
    lab.submit(kim, "on a GPU", device_kind="gpu")
    assert lab.claim(lab.worker("gpu"), device_kind="gpu").job.name == "on a GPU"
    # One second before, nothing; then as much again.
    lab.now = renews_at - 1
    assert not run_one(lab, worker, 10.0)
    lab.now = renews_at
    assert lab.queue.held_by(waiting.id) is None
    lab.submit(kim, "one more")
    ran = 0
    while run_one(lab, worker, 10.0):
        ran += 1
    assert ran == 10


def test_what_runs_counts_before_it_has_ended(lab):
    kim, worker = lab.person(), lab.worker()
    lab.queue.set_quota("project", kim.project_id, "cpu", 35.0, "day")
    lab.submit(kim, *"abcdef")
    claims = lab.queue.claim(worker, Capacity(jobs=8))
    assert len(claims) == 3  # of ten seconds each
    assert lab.queue.claim(worker, Capacity()) == []
    assert lab.queue.quota_status(kim.project_id, kim.user_id)[0].used_seconds == 30.0
    lab.now += 2
    lab.queue.finish(claims[0], [], {})
    # It took two: 2 + 10 + 10 of 35.
    assert lab.claim(worker).job.name == "d"
    lab.now += 30
    assert lab.queue.quota_status(kim.project_id, kim.user_id)[0].used_seconds == 2 + 32 + 32 + 30


def test_the_smallest_quota_holds(lab):
    kim, worker = lab.person(), lab.worker()
    lab.queue.set_quota("organisation", kim.organisation_id, "cpu", 1000.0, "month")
    lab.queue.set_quota("user", kim.user_id, "cpu", 20.0, "day")
    lab.submit(kim, *"abcd")
    assert len(lab.queue.claim(worker, Capacity(jobs=8))) == 2
    lab.queue.set_quota("user", kim.user_id, "cpu", None, "day")
    assert len(lab.queue.claim(worker, Capacity(jobs=8))) == 2
    assert [one.level for one in lab.queue.quotas()] == ["organisation"]


def test_a_quota_of_one_project_does_not_follow_its_user(lab):
    kim = lab.person()
    other = lab.person("lee")
    lab.queue.set_quota("project", other.project_id, "cpu", 0.0, "day")
    lab.submit(kim)
    with pytest.raises(QuotaError):
        lab.queue.submit(
            [new_job()],
            organisation_id=other.organisation_id,
            project_id=other.project_id,
            user_id=kim.user_id,
        )


def test_a_job_above_the_whole_quota_is_refused_by_name(lab):
    kim = lab.person()
    lab.queue.set_quota("project", kim.project_id, "cpu", 3600.0, "day")
    with pytest.raises(QuotaError, match=r"1\.5 cpu hours") as refused:
        lab.submit(kim, need_seconds=5400.0)
    assert refused.value.renews_at is None


def test_a_retry_is_refused_where_the_quota_is_used_up(lab):
    kim = lab.person()
    (job,) = lab.submit(kim)
    lab.queue.cancel(job.id)
    lab.queue.set_quota("project", kim.project_id, "cpu", 0.0, "day")
    with pytest.raises(QuotaError):
        lab.queue.retry(job.id)


def test_the_last_seconds_are_given_once(lab):
    kim = lab.person()
    lab.queue.set_quota("project", kim.project_id, "cpu", 50.0, "day")
    lab.submit(kim, *(f"job {number}" for number in range(20)))
    workers = [lab.worker() for _ in range(8)]
    found = in_threads(*(lambda one=one: lab.queue.claim(one, Capacity()) for one in workers))
    assert sum(map(len, found)) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        ("team", "x", "cpu", 1.0, "day"),
        ("user", "x", "tpu", 1.0, "day"),
        ("user", "x", "cpu", 1.0, "week"),
        ("user", "x", "cpu", -1.0, "day"),
        ("user", "x", "cpu", float("nan"), "day"),
        ("user", "x", "cpu", float("inf"), "day"),
    ],
)
def test_quotas_that_are_none_are_refused(lab, wrong):
    with pytest.raises(InputError):
        lab.queue.set_quota(*wrong)
    assert lab.queue.quotas() == []


def test_quotas_of_a_project_that_is_none(lab):
    with pytest.raises(NotFoundError):
        lab.queue.quota_status("nobody", "nobody")


def test_usage_is_by_month_project_user_and_device(lab):
    kim, worker, gpu = lab.person("kim"), lab.worker(), lab.worker("gpu")
    lee = lab.person("lee", organisation_id=kim.organisation_id, project_id=kim.project_id)
    park = lab.person("park")
    lab.now = at("2026-11-30T23:59:00")
    (first,) = lab.submit(kim, "first", priority=Priority.URGENT)
    claim = lab.claim(worker)
    lab.now += 40  # ends in November
    lab.queue.stopped(claim)
    claim = lab.claim(worker)
    lab.now += 40  # ends in December
    lab.queue.finish(claim, [], {})
    lab.submit(kim, "fails")
    claim = lab.claim(worker)
    lab.now += 5
    lab.queue.fail(claim, {"kind": "K", "problem": "p"})
    lab.submit(lee, "set aside", device_kind="gpu")
    for _ in range(3):
        lab.now += 10
        claim = lab.claim(gpu, device_kind="gpu")
        lab.now += 10
        lab.queue.crashed(claim, "log")
    lab.submit(park, "cancelled")
    claim = lab.claim(worker)
    lab.queue.cancel(claim.job.id)
    lab.queue.stopped(claim)
    lines = lab.queue.usage(None, at("2026-11-01"), at("2027-01-01"))
    table = [
        (one.month, one.user[:4], one.device_kind, one.device_seconds, one.attempts)
        for one in lines
    ]
    assert table == [
        ("2026-11", "kim@", "cpu", 40.0, 1),
        ("2026-12", "kim@", "cpu", 45.0, 2),
        ("2026-12", "lee@", "gpu", 30.0, 3),
        ("2026-12", "park", "cpu", 0.0, 1),
    ]
    ends = [(one.done, one.failed, one.cancelled, one.jobs) for one in lines]
    assert ends == [(0, 0, 0, 0), (1, 1, 0, 2), (0, 1, 0, 1), (0, 0, 1, 1)]
    assert lab.queue.usage(None, 0.0, float("inf")) == lines
    assert lab.queue.usage([park.project_id], 0.0, 4e9) == lines[3:]
    assert lab.queue.usage([], 0.0, 4e9) == []
    assert lab.queue.usage(None, at("2027-01-01"), at("2028-01-01")) == []
    # The books outlive the jobs.
    lab.queue.remove(first.id)
    assert lab.queue.usage(None, 0.0, 4e9) == lines
    read = list(csv.DictReader(io.StringIO(lab.queue.usage_csv(None, 0.0, 4e9))))
    assert len(read) == 4 and tuple(read[0]) == CSV_COLUMNS
    assert read[1]["project"] == "kim's project" and read[1]["jobs_done"] == "1"
    assert float(read[1]["device_hours"]) == pytest.approx(45 / 3600, abs=5e-5)


def test_usage_of_an_empty_book(lab):
    assert lab.queue.usage(None, 0.0, 4e9) == []
    assert lab.queue.usage_csv(None, 0.0, 4e9).split() == [",".join(CSV_COLUMNS)]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '한국, "x"\n대학']
)
def test_no_name_is_a_formula(name):
    line = UsageLine(
        month="2026-11", organisation=name, project_id="p", project=name, user_id="u", user=name,
        device_kind="gpu", device_seconds=5400.0, attempts=3, done=1, failed=1, cancelled=0,
    )  # fmt: skip
    (row,) = csv.DictReader(io.StringIO(usage_csv([line]), newline=""))
    for column in ("organisation", "project", "user"):
        assert row[column] == (name if name.startswith("한") else f"'{name}")
    assert row["device_hours"] == "1.5000"
