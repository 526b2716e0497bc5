from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from itda.server.settings import Limits, ServerSettings

from ..accounts.conftest import accounts, clock, database, fresh
from .bare import bare_app, client_of

__all__ = ["accounts", "clock", "database", "fresh"]


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(
        home=tmp_path / "home", limits=Limits(body_bytes=100_000, sign_ins_per_minute=1000)
    )


@pytest.fixture
def app(accounts, settings) -> FastAPI:
    return bare_app(accounts, settings)


@pytest.fixture
def browser(app) -> TestClient:
    """Keeps cookies, and follows nothing by itself."""
    return client_of(app)
