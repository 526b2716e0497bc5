from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from itda.errors import InputError
from itda.search.databases.database import Database
from itda.search.templates.hits import TemplateHit
from itda.search.templates.pairing import align_sequences, pair_identity
from itda.search.templates.selection import Selection, TemplateLimits, select_hits

OPEN = TemplateLimits(count=10)


@pytest.fixture
def hits(database: Database, query: str) -> list[TemplateHit]:
    """The first five chains, aligned over their whole length."""
    chains = database.chains()
    made = []
    for chain in range(5):
        pairs = align_sequences(query, chains.sequence(chain))
        made.append(
            TemplateHit(
                chain=chain,
                name=chains.ids[chain],
                e_value=10.0 ** (chain - 50),
                bits=100.0 - chain,
                identity=pairs.identity,
                query_index=pairs.query_index,
                template_index=pairs.template_index,
            )
        )
    return made


@pytest.fixture
def select(database: Database, query: str, hits: list[TemplateHit]):
    def chosen(limits: TemplateLimits, given: list[TemplateHit] | None = None) -> Selection:
        return select_hits(query, hits if given is None else given, database.chains(), limits)

    return chosen


def names(selection: Selection) -> list[str]:
    return [hit.name for hit in selection.hits]


def cut(hit: TemplateHit, count: int) -> TemplateHit:
    return replace(
        hit, query_index=hit.query_index[:count], template_index=hit.template_index[:count]
    )


def test_every_hit_is_told_of_with_its_reason(select, hits, query, database) -> None:
    asked = [cut(hits[0], 5), *hits]
    selection = select(replace(OPEN, count=2), asked)
    told = [(found.name, found.used, found.reason) for found in selection.found]
    enough = "behind as many as are taken"
    assert told == [
        ("1aaa_A", False, "with fewer than 10 paired residues"),
        ("1aaa_A", True, ""),
        ("1aaa_B", False, "the same letters along the query as a better one"),
        ("2bbb_A", True, ""),
        *((hit.name, False, enough) for hit in hits[3:]),
    ]
    assert [found.e_value for found in selection.found[1:]] == [hit.e_value for hit in hits]
    first = selection.found[1]
    assert first.pairs == len(hits[0].query_index)
    assert first.coverage == first.pairs / len(query)
    assert first.release_date == database.chains().release_dates[0]
    assert selection.seen == 4 and sum(selection.refused.values()) == 2


def test_candidates_are_taken_behind_those_that_are_used_together(select) -> None:
    few = select(replace(OPEN, count=2))
    more = select(replace(OPEN, count=2, candidates=3))
    assert names(few) == ["1aaa_A", "2bbb_A"]
    assert names(more) == ["1aaa_A", "2bbb_A", "3ccc_A"]
    assert names(select(replace(OPEN, count=2, candidates=1))) == names(few)


def test_key_without_candidates_is_that_of_searches_before_there_was_a_choice() -> None:
    assert "candidates" not in OPEN.key()
    assert replace(OPEN, candidates=12).key() == {**OPEN.key(), "candidates": 12}


def test_duplicate_is_dropped_and_counted(select) -> None:
    selection = select(OPEN)
    assert names(selection) == ["1aaa_A", "2bbb_A", "3ccc_A", "4ddd_A"]
    assert selection.refused == {"the same letters along the query as a better one": 1}
    assert selection.seen == 5
    assert str(selection) == (
        "4 templates of 5 hits, refused: 1 the same letters along the query as a better one"
    )


def test_same_letters_elsewhere_along_the_query_are_no_duplicate(
    select, hits: list[TemplateHit]
) -> None:
    moved = replace(cut(hits[1], 50), query_index=hits[1].query_index[:50] + 1)
    assert len(select(OPEN, [cut(hits[0], 50), moved]).hits) == 2


