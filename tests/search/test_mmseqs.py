from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import DataError, DependencyError
from itda.search.mmseqs import (
    cluster_sequences,
    find_mmseqs,
    mmseqs_version,
    search_sequences,
)
from tests.sequences import needs_mmseqs, relative


@pytest.fixture
def sequences() -> list[str]:
    random = np.random.default_rng(1)
    first, second = ("".join(random.choice(list(RESTYPES), 90)) for _ in range(2))
    return [first, second, relative(first, 0.5, random)]


@needs_mmseqs
def test_relatives_cluster(sequences: list[str]) -> None:
    clusters = cluster_sequences(sequences, identity=0.3, sensitivity=1.0)
    assert clusters[0] == clusters[2] != clusters[1]


@needs_mmseqs
def test_identity_of_a_hit(sequences: list[str]) -> None:
    (hit,) = search_sequences(sequences[2:], sequences[:2])
    assert (hit.query, hit.target) == (0, 0)
    same = sum(one == other for one, other in zip(sequences[0], sequences[2], strict=True))
    assert hit.identity == pytest.approx(same / 90, abs=0.06)
    assert hit.query_coverage > 0.9
    assert hit.e_value < 1e-10


def test_nothing_to_compare() -> None:
    assert cluster_sequences(["ACDEF"], identity=0.3).tolist() == [0]
    assert search_sequences([], ["ACDEF"]) == search_sequences(["ACDEF"], []) == []


def test_program_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    with pytest.raises(DependencyError, match="/nowhere/mmseqs"):
        find_mmseqs()


def test_failure_gives_status_and_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho out of disk >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    with pytest.raises(DataError, match="version failed with status 3: out of disk"):
        mmseqs_version()
