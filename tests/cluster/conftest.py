from __future__ import annotations

from collections.abc import Iterator

import pytest

from itda.cluster.processes import Processes
from itda.cluster.this_process import ThisProcess

from . import steered_family
from .helpers import CHILD


@pytest.fixture
def family(monkeypatch, tmp_path):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    return steered_family.fake_family.install(
        steered_family.SteeredFamily(batches=True), monkeypatch.setattr
    )


@pytest.fixture
def this_process(family) -> ThisProcess:
    return ThisProcess(device="cpu")


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    executor = Processes(1, device="cpu", command=CHILD)
    yield executor
    executor.close()


@pytest.fixture(params=["this_process", "processes"])
def executor(request):
    return request.getfixturevalue(request.param)
