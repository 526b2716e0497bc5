"""Jobs come in: once under a key, all or none, and only what both databases can keep."""

from __future__ import annotations

import threading

import pytest

from itda.errors import InputError
from itda.server.database.tables import artefacts, jobs
from itda.server.errors import ConflictError, NotFoundError, QuotaError
from itda.server.queue.queue import Queue
from itda.server.queue.records import Capacity, Priority

from .lab import file, new_job


def in_threads(*calls):
    """Run calls at the same time; return what each returned or raised."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number, call):
        gate.wait()
        try:
            found[number] = call()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_jobs_of_a_request_keep_their_order(lab):
    names = [f"job {number}" for number in range(20)]
    made = lab.submit(lab.person(), *names)
    assert [job.name for job in made] == names
    assert [job.position for job in made] == list(range(1, 21))
    assert len({job.submission_id for job in made}) == 1
    claims = lab.queue.claim(lab.worker(), Capacity(jobs=20))
    assert [claim.job.name for claim in claims] == names


def test_the_same_request_under_the_same_key_gives_the_same_jobs(lab):
    kim = lab.person()
    first = lab.submit(kim, "a", "b", idempotency_key="k")
    assert lab.submit(kim, "a", "b", idempotency_key="k") == first
    lab.claim(lab.worker())
    again = lab.submit(kim, "a", "b", idempotency_key="k")
    assert [job.id for job in again] == [job.id for job in first]
    assert again[0].attempts == 1
    assert lab.count(jobs) == 2
    assert [one.id for one in lab.submit(kim, "a", "b")] != [one.id for one in first]


@pytest.mark.parametrize(
    "other",
    [
        {"names": ("a",)},
        {"names": ("b", "a")},
        {"priority": Priority.URGENT},
        {"settings": {"seed": 2}},
        {"inputs": (file("a.a3m", 8),)},
        {"family": "boltz2"},
    ],
)
def test_another_request_under_the_same_key_is_refused(lab, other):
    kim = lab.person()
    lab.submit(kim, "a", "b", idempotency_key="k", inputs=(file("a.a3m", 7),))
    options = {"inputs": (file("a.a3m", 7),), "names": ("a", "b"), **other}
    with pytest.raises(ConflictError, match="'k'"):
        lab.submit(kim, *options.pop("names"), idempotency_key="k", **options)
    assert lab.count(jobs) == 2


def test_a_key_is_of_one_project(lab):
    kim, lee = lab.person("kim"), lab.person("lee")
    (first,) = lab.submit(kim, "a", idempotency_key="k")
    (second,) = lab.submit(lee, "b", idempotency_key="k")
    assert first.id != second.id


def test_one_key_at_the_same_time(lab):
    kim = lab.person()
    calls = [lambda: lab.submit(kim, "a", "b", "c", idempotency_key="k") for _ in range(8)]
    found = in_threads(*calls)
    assert [type(one) for one in found] == [list] * 8
    assert len({tuple(job.id for job in one) for one in found}) == 1
    assert lab.count(jobs) == 3


def test_one_key_for_two_requests_at_the_same_time(lab):
    kim = lab.person()
    calls = [lambda name=name: lab.submit(kim, name, idempotency_key="k") for name in "abcdabcd"]
    found = in_threads(*calls)
    kept = {one[0].name for one in found if isinstance(one, list)}
    assert len(kept) == 1
    assert sum(isinstance(one, list) for one in found) == 2
    assert sum(isinstance(one, ConflictError) for one in found) == 6
    assert lab.count(jobs) == 1


def test_requests_with_the_same_files_do_not_wait_for_each_other(lab):
    kim = lab.person()
    kinds = [str(number) for number in range(12)]

    def submit(order):
        return lambda: [
            lab.queue.submit(
                [new_job(kind, inputs=(file(kind, 100 * step + int(kind)),)) for kind in order],
                **kim.ids,
            )
            for step in range(10)
        ]

    found = in_threads(*(submit(kinds if even else kinds[::-1]) for even in (0, 1, 0, 1)))
    assert [type(one) for one in found] == [list] * 4
    assert lab.count(artefacts) == 120


def test_all_jobs_of_a_request_come_in_or_none(lab):
    kim = lab.person()
    with pytest.raises(InputError, match="U\\+0000"):
        lab.queue.submit([new_job("a"), new_job("b\0")], **kim.ids)
    with pytest.raises(InputError, match="no job"):
        lab.queue.submit([], **kim.ids)
    assert lab.count(jobs) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"document": {"name": "a\0"}},
        {"document": {"chains": [{"sequence": "\ud800"}]}},
        {"settings": {"seed": float("nan")}},
        {"document": {"\0": 1}},
        {"inputs": (file("a\0.a3m"),)},
        {"inputs": (file("a" * 300),)},
        {"tokens": 2**31},
        {"need_bytes": 2**63},
        {"need_seconds": float("inf")},
    ],
)
def test_what_cannot_be_kept_is_refused(lab, wrong):
    with pytest.raises(InputError):
        lab.queue.submit([new_job("a", **wrong)], **lab.person().ids)


def test_long_names_are_refused(lab):
    kim = lab.person()
    with pytest.raises(InputError, match="201"):
        lab.submit(kim, "한" * 201)
    (job,) = lab.submit(kim, "한" * 200)
    assert lab.queue.job(job.id).name == "한" * 200


@pytest.mark.parametrize("key", ["", "k" * 201, "\0", "\ud800"])
def test_keys_that_are_none_are_refused(lab, key):
    with pytest.raises(InputError):
        lab.submit(lab.person(), idempotency_key=key)


def test_documents_come_out_as_they_went_in(lab):
    document = {"이름": "단백질 \u00e9 \\u0000 ' \" %", "n": [1, 2.5, None, True], "e": {}}
    (job,) = lab.submit(lab.person(), document=document, settings={"seed": 2**60})
    found = lab.queue.job(job.id)
    assert dict(found.document) == document and found.settings == {"seed": 2**60}
    assert found.error is None and found.summary is None


@pytest.mark.parametrize("key", ["nobody", "0" * 32, "\0", "\ud800", "A" * 32, ""])
def test_there_is_no_such_job(lab, key):
    for ask in (lab.queue.job, lab.queue.cancel, lab.queue.retry, lab.queue.remove):
        with pytest.raises(NotFoundError):
            ask(key)


def test_only_so_many_jobs_of_a_project_may_wait(lab):
    kim, lee = lab.person("kim"), lab.person("lee")
    lab.queue = Queue(lab.database, clock=lambda: lab.now, most_queued=3)
    lab.submit(kim, "a", "b", idempotency_key="k")
    lab.submit(kim, "c", priority=Priority.URGENT)
    with pytest.raises(QuotaError, match="3 jobs"):
        lab.submit(kim, "d")
    with pytest.raises(QuotaError):
        lab.submit(lee, "a", "b", "c", "d")
    lab.submit(lee, "a")
    # What has been taken already is not refused.
    assert len(lab.submit(kim, "a", "b", idempotency_key="k")) == 2
    lab.claim(lab.worker())
    lab.submit(kim, "d")
