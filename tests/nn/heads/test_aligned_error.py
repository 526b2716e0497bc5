"""PAE and pTM of a network's answer, and of samples that lie beside it."""

import numpy as np
import pytest
import torch

from itda.confidence.scores import tm_scale
from itda.nn.heads.aligned_error import aligned_error, beside

BINS, BIN_ANGSTROM, RESIDUES = 64, 0.5, 24


@pytest.fixture
def pair():
    return 3 * torch.randn(1, RESIDUES, RESIDUES, BINS, generator=torch.Generator().manual_seed(1))


def read(pair, moved=None):
    return aligned_error(pair, lambda rows: rows, bin_angstrom=BIN_ANGSTROM, moved=moved)


def test_the_answer_is_as_the_paper_has_it(pair):
    """AlphaFold 2's supplement, 1.9.7: the mean over bins, and equation 40."""
    pae, ptm = read(pair)
    probabilities = torch.softmax(pair[0].double(), -1).numpy()
    centres = (np.arange(BINS) + 0.5) * BIN_ANGSTROM
    np.testing.assert_allclose(pae, probabilities @ centres, atol=1e-4)
    scale = 1.24 * (RESIDUES - 15) ** (1 / 3) - 1.8
    expected = (probabilities @ (1 / (1 + (centres / scale) ** 2))).mean(axis=1)
    assert ptm == pytest.approx(expected.max(), abs=1e-5)


def test_a_sample_that_lies_where_the_answer_does_has_its_error(pair):
    pae, ptm = read(pair)
    same, score = read(pair, lambda rows: torch.zeros(rows.stop - rows.start, RESIDUES))
    np.testing.assert_allclose(same, pae, atol=1e-4)
    assert score == pytest.approx(ptm, abs=1e-5)


@pytest.mark.parametrize("offset", [1e-6, 0.1, 0.25, 2.0, 7.25, 40.0])
def test_the_mean_over_all_directions_is_what_drawing_them_gives(offset):
    random = np.random.default_rng(0)
    directions = random.normal(size=(200_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    errors, scale = np.array([0.25, 2.25, 7.25, 31.75]), tm_scale(76)
    distance, gain = beside(
        torch.tensor([offset]), torch.from_numpy(errors).float(), scale_angstrom=scale
    )
    for place, error in enumerate(errors):
        drawn = np.linalg.norm([offset, 0, 0] - error * directions, axis=1)
        assert distance[0, place] == pytest.approx(drawn.mean(), rel=0.005)
        assert gain[0, place] == pytest.approx(
            (1 / (1 + (drawn / scale) ** 2)).mean(), rel=0.01, abs=1e-4
        )


def test_rows_are_those_that_are_aligned_on(pair):
    """Where the frame of one residue has turned, all others are in error seen from it alone."""
    moved = torch.zeros(RESIDUES, RESIDUES)
    moved[3] = 30.0
    pae, _ = read(pair)
    shifted, _ = read(pair, lambda rows: moved[rows])
    assert (shifted[3] > pae[3] + 5).all()
    np.testing.assert_allclose(np.delete(shifted, 3, 0), np.delete(pae, 3, 0), atol=1e-4)
