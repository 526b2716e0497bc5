import json
from pathlib import Path

import numpy as np
import pytest

from itda.search.alignments.alignment import Alignment
from itda.search.alignments.depth import (
    coverage_of_rows,
    identity_to_query,
    neff,
    neff_entropy,
    neff_of_columns,
    residues_of_columns,
    row_weights,
)
from itda.search.alignments.formats import read_alignment

DATA = Path(__file__).parent / "data"


@pytest.fixture
def diverse():
    return read_alignment(DATA / "diverse.a3m", query=None)


def test_coverage_and_identity():
    alignment = Alignment.from_aligned("ACDE", ("r", "s"), ("AC-X", "----"))
    assert residues_of_columns(alignment).tolist() == [2, 2, 1, 2]
    assert coverage_of_rows(alignment).tolist() == [1.0, 0.5, 0.0]
    assert identity_to_query(alignment).tolist() == [1.0, 1.0, 0.0]


def test_a_fragment_is_stood_for_but_stands_for_nobody():
    alignment = Alignment.from_aligned("ACDEFGHIKL", ("part", "empty"), ("ACD-------", "-" * 10))
    assert row_weights(alignment).tolist() == [1.0, 0.5, 0.0]
    assert neff(alignment) == 1.5
    assert neff_of_columns(alignment).tolist() == [1.5] * 3 + [1.0] * 7


def test_threshold_counts():
    alignment = Alignment.from_aligned("ACDEF", ("r",), ("ACDEW",))
    assert neff(alignment, identity=0.8) == 1.0
    assert neff(alignment, identity=0.81) == 2.0


@pytest.mark.parametrize("identity", [0.5, 0.62, 0.8, 1.0])
def test_weights_agree_with_a_plain_count(diverse, identity):
    texts = ["".join(one for one in text if not one.islower()) for text in diverse.texts]
    weights = []
    for text in texts:
        residues = sum(one != "-" for one in text)
        alike = sum(
            sum(one == two != "-" for one, two in zip(text, other, strict=True))
            >= identity * residues - 1e-9
            for other in texts
        )
        weights.append(1 / alike)
    np.testing.assert_allclose(row_weights(diverse, identity=identity), weights)
    assert neff(diverse, identity=identity) < len(diverse) or identity == 1.0


def test_entropy_agrees_with_hhmake(diverse):
    written = json.loads((DATA / "diverse.hhsuite.json").read_text())["neff"]
    assert neff_entropy(diverse) == pytest.approx(written, abs=0.06)


def test_entropy_of_simple_alignments():
    same = Alignment.from_aligned("ACDEFGHIKLMN", ("r",), ("ACDEFGHIKLMN",))
    assert neff_entropy(same) == pytest.approx(1.0)
    two = Alignment.from_aligned("ACDEFGHIKLMN", ("r",), ("W" * 12,))
    assert neff_entropy(two) == pytest.approx(2.0)
    hole = Alignment.from_aligned("X" + "ACDEFGHIKLM", (), ())
    assert neff_entropy(hole) == pytest.approx(11 / 12)
