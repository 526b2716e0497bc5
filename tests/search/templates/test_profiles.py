"""The search among profiles, on the library that comes with Itda."""

import numpy as np
import pytest

from itda.progress import ignore_progress
from itda.search.databases.known_folds import FILE
from itda.search.templates.hits import TemplateHit
from itda.search.templates.profiles import (
    ProfileTargets,
    by_likeness,
    calibrated,
    profiles_of,
)
from itda.structure.pack.chains import PackedChains, write_library

SHIPPED = PackedChains(FILE)


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """Every two hundredth chain."""
    path = tmp_path_factory.mktemp("some") / "chains.bin"
    write_library(path, [SHIPPED[place] for place in range(0, len(SHIPPED), 200)], {}, columns=128)
    return ProfileTargets(PackedChains(path))


def found(profiles, queries, e_value=0.1):
    return list(profiles.search(queries, e_value=e_value))


def test_a_chain_finds_itself_first_and_whole(some):
    for place in (0, 17, 100):
        query = some.chains.sequence(place)
        ((first, *_),) = found(some, [query])
        assert first.name == some.chains.ids[place]
        assert first.identity > 0.97
        assert first.pairs > 0.9 * len(query)
        assert first.e_value < 1e-9
        paired = np.array(list(query))[first.query_index]
        assert (paired == np.array(list(query))[first.template_index]).mean() > 0.97


def test_pairs_rise_and_stay_inside(some):
    query = some.chains.sequence(17)[10:] + "W" * 20
    for hit in found(some, [query], 10.0)[0]:
        assert (np.diff(hit.query_index) > 0).all()
        assert (np.diff(hit.template_index) > 0).all()
        assert hit.query_index[0] >= 0
        assert hit.query_index[-1] < len(query)
        assert hit.template_index[0] >= 0
        assert hit.template_index[-1] < some.chains.lengths[hit.chain]


def test_each_query_finds_what_it_finds_alone(some):
    queries = [some.chains.sequence(place) for place in (3, 50, 3, 99)]
    together = found(some, queries, 10.0)
    for query, hits in zip(queries, together, strict=True):
        (alone,) = found(some, [query], 10.0)
        assert [(hit.name, hit.e_value) for hit in alone] == [
            (hit.name, hit.e_value) for hit in hits
        ]
        assert by_likeness(reversed(hits)) == hits


def test_relatives_that_share_a_fifth_of_their_residues():
    """Myoglobin finds haemoglobin by a profile: 26 % identical at most."""
    myoglobin = (
        "VLSEGEWQLVLHVWAKVEADVAGHGQDILIRLFKSHPETLEKFDRFKHLKTEAEMKASEDLKKHGVTVLTALGAILKKKGHHEAELKPLAQ"
        "SHATKHKIPIKYLEFISEAIIHVLHSRHPGDFGADAQGAMNKALELFRKDIAAKYKELGYQG"
    )
    (hits,) = found(profiles_of(SHIPPED), [myoglobin])
    distant = [hit for hit in hits if hit.identity < 0.3 and hit.pairs > 100]
    assert len(distant) > 5
    assert distant[0].e_value < 1e-10


def test_reversed_sequences_find_nothing():
    queries = [SHIPPED.sequence(place)[::-1] for place in range(100, 20_000, 7000)]
    for hits in found(profiles_of(SHIPPED), queries, 1e-3):
        assert hits == ()


@pytest.mark.parametrize("query", ["A", "XXXXXXXXXX", "GGGGGGGGGGGGGGGGGGGG", "MKV" + "X" * 40])
def test_queries_that_say_little(some, query):
    assert found(some, [query], 1e-3) == [()]


def test_progress_can_stop_it(some):
    told = []

    def stop(fraction, step):
        told.append(fraction)
        if fraction > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(some.search([some.chains.sequence(3)] * 3, e_value=0.1, progress=stop))
    assert told == sorted(told)
    assert list(some.search([], e_value=0.1, progress=ignore_progress)) == []


def hit_of(name: str, pairs: int, identity: float, e_value: float) -> TemplateHit:
    index = np.arange(pairs, dtype=np.int32)
    return TemplateHit(0, name, e_value, 50.0, identity, index, index)


def test_of_sure_relatives_the_larger_and_nearer_come_first():
    hits = [
        hit_of("motif", 40, 0.5, 1e-80),
        hit_of("doubtful", 200, 0.2, 0.01),
        hit_of("far", 120, 0.2, 1e-9),
        hit_of("near", 110, 0.9, 1e-50),
        hit_of("more doubtful", 220, 0.2, 0.05),
    ]
    names = [hit.name for hit in by_likeness(hits)]
    assert names == ["near", "far", "motif", "doubtful", "more doubtful"]


def test_calibration_rises_and_is_never_better_than_hmmer_says():
    raw = np.logspace(-100, 1, 50)
    adjusted = np.array([calibrated(value) for value in raw])
    assert (np.diff(adjusted) > 0).all()
    assert (adjusted >= raw * 0.9).all()
