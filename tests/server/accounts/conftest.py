from __future__ import annotations

import pytest

from itda.server.accounts.accounts import Accounts

from .clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database, clock) -> Accounts:
    return Accounts(database, clock=clock)
