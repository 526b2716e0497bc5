import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from itda.hub import fetch, registry
from itda.hub.registry import WeightSet
from tests.hub.laboratory import CONFIG, MODEL, model_bytes
from tests.hub.servers import REPO, REVISION, Server, serving


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of the test's own, with no mirror, token or proxy."""
    for name in ("ITDA_WEIGHTS", "ITDA_MIRROR", "ITDA_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that downloads wanted to wait between attempts; nobody waits."""
    waited: list[float] = []
    monkeypatch.setitem(fetch.download.__kwdefaults__, "wait", waited.append)
    return waited


@pytest.fixture
def content() -> dict[str, bytes]:
    """The files that a publisher has."""
    return {MODEL: model_bytes(50_000), CONFIG: b'{"width": 5}'}


@pytest.fixture
def make_set(monkeypatch: pytest.MonkeyPatch) -> Callable[..., WeightSet]:
    """Make a set of weights that is known under its name."""

    def make(
        content: Mapping[str, bytes],
        source: Mapping[str, Any],
        *,
        name: str = "lab",
        non_commercial: bool = False,
        published: bool = True,
    ) -> WeightSet:
        files = [
            {
                "name": file,
                "bytes": len(data) if published else None,
                "sha256": hashlib.sha256(data).hexdigest() if file == MODEL else None,
            }
            for file, data in content.items()
        ]
        made = WeightSet.model_validate(
            {
                "name": name,
                "family": "laboratory",
                "title": "A set of a test",
                "source": source,
                "files": files,
                "licence": {
                    "spdx": "LicenseRef-lab",
                    "title": "Licence of the laboratory",
                    "text": "esmfold.txt",
                    "non_commercial": non_commercial,
                    "forbids": ["Selling what was folded."] if non_commercial else [],
                },
                "citations": [],
                "homepage": "",
            }
        )
        before = dict(registry.weight_sets())
        monkeypatch.setattr(registry, "weight_sets", lambda: {**before, name: made})
        return made

    return make


@pytest.fixture(params=["http", "huggingface"])
def published(request, content, make_set, monkeypatch):
    """A server, and a set whose files are on it; plain and as the hub is."""
    hub = request.param == "huggingface"
    start = f"{REPO}/resolve/{REVISION}/" if hub else ""
    server = Server({start + name: data for name, data in content.items()}, hub=hub)
    with serving(server):
        if hub:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            source = {"kind": "huggingface", "repo": REPO, "revision": REVISION}
        else:
            source = {"kind": "http", "url": server.url}
        yield server, make_set(content, source, published=not hub)
