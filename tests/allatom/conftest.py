"""The family in every process: on the command line, in a server and its workers, and here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from itda.models import registry

from .family import LOG

ROOT = Path(__file__).parents[2]
PROTEIN = "MKTAYIAKQRQISFVKSHFSRQ"
COMPLEX = {
    "version": 1,
    "name": "complex",
    "samples": 3,
    "entities": [
        {"protein": {"id": "A", "sequence": PROTEIN}},
        {"dna": {"id": "B", "sequence": "GATTACA"}},
        {"ligand": {"id": "L", "ccd": "ATP"}},
        {"ion": {"id": "M", "ccd": "MG"}},
    ],
}


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Of a process in which the registry has the family."""
    paths = [ROOT / "tests" / "allatom" / "site", ROOT, ROOT / "src"]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "ITDA_CACHE": str(tmp_path / "cache"),
        LOG: str(tmp_path / "computed"),
    }


@pytest.fixture
def computed(tmp_path) -> Callable[[], list[str]]:
    """Give what was computed since it was last asked: trunks and samples."""
    log = tmp_path / "computed"

    def computed() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines

    return computed


@pytest.fixture
def itda_command(environment, tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `itda` in a process of its own."""

    def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "itda", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def here(monkeypatch, tmp_path) -> None:
    """The registry of this process has the family."""
    families = {**registry.FAMILIES, "allatom": "tests.allatom.family:FAMILY"}
    monkeypatch.setattr(registry, "FAMILIES", MappingProxyType(families))
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LOG, str(tmp_path / "computed"))


def written(folder: Path, file: str = "complex.json", /, **changes: Any) -> Path:
    path = folder / file
    path.write_text(json.dumps({**COMPLEX, **changes}))
    return path
