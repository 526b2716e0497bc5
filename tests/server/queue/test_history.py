"""What can be read of jobs."""

from __future__ import annotations

import unicodedata

import pytest

from itda.server.queue.records import Capacity, Priority, State


def names(page):
    return [job.name for job in page.jobs]


def test_pages_go_through_all_jobs_newest_first(lab):
    kim, lee = lab.person("kim"), lab.person("lee")
    asked = [f"job {number}" for number in range(7)]
    lab.submit(kim, *asked)
    lab.submit(lee, "other")
    seen, before, pages = [], None, 0
    while True:
        page = lab.queue.jobs([kim.project_id], before=before, limit=3)
        assert page.total == 7
        seen += names(page)
        pages += 1
        before = page.next_before
        if before is None:
            break
    assert seen == asked[::-1] and pages == 3
    whole = lab.queue.jobs([kim.project_id], limit=7)
    assert len(whole.jobs) == 7 and whole.next_before is None
    assert names(lab.queue.jobs([kim.project_id, lee.project_id], limit=1)) == ["other"]
    assert lab.queue.jobs(None).total == 8
    assert lab.queue.jobs([]).total == 0 and lab.queue.jobs([]).jobs == ()


def test_jobs_are_found_by_state(lab):
    kim, worker = lab.person(), lab.worker()
    lab.submit(kim, "a", "b", "c", "d")
    done, _ = (lab.claim(worker) for _ in range(2))
    lab.queue.finish(done, [], {})
    assert names(lab.queue.jobs(None, states=[State.DONE])) == ["a"]
    assert names(lab.queue.jobs(None, states=[State.RUNNING, State.DONE])) == ["b", "a"]
    assert lab.queue.jobs(None, states=[State.QUEUED], limit=1).total == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("100%", ["100% human"]),
        ("%", ["100% human"]),
        ("a_b", ["a_b"]),
        ("_", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("UBIQ", ["Ubiquitin"]),
        ("단백", ["단백질"]),
        (unicodedata.normalize("NFD", "단백"), ["단백질"]),
        ("효소", [unicodedata.normalize("NFD", "효소")]),
        ("É", ["École"]),
        ("nothing of this", []),
        ("' OR 1=1 --", []),
        ("\0", []),
        ("\ud800", []),
    ],
)
def test_jobs_are_found_by_name(lab, text, found):
    lab.submit(
        lab.person(), "100% human", "a_b", "axb", "back\\slash", "Ubiquitin", "단백질", "École",
        unicodedata.normalize("NFD", "효소"), family="other",
    )  # fmt: skip
    assert names(lab.queue.jobs(None, text=text)) == found


def test_jobs_are_found_by_family_and_key(lab):
    kim = lab.person()
    (job,) = lab.submit(kim, "a", family="boltz2")
    lab.submit(kim, "b")
    assert names(lab.queue.jobs(None, text="Boltz2")) == ["a"]
    assert names(lab.queue.jobs(None, text="boltz")) == []
    assert names(lab.queue.jobs(None, text=job.id.upper())) == ["a"]


def test_what_is_before_may_be_anything(lab):
    lab.submit(lab.person(), "a")
    assert lab.queue.jobs(None, before="\0").total == 1
    assert names(lab.queue.jobs(None, before="zzz")) == ["a"]


def test_events_after_any_number(lab):
    (job,) = lab.submit(lab.person())
    assert lab.queue.events(job.id, after=2**70) == []
    assert lab.queue.events("nobody") == [] and lab.queue.stages("nobody") == []
    assert lab.queue.files("nobody") == []


def test_how_many_wait_before_one(lab):
    kim, worker = lab.person(), lab.worker()
    (background,) = lab.submit(kim, "background", priority=Priority.BACKGROUND)
    first, second = lab.submit(kim, "first", "second", need_seconds=30.0)
    (urgent,) = lab.submit(kim, "urgent", priority=Priority.URGENT, need_seconds=5.0)
    ahead = [lab.queue.position(one.id)[0] for one in (urgent, first, second, background)]
    assert ahead == [0, 1, 2, 3]
    assert lab.queue.position(second.id) == (2, 35.0)
    lab.worker()
    assert lab.queue.position(second.id) == (2, 17.5)
    assert lab.queue.start_estimate("cpu") == (10 + 30 + 30 + 5) / 2
    assert lab.queue.start_estimate("gpu") is None
    lab.claim(worker)
    lab.now += 2
    # Three seconds are left of the one that runs.
    assert lab.queue.position(second.id) == (1, (30 + 3) / 2)
    lab.now += 100
    assert lab.queue.position(second.id) == (1, None)  # nobody was heard of


def test_a_worker_is_given_what_it_can_do(lab):
    kim, worker = lab.person(), lab.worker()
    lab.submit(kim, "large", need_bytes=100, need_seconds=1.0)
    lab.submit(kim, "long", need_bytes=1, need_seconds=100.0)
    lab.submit(kim, "gpu", need_bytes=1, device_kind="gpu", need_seconds=1.0)
    assert lab.queue.claim(worker, Capacity(memory_bytes=99, seconds=99.0)) == []
    assert lab.claim(worker, memory_bytes=99).job.name == "long"
    assert lab.claim(worker, memory_bytes=100).job.name == "large"
    assert lab.queue.claim(worker, Capacity()) == []
    lab.submit(kim, "cpu", need_seconds=1.0)
    gpu = lab.worker("gpu")
    assert lab.claim(gpu, device_kind="gpu").job.name == "gpu"
    assert lab.claim(gpu, device_kind="gpu").job.name == "cpu"


def test_jobs_claimed_together_are_alike(lab):
    kim, lee, worker = lab.person("kim"), lab.person("lee"), lab.worker()
    lab.submit(kim, "a", "b")
    lab.submit(kim, "c", settings={"seed": 2})
    lab.submit(kim, "d", family="boltz2")
    lab.submit(kim, "e", "f", family="boltz2", settings={"seed": 2})
    taken = []
    while claims := lab.queue.claim(worker, Capacity(jobs=8)):
        taken.append([claim.job.name for claim in claims])
    assert taken == [["a", "b"], ["c"], ["d"], ["e", "f"]]
    lab.submit(kim, "g", "h")
    lab.submit(lee, "i")
    owners = [{one.job.user_id for one in lab.queue.claim(worker, Capacity(jobs=8))}]
    owners.append({one.job.user_id for one in lab.queue.claim(worker, Capacity(jobs=8))})
    assert sorted(map(len, owners)) == [1, 1]


def test_classes_come_before_shares_and_age(lab):
    kim, lee, worker = lab.person("kim"), lab.person("lee"), lab.worker()
    lab.submit(kim, "background", priority=Priority.BACKGROUND)
    lab.submit(kim, "normal")
    lab.submit(lee, "lee's")
    lab.submit(kim, "urgent", priority=Priority.URGENT)
    # Kim has used much, so that a fair share alone would give Lee's first.
    lab.now += 1
    order = [lab.claim(worker).job.name for _ in range(4)]
    assert order == ["urgent", "lee's", "normal", "background"]


def test_a_job_that_came_back_does_not_hold_up_others(lab):
    kim, worker = lab.person(), lab.worker()
    lab.submit(kim, "crashes", "next")
    lab.queue.crashed(lab.claim(worker), "log")
    assert lab.claim(worker).job.name == "next"
    lab.now += 1
    assert lab.claim(worker).job.name == "crashes"
