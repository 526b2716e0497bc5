"""How many computations go on side by side is what the process may use."""

import threading

import pytest
import torch

from itda.cluster.perform import Performer
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.machine import usable_cores, use_cores
from itda.models.together import together


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(8)), raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def chain(length):
    return Features(
        TokenFeatures.from_sequence("A" * length),
        ProfileFeatures.absent(1, length),
        TemplateFeatures.from_templates([], tokens=length),
    )


def most_at_once(jobs):
    """Run jobs that each wait until nobody else begins, and count them."""
    running, most, changed = 0, 0, threading.Condition()

    def run(part, _told):
        nonlocal running, most
        with changed:
            running += 1
            most = max(most, running)
            changed.notify_all()
            changed.wait_for(lambda: running >= min(8, jobs), timeout=0.3)
            running -= 1
        return list(part)

    found = together(
        [chain(20)] * jobs, run, device="cpu", progress=lambda _fraction, _message: None
    )
    assert found == list(range(jobs))
    return most


def test_as_many_as_there_are_cores():
    assert most_at_once(8) == 8


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_worker_keeps_to_its_threads(threads):
    Performer(device="cpu", threads=threads)
    assert usable_cores() == threads
    assert most_at_once(6) == threads


def test_no_more_than_the_machine_has():
    use_cores(64)
    assert usable_cores() == 8
