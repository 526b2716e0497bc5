import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from fake_family import FakeFamily, install


@pytest.fixture
def family(monkeypatch, tmp_path) -> FakeFamily:
    """The fake family in place of all others, and an empty folder to work in."""
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return install(FakeFamily(), monkeypatch.setattr)
