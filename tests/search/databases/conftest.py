from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.search.databases.registry import Databases


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    """No database yet, in a folder that has a blank in its name."""
    return Databases(tmp_path / "my databases")


@pytest.fixture
def records() -> list[tuple[str, str]]:
    random = np.random.default_rng(7)
    return [
        (f"seq{number} protein {number} OX=9606", "".join(random.choice(list(RESTYPES), length)))
        for number, length in enumerate(random.integers(30, 90, 60))
    ]


@pytest.fixture
def fasta(tmp_path: Path, records: list[tuple[str, str]]) -> Path:
    path = tmp_path / "records.fasta"
    path.write_text(fasta_text(records))
    return path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write bytes to a file."""

    def write(content: bytes) -> Path:
        path = tmp_path / "input.fasta"
        path.write_bytes(content)
        return path

    return write


def fasta_text(records: list[tuple[str, str]], width: int = 60) -> str:
    """FASTA in lines of a width."""
    lines = []
    for header, sequence in records:
        lines.append(f">{header}")
        lines += [sequence[start : start + width] for start in range(0, len(sequence), width)]
    return "\n".join(lines) + "\n"
