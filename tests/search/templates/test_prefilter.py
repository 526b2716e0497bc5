"""Scores without gaps against a loop over every diagonal."""

import numpy as np
import pytest

from itda.search.databases.known_folds import FILE
from itda.search.templates import prefilter
from itda.search.templates.prefilter import UngappedScores
from itda.structure.pack.chains import PackedChains, write_library

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    shipped = PackedChains(FILE)
    path = tmp_path_factory.mktemp("small") / "chains.bin"
    write_library(path, [shipped[place] for place in range(0, 200, 10)], {}, columns=128)
    return PackedChains(path)


@pytest.fixture(scope="module")
def log_odds(small):
    return np.log2((0.98 * small.columns + 0.001) * 20)


def by_diagonals(chains, log_odds, query):
    half_bits = np.clip(np.rint(2 * log_odds), -12, 15)
    best = []
    for place in range(len(chains)):
        columns = half_bits[chains.places[chains.starts[place] : chains.starts[place + 1]]]
        most = 0.0
        for shift in range(1 - len(query), len(columns)):
            running = 0.0
            for number, letter in enumerate(query):
                column = shift + number
                if 0 <= column < len(columns):
                    known = letter in AMINO_ACIDS
                    gain = columns[column, AMINO_ACIDS.index(letter)] if known else 0.0
                    running = min(100.0, max(0.0, running + gain))
                    most = max(most, running)
        best.append(most / 2 - np.log2(len(columns)))
    return np.array(best)


@pytest.mark.parametrize("at_once", [100, 777, 2**16])
@pytest.mark.parametrize(("begin", "end"), [(0, 7), (30, 61), (0, 90)])
def test_best_alignments_without_gaps(small, log_odds, begin, end, at_once, monkeypatch):
    monkeypatch.setattr(prefilter, "_RESIDUES_AT_ONCE", at_once)
    query = small.sequence(4)[begin:end]
    query = query[:3] + "X" + query[4:]
    expected = by_diagonals(small, log_odds, query)
    order = np.argsort(-expected, kind="stable")
    scores = UngappedScores(small, log_odds)
    for most in (1, 3, 8):
        assert scores.best(query, most).tolist() == sorted(order[:most].tolist())
    assert scores.best(query, 1000).tolist() == list(range(len(small)))
