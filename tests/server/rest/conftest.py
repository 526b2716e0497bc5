from __future__ import annotations

from collections.abc import Iterator

import pytest

from itda.server.database import migrate
from itda.server.database.database import Database

from .house import House, make_house


@pytest.fixture
def house(database, tmp_path) -> House:
    return make_house(database, tmp_path / "home")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def steady_house(request, tmp_path_factory) -> Iterator[House]:
    """For tests that leave it as it is: a new database for each would take longer than they do."""
    folder = tmp_path_factory.mktemp("steady")
    url = f"sqlite:///{folder / 'itda.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    database = Database(url)
    migrate.upgrade(database)
    yield make_house(database, folder / "home")
    database.close()


@pytest.fixture
def steady(steady_house):
    """The owner of a house that is left as it is."""
    return steady_house.client(steady_house.owner)


@pytest.fixture
def owner(house):
    return house.client(house.owner)


@pytest.fixture
def colleague(house):
    return house.client(house.colleague)


@pytest.fixture
def stranger(house):
    return house.client(house.stranger)


@pytest.fixture
def reader(house):
    return house.client(house.reader)
