"""The package as a whole: what importing it costs, what it ships, how its rooms may lean."""

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import itda

ROOT = Path(__file__).parents[1]
PACKAGE = Path(str(files("itda")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SLOW_TO_IMPORT = {"torch", "biotite", "lightning", "lightning_fabric", "matplotlib", "pandas"}

# Bytes; the weights' limit is for all of them together.
WEIGHTS_LIMIT = 40_000_000
FILE_LIMIT = 5_000_000
LIBRARY_LIMIT = 28_000_000
LINES_LIMIT = 500


def modules_after(statements: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds once it has run the statements."""
    report = (
        "import json, sys\n"
        "try:\n"
        f"    {statements}\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def shipped_files() -> list[Path]:
    return [
        path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]


def test_version_is_the_project_s() -> None:
    assert itda.__version__ == PROJECT["project"]["version"]
    assert importlib.metadata.version("itda") == PROJECT["project"]["version"]


@pytest.mark.parametrize(
    "statements",
    [
        "import itda",
        "import itda.cli.main",
        "from itda.cli.main import main; sys.argv = ['itda', '--help']; main()",
    ],
)
def test_start_loads_nothing_slow(statements: str) -> None:
    loaded = modules_after(statements)
    assert "itda" in loaded
    assert not loaded & SLOW_TO_IMPORT


def test_what_is_slow_to_import_would_be_seen() -> None:
    assert "biotite" in modules_after("import biotite")


def test_rooms_import_only_rooms_below() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_a_place_in_the_import_order() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    rooms = {f"itda.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= placed


def test_types_are_shipped() -> None:
    assert files("itda").joinpath("py.typed").is_file()


def test_no_file_is_too_large() -> None:
    weights = [path for path in shipped_files() if path.suffix == ".safetensors"]
    library = PACKAGE / "data" / "known_folds.bin"
    assert library.stat().st_size <= LIBRARY_LIMIT
    others = [path for path in shipped_files() if path.suffix != ".safetensors" and path != library]
    assert sum(path.stat().st_size for path in weights) <= WEIGHTS_LIMIT
    assert not [path for path in others if path.stat().st_size > FILE_LIMIT]


def test_no_source_file_is_two() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in shipped_files()
        if path.suffix == ".py"
    }
    assert not {name: length for name, length in lengths.items() if length > LINES_LIMIT}
