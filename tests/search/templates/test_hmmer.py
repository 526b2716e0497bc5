import importlib.util

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import DependencyError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.templates.hmmer import pyhmmer_version, search_with_hmmer
from itda.search.templates.mmseqs import align_many
from itda.search.templates.settings import SearchSettings
from tests.sequences import needs_mmseqs, relative

needs_pyhmmer = pytest.mark.skipif(
    importlib.util.find_spec("pyhmmer") is None, reason="pyhmmer is not installed"
)
SETTINGS = SearchSettings()


@needs_pyhmmer
def test_relatives_are_found(database: Database, query: str) -> None:
    hits = search_with_hmmer(query, None, database.chains(), settings=SETTINGS)
    significant = dict.fromkeys(hit.name for hit in hits if hit.e_value < 1e-3)
    assert set(significant) == {"1aaa_A", "1aaa_B", "2bbb_A", "3ccc_A", "4ddd_A"}
    assert list(significant)[:3] == ["1aaa_A", "1aaa_B", "2bbb_A"]
    assert [hit.e_value for hit in hits] == sorted(hit.e_value for hit in hits)
    assert hits[0].query_index.tolist() == list(range(len(query)))
    assert hits[0].identity == 1.0


@needs_pyhmmer
@needs_mmseqs
def test_pairs_agree_with_mmseqs(database: Database, query: str) -> None:
    hits = search_with_hmmer(query, None, database.chains(), settings=SETTINGS)
    ((_, others),) = align_many([query], database)
    pairs: dict[str, set[tuple[int, int]]] = {}
    for hit in hits:
        # A gap of twenty residues parts a chain into two domains, each a hit of its own.
        found = zip(hit.query_index.tolist(), hit.template_index.tolist(), strict=True)
        pairs.setdefault(hit.name, set()).update(found)
    for other in others[:4]:
        rows = zip(other.query_index.tolist(), other.template_index.tolist(), strict=True)
        theirs = set(rows)
        assert len(theirs & pairs[other.name]) > 0.85 * len(theirs)


@needs_pyhmmer
def test_one_round_is_hmmsearch_of_one_call(database: Database, query: str) -> None:
    """Against pyhmmer's own functions, all chains in one block."""
    from pyhmmer.easel import Alphabet, DigitalSequenceBlock, TextSequence
    from pyhmmer.hmmer import phmmer

    chains = database.chains()
    alphabet = Alphabet.amino()
    block = DigitalSequenceBlock(
        alphabet,
        [
            TextSequence(name=name, sequence=chains.sequence(index)).digitize(alphabet)
            for index, name in enumerate(chains.ids)
        ],
    )
    one = TextSequence(name="query", sequence=query).digitize(alphabet)
    (expected,) = phmmer(one, block, cpus=1, E=0.1, domE=0.1, F1=0.1, F2=0.1, F3=0.1)
    wanted = {
        hit.name: (hit.domains[0].i_evalue, hit.domains[0].alignment.target_from - 1)
        for hit in expected.reported
    }
    found = search_with_hmmer(query, None, chains, settings=SearchSettings(iterations=1))
    assert {hit.name: (hit.e_value, hit.template_index[0]) for hit in found} == {
        name: (pytest.approx(e_value), start) for name, (e_value, start) in wanted.items()
    }


@needs_pyhmmer
def test_alignment_makes_the_profile(database: Database, query: str) -> None:
    random = np.random.default_rng(6)
    distant = database.chains()[4].sequence
    rows = [relative(distant, 0.2, random) for _ in range(20)]
    # Columns that almost no row fills stay states of the profile.
    rows = [row[:30] + "-" * 20 + row[50:] for row in rows]
    alignment = Alignment.from_aligned(query, [f"r{i}" for i in range(20)], rows)
    alone = search_with_hmmer(query, None, database.chains(), settings=SearchSettings(iterations=1))
    hits = search_with_hmmer(query, alignment, database.chains(), settings=SETTINGS)
    bits = {hit.name: hit.bits for hit in hits}
    assert bits["4ddd_A"] > 1.2 * {hit.name: hit.bits for hit in alone}["4ddd_A"]
    own = next(hit for hit in hits if hit.name == "1aaa_A")
    assert own.query_index.tolist() == own.template_index.tolist()
    assert own.pairs > 0.9 * len(query)


@needs_pyhmmer
def test_nothing_like_it(database: Database) -> None:
    stranger = "".join(np.random.default_rng(77).choice(list(RESTYPES), 90))
    strict = SearchSettings(e_value=1e-3)
    assert search_with_hmmer(stranger, None, database.chains(), settings=strict) == ()


@needs_pyhmmer
def test_progress_and_stop(database: Database, query: str) -> None:
    told: list[float] = []
    search_with_hmmer(
        query,
        None,
        database.chains(),
        settings=SETTINGS,
        progress=lambda fraction, step: told.append(fraction),
    )
    assert told == sorted(told) and told[0] == 0.0 and told[-1] < 1.0

    def stop(fraction: float, step: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_with_hmmer(query, None, database.chains(), settings=SETTINGS, progress=stop)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(DependencyError, match="neither MMseqs2 nor pyhmmer"):
        pyhmmer_version()
