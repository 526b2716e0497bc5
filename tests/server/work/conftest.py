from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from itda.cluster.processes import Processes
from itda.cluster.this_process import ThisProcess

from ...cluster import steered_family
from ...cluster.helpers import CHILD
from .jobs import Site


@pytest.fixture
def family(monkeypatch, tmp_path):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "user"))
    return steered_family.fake_family.install(
        steered_family.SteeredFamily(batches=True), monkeypatch.setattr
    )


@pytest.fixture
def site(database, tmp_path) -> Site:
    return Site(database, tmp_path / "home")


@pytest.fixture
def this_process(family) -> ThisProcess:
    return ThisProcess(device="cpu")


@pytest.fixture
def processes() -> Iterator[Callable[..., Processes]]:
    made = []

    def make(slots: int = 1, **options: Any) -> Processes:
        made.append(Processes(slots, device="cpu", command=CHILD, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.close()
