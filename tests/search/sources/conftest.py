from pathlib import Path

import pytest

from itda.search.databases.database import Database
from tests.search.sources.family import family, make_database
from tests.sequences import has_mmseqs


@pytest.fixture(scope="session")
def query() -> str:
    return family()[0]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The family in one shard."""
    folder = tmp_path_factory.mktemp("whole")
    return make_database(folder, "whole", family()[1], mmseqs=has_mmseqs())


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The family in three shards."""
    folder = tmp_path_factory.mktemp("cut")
    return make_database(folder, "cut", family()[1], shards=3, mmseqs=has_mmseqs())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"
