"""No circle of files, and no import upward, also within functions and for types alone."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def graph():
    spec = importlib.util.spec_from_file_location("graph", ROOT / "scripts" / "import_graph.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["graph"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def imports(graph):
    found = graph.read_imports(graph.read_modules(ROOT / "src" / "itda"))
    assert len(found) > 1000
    return found


def test_there_is_no_circle(graph, imports) -> None:
    assert graph.find_circles(imports) == []
    assert graph.find_folder_circles(imports) == []


def test_nothing_is_imported_upward(graph, imports) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = graph.Rooms(project["tool"]["importlinter"]["contracts"][0]["layers"])
    assert [pair for pair in imports if rooms.is_upward(*pair)] == []
    assert rooms.is_upward("itda.job.model", "itda.engine.run")


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        ("import itda.b", 1),
        ("def later():\n    from itda.b import x", 1),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from itda import b", 1),
        ("import json", 0),
    ],
)
def test_a_circle_would_be_seen(graph, tmp_path, text, circles) -> None:
    package = tmp_path / "itda"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text(text)
    (package / "b.py").write_text("from itda.a import y")
    found = graph.read_imports(graph.read_modules(package))
    assert len(graph.find_circles(found)) == circles