def test_no_more_than_asked(select) -> None:
    selection = select(TemplateLimits(count=2))
    assert names(selection) == ["1aaa_A", "2bbb_A"]
    assert selection.seen == 3


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        # The day itself is allowed; 4ddd_A has no date.
        ({"max_date": date(2010, 6, 15)}, ["1aaa_A", "2bbb_A"]),
        ({"max_date": date(2010, 6, 14)}, ["1aaa_A"]),
        (
            {"max_date": date(2010, 6, 14), "allow_unknown_dates": True},
            ["1aaa_A", "4ddd_A"],
        ),
        ({"exclude_ids": frozenset({"1AAA"})}, ["2bbb_A", "3ccc_A", "4ddd_A"]),
        ({"exclude_ids": frozenset({"1aaa_a"})}, ["1aaa_B", "2bbb_A", "3ccc_A", "4ddd_A"]),
        ({"min_identity": 0.68}, ["1aaa_A", "2bbb_A"]),
        ({"max_identity": 0.7}, ["2bbb_A", "3ccc_A", "4ddd_A"]),
        ({"max_identity": 0.69}, ["3ccc_A", "4ddd_A"]),
        ({"min_coverage": 0.9}, ["1aaa_A", "2bbb_A", "4ddd_A"]),
        ({"max_subsequence": 0.95}, ["2bbb_A", "3ccc_A", "4ddd_A"]),
    ],
)
def test_limits(select, limits: dict[str, object], expected: list[str]) -> None:
    assert names(select(replace(OPEN, **limits))) == expected


def test_reasons_are_told(select) -> None:
    selection = select(replace(OPEN, max_date=date(2005, 1, 1), exclude_ids=frozenset({"1aaa_B"})))
    assert selection.refused == {
        "excluded by name": 1,
        "released after 2005-01-01": 2,
        "of unknown release date": 1,
    }


def test_short_hits(select, hits: list[TemplateHit]) -> None:
    # The query has 120 residues: more than a tenth of it is 13.
    given = [cut(hits[0], 9), cut(hits[2], 12), cut(hits[3], 13)]
    selection = select(OPEN, given)
    assert names(selection) == ["3ccc_A"]
    assert selection.refused == {
        "with fewer than 10 paired residues": 1,
        "on 10% of the query or less": 1,
    }


def test_relative_hidden_by_a_wrong_alignment(select, hits: list[TemplateHit]) -> None:
    """The alignment that was found says it is a stranger; the sequences say it is the query."""
    template = hits[0].template_index
    shifted = replace(hits[0], query_index=template[:-7], template_index=template[7:], identity=0.1)
    assert names(select(OPEN, [shifted])) == ["1aaa_A"]
    selection = select(replace(OPEN, max_identity=0.3), [shifted])
    assert selection.hits == () and selection.refused == {"too much like the query": 1}


def test_relative_hidden_by_a_short_alignment(
    select, database: Database, query: str, hits: list[TemplateHit]
) -> None:
    chains = database.chains()
    whole = hits[3]
    identical = [
        query[first] == chains.sequence(3)[second]
        for first, second in zip(whole.query_index, whole.template_index, strict=True)
    ]
    differ = np.flatnonzero(~np.array(identical))
    part = replace(
        whole, query_index=whole.query_index[differ], template_index=whole.template_index[differ]
    )
    part = replace(
        part,
        identity=pair_identity(query, chains.sequence(3), part.query_index, part.template_index),
    )
    assert part.identity == 0.0
    assert names(select(OPEN, [part])) == ["3ccc_A"]
    assert names(select(replace(OPEN, max_identity=0.3), [part])) == []


def test_residues_that_were_not_seen(database: Database, query: str, hits: list[TemplateHit]):
    class Unseen:
        release_dates = database.chains().release_dates
        sequence = staticmethod(database.chains().sequence)
        residue_index = staticmethod(database.chains().residue_index)

        def has_ca(self, index: int):
            return np.arange(len(self.sequence(index))) >= 60

    given = [cut(hits[0], 60), cut(hits[2], 61)]
    selection = select_hits(query, given, Unseen(), OPEN)  # type: ignore[arg-type]
    assert names(selection) == ["2bbb_A"]
    assert selection.refused == {"without a paired residue that was seen": 1}


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"count": 0}, "template count is 0"),
        ({"max_identity": 30}, "template max identity is 30"),
        ({"min_coverage": -0.1}, "template min coverage is -0.1"),
    ],
)
def test_limits_that_mean_nothing(limits: dict[str, float], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        TemplateLimits(**limits)  # type: ignore[arg-type]


def test_key_tells_limits_apart() -> None:
    one = TemplateLimits(exclude_ids=frozenset({"1AAA", "2bbb"}), max_date=date(2020, 1, 1))
    same = TemplateLimits(exclude_ids=frozenset({"2BBB", "1aaa"}), max_date=date(2020, 1, 1))
    assert one.key() == same.key()
    assert one.key() != TemplateLimits(max_date=date(2020, 1, 1)).key()
    assert one.key() != replace(one, max_identity=0.3).key()
