from __future__ import annotations

from collections.abc import Iterator

import pytest

from .site import Site


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    site = Site(tmp_path / "home")
    yield site
    site.services.database.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Iterator[Site]:
    """A server that is only looked at."""
    site = Site(tmp_path_factory.mktemp("shown"))
    yield site
    site.services.database.close()
