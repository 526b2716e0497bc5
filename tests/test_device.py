import pytest
import torch

from itda.device import available_devices, resolve_device
from itda.errors import CapabilityError


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine with so many CUDA devices, with or without MPS."""

    def pretend(cuda: int, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [
        (0, False, ("cpu",)),
        (2, False, ("cuda:0", "cuda:1", "cpu")),
        (0, True, ("mps", "cpu")),
    ],
)
def test_auto_takes_the_first(machine, cuda, mps, expected) -> None:
    machine(cuda, mps)
    assert available_devices() == expected
    assert resolve_device("auto") == expected[0]


def test_cuda_is_the_first_cuda_device(machine) -> None:
    machine(2, False)
    assert resolve_device("cuda") == "cuda:0"
    assert resolve_device("cuda:1") == "cuda:1"
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps", "tpu", "", "CPU"])
def test_what_is_not_there_is_refused_with_what_is(machine, name) -> None:
    machine(0, False)
    with pytest.raises(CapabilityError) as caught:
        resolve_device(name)
    assert caught.value.hint == "use auto, or one of: cpu"
