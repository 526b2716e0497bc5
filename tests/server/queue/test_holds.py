"""A large job is not overtaken for ever by small ones."""

from __future__ import annotations

import pytest

from itda.server.queue import claims, holds
from itda.server.queue.records import Capacity, NewWorker, State

from .test_submit import in_threads

WHOLE = 100
SMALL_SECONDS = 60.0


class Host:
    """A machine of two workers that share its memory; its jobs last as long as all small ones."""

    def __init__(self, lab, name="desk", memory_bytes=WHOLE):
        self.lab, self.memory_bytes = lab, memory_bytes
        new = NewWorker(
            host=name, process=1, executor="tiny", device_kind="cpu", device="cpu",
            memory_bytes=memory_bytes,
        )  # fmt: skip
        self.workers = [lab.queue.register(new) for _ in range(2)]
        self.held = {}

    def capacity(self, **other):
        free = self.memory_bytes - sum(claim.job.need_bytes for claim, _ in self.held.values())
        return Capacity(**{"memory_bytes": free, "whole_bytes": self.memory_bytes, **other})

    def step(self):
        """End what has lasted long enough, then let each worker that is idle claim."""
        for worker, (claim, since) in list(self.held.items()):
            if self.lab.now >= since + SMALL_SECONDS:
                assert self.lab.queue.finish(claim, [], {})
                del self.held[worker]
        names = []
        for worker in self.workers:
            if worker not in self.held:
                for claim in self.lab.queue.claim(worker, self.capacity()):
                    self.held[worker] = (claim, self.lab.now)
                    names.append(claim.job.name)
        return names


def overtaken(lab):
    """A large job, and small ones on the host that leave it no room; the bound has passed."""
    large, small = lab.person("large"), lab.person("small")
    host = Host(lab)
    lab.submit(small, "small", need_bytes=40)
    assert host.step() == ["small"]
    (job,) = lab.submit(large, "large", need_bytes=80)
    lab.now += holds.MOST_OVERTAKEN_SECONDS + 1
    lab.submit(small, "other", need_bytes=10)
    assert lab.queue.claim(host.workers[1], host.capacity()) == []
    return host, job, small


def seconds_until_large_starts(lab, most):
    host, large, small = Host(lab), lab.person("large"), lab.person("small")
    lab.submit(small, *(f"small {number}" for number in range(300)), need_bytes=40)
    host.step()
    lab.now += SMALL_SECONDS / 2  # so that the two never end at the same time
    host.held[host.workers[1]] = (host.held[host.workers[1]][0], lab.now)
    lab.submit(large, "large", need_bytes=80)
    began = lab.now
    while lab.now < began + most:
        if "large" in host.step():
            return lab.now - began
        lab.now += SMALL_SECONDS / 4
    return None


def test_a_large_job_starts_within_the_bound_and_the_longest_small_job(lab):
    found = seconds_until_large_starts(lab, 5000.0)
    assert found is not None
    assert 0 < found <= holds.MOST_OVERTAKEN_SECONDS + SMALL_SECONDS + SMALL_SECONDS / 4


def test_without_it_the_large_job_never_starts(lab, monkeypatch):
    monkeypatch.setattr(claims, "MOST_OVERTAKEN_SECONDS", 1e9)
    assert seconds_until_large_starts(lab, 5000.0) is None


def test_the_host_says_what_it_waits_for_and_takes_nothing_else(lab):
    host, job, _ = overtaken(lab)
    assert lab.queue.job(job.id).message == "waits for 0.0 GB to become free on desk"
    assert [lab.queue.claim(worker, host.capacity()) for worker in host.workers] == [[], []]
    assert "job_held" in [event.kind for event in lab.queue.events(job.id)]
    (claim,) = lab.queue.claim(host.workers[1], Capacity(memory_bytes=WHOLE))
    assert claim.job.id == job.id
    assert lab.queue.job(job.id).message == ""
    assert lab.claim(host.workers[0], memory_bytes=20).job.name == "other"


