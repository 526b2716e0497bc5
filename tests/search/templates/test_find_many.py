"""Templates of many queries in one search: each gets what it gets alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.templates import find
from itda.search.templates.find import TemplateSearch, search_many_templates, search_templates
from itda.search.templates.selection import TemplateLimits
from tests.sequences import needs_mmseqs, relative


@pytest.fixture(scope="module")
def asked(query: str) -> tuple[list[str], list[Alignment | None]]:
    """Queries with an alignment, without, with one of the query alone, and one too short."""
    random = np.random.default_rng(21)
    queries = [
        query,
        query[10:90],
        relative(query, 0.2, random),
        "ACGTACGTACGT",
        query[::-1],
        query,
    ]
    deep = [
        Alignment.from_aligned(one, ["a", "b"], [relative(one, 0.3, random) for _ in "ab"])
        for one in queries
    ]
    return queries, [deep[0], None, deep[2], None, deep[4], deep[5].select([0])]


def described(search: object) -> object:
    if not isinstance(search, TemplateSearch):
        return str(search)
    arrays = [
        (one.name, one.e_value, one.query_index.tolist(), one.template_index.tolist())
        for one in search.templates
    ]
    return arrays, search.selection.found, dict(search.selection.refused)


def many(database: Database, asked, work: Path, **options: object) -> list[object]:
    queries, alignments = asked
    found = list(
        search_many_templates(
            queries,
            alignments=alignments,
            database=database,
            work=work,
            **{"limits": TemplateLimits(), **options},
        )
    )
    assert [number for number, _ in found] == list(range(len(queries)))
    return [described(search) for _, search in found]


def singly(database: Database, asked, work: Path, **options: object) -> list[object]:
    return [
        described(
            search_templates(
                query,
                alignment=alignment,
                database=database,
                work=work,
                **{"limits": TemplateLimits(), **options},
            )
        )
        for query, alignment in zip(*asked, strict=True)
    ]


@pytest.mark.parametrize(
    "program", [pytest.param("mmseqs", marks=needs_mmseqs), pytest.param("hmmer")]
)
@pytest.mark.parametrize("limits", [TemplateLimits(), TemplateLimits(count=1, max_identity=0.9)])
def test_each_query_gets_what_it_gets_alone(
    program, limits, database: Database, asked, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(find, "choose_program", lambda database: program)
    expected = singly(database, asked, tmp_path / "alone", limits=limits)
    found = many(database, asked, tmp_path / "work", limits=limits, threads=2)
    assert found == expected
    assert found[0][0] and found[1][0] and not found[3][0]
    assert list((tmp_path / "work").iterdir()) == []


@needs_mmseqs
def test_all_profiles_are_one_call_and_all_others_another(
    database: Database, asked, tmp_path, monkeypatch
) -> None:
    called = []
    run = find.search_with_profiles, find.align_many

    def profiles(alignments, queries: Sequence[str], *arguments, **options):
        called.append(len(queries))
        return run[0](alignments, queries, *arguments, **options)

    def sequences(queries: Sequence[str], *arguments, **options):
        called.append(len(queries))
        return run[1](queries, *arguments, **options)

    monkeypatch.setattr(find, "search_with_profiles", profiles)
    monkeypatch.setattr(find, "align_many", sequences)
    told: list[float] = []
    many(database, asked, tmp_path, progress=lambda done, step: told.append(done))
    assert called == [3, 3]
    assert told == sorted(told) and told[-1] == 1.0


@needs_mmseqs
def test_one_that_fails_fails_alone(database: Database, asked, tmp_path, monkeypatch) -> None:
    expected = singly(database, asked, tmp_path)
    queries, alignments = list(asked[0]), list(asked[1])
    queries[1] = "MK1"
    run = find.search_with_profiles

    def profiles(alignments, queries: Sequence[str], *arguments, **options):
        if asked[0][2] in queries:
            raise DataError("mmseqs search failed")
        return run(alignments, queries, *arguments, **options)

    monkeypatch.setattr(find, "search_with_profiles", profiles)
    found = search_many_templates(
        queries,
        alignments=alignments,
        database=database,
        limits=TemplateLimits(),
        work=tmp_path,
    )
    for number, search in found:
        if number == 1:
            assert isinstance(search, InputError)
        elif number == 2:
            assert isinstance(search, DataError)
        else:
            assert described(search) == expected[number]
