"""One house for each test, on either database."""

from __future__ import annotations

import pytest

from .house import House


@pytest.fixture
def house(database) -> House:
    return House(database)
