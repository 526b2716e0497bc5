from __future__ import annotations

import subprocess

import pytest
import torch

from itda.engine.cost import measure as measuring
from itda.engine.cost.devices import describe, processor_name, thread_count
from itda.engine.cost.measure import Case, ExhaustedError, measure
from itda.errors import InputError
from itda.models.esmfold.loading import preferred_dtype

SMALL = Case(family="mini", tokens=(30,), repeats=1)


def test_a_fold_in_a_process_of_its_own_tells_its_peak_and_its_seconds() -> None:
    answer = measure(SMALL)
    # PyTorch alone takes more than 100 MB, and so small a chain hardly anything.
    assert 1e8 < answer.loading_bytes <= answer.bytes * 1.1 < 3e9
    assert answer.seconds > 0 and answer.start_seconds > 0 and answer.threads >= 1


def test_a_fold_without_room_says_that_memory_ran_out() -> None:
    with pytest.raises(ExhaustedError):
        measure(Case(family="mini", tokens=(900,), repeats=1, address_limit=1_100_000_000))


@pytest.mark.parametrize(
    ("code", "output", "kind"),
    [
        (0, '{"error": "RuntimeError: can\'t allocate memory", "exhausted": true}', ExhaustedError),
        (-9, "", ExhaustedError),
        (0, '{"error": "RuntimeError: can\'t start new thread"}', ExhaustedError),
        (1, "", InputError),
        (0, '{"error": "ValueError: no"}', InputError),
    ],
)
def test_how_a_process_ended_is_told_apart(monkeypatch, code, output, kind) -> None:
    done = subprocess.CompletedProcess([], code, output, "")
    monkeypatch.setattr(measuring.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(kind):
        measure(SMALL)


def test_a_device_is_described_as_pytorch_sees_it() -> None:
    device = describe("cpu")
    assert device.name == processor_name() != ""
    assert device.threads == thread_count() == torch.get_num_threads()
    half = str(preferred_dtype("cpu")).removeprefix("torch.")
    assert (device.half or "float32") == half
    assert device.slug.replace("-", "").isalnum()
