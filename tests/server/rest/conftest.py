from __future__ import annotations

import pytest

from .house import House, make_house


@pytest.fixture
def house(database, tmp_path) -> House:
    return make_house(database, tmp_path / "home")


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


@pytest.fixture
def nobody(house):
    return house.client(None)
