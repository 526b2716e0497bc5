import numpy as np

from itda.chem.residues import RESTYPES
from itda.search.templates.pairing import align_sequences, pair_identity
from tests.sequences import relative


def test_insertion_and_overhang() -> None:
    random = np.random.default_rng(3)
    query = "".join(random.choice(list(RESTYPES), 80))
    template = "GGGG" + query[:40] + "WWWWW" + query[45:]
    pairs = align_sequences(query, template)
    found = dict(zip(pairs.query_index.tolist(), pairs.template_index.tolist(), strict=True))
    expected = {i: i + 4 for i in range(80)}
    assert {i: found[i] for i in (*range(38), *range(47, 80))} == {
        i: expected[i] for i in (*range(38), *range(47, 80))
    }
    assert pairs.query_index.dtype == pairs.template_index.dtype == np.int32


def test_identity_counts_pairs() -> None:
    random = np.random.default_rng(4)
    query = "".join(random.choice(list(RESTYPES), 100))
    assert align_sequences(query, relative(query, 0.25, random)).identity == 0.75


def test_unknown_is_like_nothing() -> None:
    index = np.arange(4, dtype=np.int32)
    assert pair_identity("AXAX", "AXXA", index, index) == 0.25
    assert pair_identity("AXAX", "AXXA", index[:0], index[:0]) == 0.0