def test_a_job_that_the_machine_could_never_take_holds_nothing(lab):
    person, host = lab.person(), Host(lab)
    lab.submit(person, "large", need_bytes=WHOLE + 1)
    lab.now += 1e6
    lab.submit(person, "small", need_bytes=10)
    assert host.step() == ["small"]


def test_cancelling_frees_the_host(lab):
    host, job, _ = overtaken(lab)
    assert lab.queue.cancel(job.id).state is State.CANCELLED
    assert lab.claim(host.workers[1], memory_bytes=20).job.name == "other"


def test_another_host_goes_on_and_may_take_it(lab):
    host, _, _ = overtaken(lab)
    other = Host(lab, "other", memory_bytes=50)
    assert other.step() == ["other"]
    assert lab.queue.claim(host.workers[1], host.capacity()) == []
    third = Host(lab, "third")
    assert third.step() == ["large"]
    lab.submit(lab.person("late"), "last", need_bytes=10)
    assert lab.claim(host.workers[1], memory_bytes=20).job.name == "last"


@pytest.mark.parametrize("silent", [False, True])
def test_the_host_is_freed_when_its_workers_are_gone(lab, silent):
    host, job, _ = overtaken(lab)
    lab.queue.leave(host.workers[0])
    assert lab.queue.job(job.id).message  # the other may take it still
    if silent:
        lab.now += 61
        lab.queue.reap()
    else:
        lab.queue.leave(host.workers[1])
    assert lab.queue.job(job.id).message == ""
    small = Host(lab, memory_bytes=50)  # begun again, with less
    assert "other" in small.step() + small.step()


def test_a_quota_that_is_used_up_frees_the_host(lab):
    host, job, _ = overtaken(lab)
    lab.queue.set_quota("user", job.user_id, "cpu", 1.0, "day")
    assert lab.claim(host.workers[1], memory_bytes=20).job.name == "other"
    assert lab.queue.job(job.id).message == ""


def test_a_host_is_held_for_one_job_by_many_workers_at_once(lab):
    host, people = Host(lab), [lab.person(f"person {number}") for number in range(4)]
    capacity = host.capacity(memory_bytes=20)
    tries = [lambda one=one: lab.queue.claim(one, capacity) for one in host.workers * 2]
    for _ in range(10):
        made = [lab.submit(person, "large", need_bytes=80)[0] for person in people]
        lab.now += holds.MOST_OVERTAKEN_SECONDS + 1
        assert in_threads(*tries) == [[]] * 4
        assert sum(bool(lab.queue.job(job.id).message) for job in made) == 1
        for job in made:
            lab.queue.cancel(job.id)


def test_a_job_that_one_host_is_held_for_holds_no_other(lab):
    _, job, person = overtaken(lab)
    other = Host(lab, "other")
    part = other.capacity(memory_bytes=20)
    assert [claim.job.name for claim in lab.queue.claim(other.workers[0], part)] == ["other"]
    assert lab.queue.job(job.id).message.endswith("on desk")
    lab.submit(person, "last", need_bytes=10)
    assert [claim.job.name for claim in lab.queue.claim(other.workers[1], part)] == ["last"]


def test_a_job_for_a_gpu_does_not_hold_the_processors(lab):
    person, host = lab.person(), Host(lab)
    gpu = lab.queue.register(
        NewWorker(
            host="desk", process=2, executor="tiny", device_kind="gpu", device="gpu",
            memory_bytes=WHOLE,
        )
    )  # fmt: skip
    lab.submit(person, "for the gpu", need_bytes=80, device_kind="gpu")
    lab.submit(lab.person("large"), "large", need_bytes=80)
    lab.now += holds.MOST_OVERTAKEN_SECONDS + 1
    lab.submit(lab.person("small"), "small", need_bytes=10)
    part = Capacity(device_kind="gpu", memory_bytes=50, whole_bytes=WHOLE)
    assert lab.queue.claim(gpu, part) == []
    assert lab.queue.claim(gpu, part) == []
    assert lab.claim(host.workers[0], memory_bytes=20, whole_bytes=WHOLE).job.name == "small"
