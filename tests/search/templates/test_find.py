from datetime import date
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError, DependencyError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.databases.known_folds import FILE, known_folds
from itda.search.templates import find
from itda.search.templates.find import (
    choose_program,
    search_templates,
    template_key,
)
from itda.search.templates.hits import TemplateHit
from itda.search.templates.mmseqs import FOLDER_PREFIX
from itda.search.templates.profiles import profiles_of
from itda.search.templates.selection import TemplateLimits
from itda.search.templates.settings import SearchSettings
from itda.structure.chains.chain import Chain
from tests.search.templates.conftest import build
from tests.sequences import needs_mmseqs, relative

LIMITS = TemplateLimits()


@needs_mmseqs
def test_template_holds_the_chain(
    database: Database, family: list[Chain], query: str, tmp_path: Path
) -> None:
    told: list[tuple[float, str]] = []
    templates = search_templates(
        query,
        alignment=None,
        database=database,
        limits=LIMITS,
        work=tmp_path / "work",
        progress=lambda *now: told.append(now),
    ).templates
    assert [template.name for template in templates] == ["1aaa_A", "2bbb_A", "3ccc_A", "4ddd_A"]
    second, chain = templates[1], family[2]
    assert second.sequence == chain.sequence
    np.testing.assert_allclose(second.coordinates, chain.coordinates, atol=1e-3)
    np.testing.assert_array_equal(second.atom_mask, chain.atom_mask)
    assert second.release_date == "2010-06-15"
    assert second.source == "made"
    assert second.e_value < 1e-10
    assert second.identity == pytest.approx(0.7, abs=0.05)
    assert list((tmp_path / "work").iterdir()) == []
    assert told[-1][0] == 1.0 and "4 templates of 5 hits" in told[-1][1]
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)


@needs_mmseqs
def test_alignment_is_searched_with(database: Database, query: str, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    rows = [relative(database.chains().sequence(4), 0.2, random) for _ in range(20)]
    alignment = Alignment.from_aligned(query, [f"r{i}" for i in range(20)], rows)
    alone, with_profile = (
        {
            template.name: template.e_value
            for template in search_templates(
                query,
                alignment=given,
                database=database,
                limits=LIMITS,
                work=tmp_path,
                settings=SearchSettings(iterations=1),
            ).templates
        }
        for given in (None, alignment)
    )
    assert with_profile["4ddd_A"] < 1e-3 * alone["4ddd_A"]


def test_hmmer_where_the_database_has_no_mmseqs_files(
    family: list[Chain], query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyhmmer")
    monkeypatch.setattr("tests.search.templates.conftest.has_mmseqs", lambda: False)
    database = build(tmp_path / "databases", "plain", family, shards=None)
    assert choose_program(database) == "hmmer"
    search = search_templates(
        query, alignment=None, database=database, limits=LIMITS, work=tmp_path / "work"
    )
    assert [template.name for template in search.templates][:2] == ["1aaa_A", "2bbb_A"]
    assert "pyhmmer" in str(template_key(database, LIMITS)["program"])


@needs_mmseqs
def test_leftovers_of_a_killed_search_are_removed(
    database: Database, query: str, tmp_path: Path
) -> None:
    left = tmp_path / f"{FOLDER_PREFIX}killed"
    left.mkdir()
    (left / "hits_0.tsv").write_text("half a res")
    found = search_templates(query, alignment=None, database=database, limits=LIMITS, work=tmp_path)
    assert len(found.templates) == 4
    assert not left.exists()


def test_limit_of_dates_where_none_is_known(
    family: list[Chain], query: str, tmp_path: Path
) -> None:
    database = build(tmp_path / "databases", "undated", family[4:5], shards=None)
    limits = TemplateLimits(max_date=date(2020, 1, 1))
    with pytest.raises(InputError, match="undated holds no release dates") as caught:
        search_templates(query, alignment=None, database=database, limits=limits, work=tmp_path)
    assert "promod3" in caught.value.hint
    assert not (tmp_path / "work").exists()


@needs_mmseqs
def test_program_that_the_user_names_is_not_passed_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_program(database) == "mmseqs"
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    with pytest.raises(DependencyError, match="/nowhere/mmseqs"):
        choose_program(database)


@needs_mmseqs
def test_key_tells_searches_apart(database: Database, sharded: Database) -> None:
    key = template_key(database, LIMITS)
    assert key == template_key(database, TemplateLimits())
    others = [
        template_key(sharded, LIMITS),
        template_key(database, TemplateLimits(count=1)),
        template_key(database, LIMITS, SearchSettings(e_value=1.0)),
    ]
    assert all(other != key for other in others)


def test_settings_that_mean_nothing() -> None:
    with pytest.raises(InputError, match="iterations is 0"):
        SearchSettings(iterations=0)


@needs_mmseqs
def test_altered_database(family: list[Chain], query: str, tmp_path: Path) -> None:
    """Files of another database under this one's name are an error, never another's templates."""
    database = build(tmp_path / "databases", "one", family, shards=None)
    other = build(tmp_path / "databases", "other", family[5:], shards=None)
    for path in (database.folder / "chains").iterdir():
        (other.folder / "chains" / path.name).replace(path)
    with pytest.raises(DataError, match=r"no hit of this database: .* has no chain"):
        search_templates(query, alignment=None, database=database, limits=LIMITS, work=tmp_path)


def test_a_chain_is_taken_from_the_first_search_that_found_it() -> None:
    index = np.arange(50, dtype=np.int32)

    def hit(chain: int, e_value: float, pairs: int) -> TemplateHit:
        name = f"{chain}_{pairs}"
        return TemplateHit(chain, name, e_value, 50.0, 0.5, index[:pairs], index[:pairs])

    profiles = [hit(1, 1e-9, 40), hit(1, 1e-8, 20), hit(2, 1e-9, 30)]
    sequences = [hit(2, 1e-90, 50), hit(3, 1e-5, 35)]
    merged = find.merge_hits(profiles, sequences)
    assert [one.name for one in merged] == ["1_40", "3_35", "2_30", "1_20"]
    assert find.merge_hits() == ()


def test_random_mutations_are_found_by_the_sequence(tmp_path) -> None:
    library = known_folds(FILE)
    chains = library.chains()
    sequence = np.array(list(chains.sequence(chains.index_of("4maa_A"))))
    random = np.random.default_rng(1)
    changed = random.random(len(sequence)) < 0.45
    sequence[changed] = random.choice(list("ARNDCQEGHILKMFPSTWYV"), changed.sum())
    query = "".join(sequence)
    (by_profiles,) = profiles_of(chains).search([query], e_value=0.1)
    assert not by_profiles
    found = find.search_templates(
        query, alignment=None, database=library, limits=TemplateLimits(), work=tmp_path
    )
    assert found.templates[0].name == "4maa_A"


def test_a_query_that_says_nothing_finds_nothing(tmp_path) -> None:
    for query in ("X" * 12, "A", "GGGGGGGGGGGG"):
        found = find.search_templates(
            query,
            alignment=None,
            database=known_folds(FILE),
            limits=TemplateLimits(),
            work=tmp_path,
        )
        assert found.templates == ()
