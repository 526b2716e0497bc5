"""Many queries in one call of MMseqs2: each gets what it gets alone."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError
from itda.search.alignments.alignment import Alignment
from itda.search.mmseqs import find_mmseqs
from itda.search.sources.mmseqs import MmseqsSource
from itda.search.sources.source import ManySource
from tests.search.sources.family import (
    RELATIVES,
    family,
    identifiers,
    make_database,
    silent,
    stranger,
)
from tests.sequences import needs_mmseqs, relative

pytestmark = needs_mmseqs

ROUNDS = 2
"""Fewer than by default, since every call of so small a search is its tables."""


@pytest.fixture(scope="module")
def queries() -> list[str]:
    """A stranger, the query of the family, part of a relative, a tripeptide, letters of DNA."""
    random = np.random.default_rng(5)
    query = family()[0]
    return [
        stranger(90, random),
        query,
        relative(query, 0.5, random)[10:95],
        "MKT",
        "ACGTTGCAACGGTACCATGCAGTACGATTGACCA",
    ]


@pytest.fixture(scope="module")
def alone(cut, queries, tmp_path_factory) -> tuple[list[Alignment], list[Path]]:
    """What each query gets alone, and its work folder."""
    source, folder = MmseqsSource((cut,), iterations=ROUNDS), tmp_path_factory.mktemp("alone")
    works = [folder / f"query_{number}" for number in range(len(queries))]
    found = [
        source.search(query, work=work, progress=silent)
        for query, work in zip(queries, works, strict=True)
    ]
    return found, works


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Stands before the program; gives the modules that it was called for, and fails on request.

    A `search` whose queries hold a line of the file `refused` fails.
    """
    program, log, refused = tmp_path / "mmseqs", tmp_path / "log", tmp_path / "refused"
    program.write_text(
        "#!/bin/sh\n"
        'echo "$1" >> "$LOG"\n'
        'if [ "$1" = search ] && [ -e "$REFUSED" ] && grep -qxFf "$REFUSED" query.fasta; then\n'
        '  echo "Invalid query" >&2; exit 1\n'
        "fi\n"
        'exec "$REAL" "$@"\n'
    )
    program.chmod(0o755)
    for name, value in (("REAL", find_mmseqs()), ("LOG", log), ("REFUSED", refused)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("ITDA_MMSEQS", str(program))

    def called() -> list[str]:
        return log.read_text().split() if log.exists() else []

    return called


def many(
    source: MmseqsSource, queries: list[str], folder: Path, progress=silent
) -> list[Alignment | Exception]:
    works = [folder / f"query_{number}" for number in range(len(queries))]
    found = list(source.search_many(queries, works=works, progress=progress))
    assert [number for number, _ in found] == list(range(len(queries)))
    return [one for _, one in found]


def test_each_query_gets_what_it_gets_alone(cut, queries, alone, tmp_path, calls) -> None:
    source = MmseqsSource((cut,), threads=2, iterations=ROUNDS)
    assert isinstance(source, ManySource) and source.most_at_once >= len(queries)
    told = []
    # In another order too.
    found = many(
        source, queries[::-1], tmp_path, lambda done, message: told.append((done, message))
    )
    assert found[::-1] == alone[0]
    rows = [set(identifiers(alignment.names[1:])) for alignment in alone[0]]
    assert rows[1] == {"itself"} | {f"relative{number}" for number in range(RELATIVES)}
    assert len(rows[2]) > 10 and not rows[3]
    for module in ("search", "align", "filterresult", "result2msa", "createdb"):
        assert calls().count(module) == len(cut.shards)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    said = {message.split(": ")[0] for _, message in told[:-1]}
    assert said == {f"mmseqs in cut shard {number} of 3, 5 queries" for number in (1, 2, 3)}


def test_databases_are_searched_one_after_the_other(whole, cut, queries, alone, tmp_path) -> None:
    (first, second) = many(MmseqsSource((cut, whole), iterations=ROUNDS), queries[1:3], tmp_path)
    for found, before in ((first, alone[0][1]), (second, alone[0][2])):
        assert found.texts[: len(before)] == before.texts
    single = MmseqsSource((cut, whole), iterations=ROUNDS).search(
        queries[2], work=tmp_path / "alone", progress=silent
    )
    assert second == single


def test_one_that_fails_fails_alone(cut, queries, alone, tmp_path, calls) -> None:
    source = MmseqsSource((cut,), iterations=ROUNDS)
    expected, bad = alone[0], (1, 4)
    (tmp_path / "refused").write_text("".join(f"{queries[number]}\n" for number in bad))
    found = many(source, queries, tmp_path)
    for number, one in enumerate(found):
        if number in bad:
            assert isinstance(one, DataError) and "Invalid query" in one.problem
        else:
            assert one == expected[number]
    # What one left behind is good for it later.
    (tmp_path / "refused").unlink()
    assert many(source, queries, tmp_path) == expected


def test_where_all_fail_each_is_told(whole, queries, tmp_path, calls) -> None:
    (tmp_path / "refused").write_text("".join(f"{query}\n" for query in queries))
    found = many(MmseqsSource((whole,)), queries, tmp_path)
    assert all(isinstance(one, DataError) for one in found)
    assert not list(tmp_path.glob("query_*/scratch-*"))


def test_a_killed_search_goes_on_at_the_shard(cut, queries, alone, tmp_path, calls) -> None:
    class StopError(Exception):
        pass

    def stop(fraction: float, message: str) -> None:
        if "shard 3 of 3" in message and "profile search" in message:
            raise StopError

    source = MmseqsSource((cut,), iterations=ROUNDS)
    with pytest.raises(StopError):
        many(source, queries, tmp_path, stop)
    assert calls().count("createdb") == 3
    assert len(list(tmp_path.glob("query_*/cut-2.step"))) == len(queries)
    again = many(source, queries, tmp_path)
    assert calls().count("createdb") == 4
    assert again == alone[0]


def test_those_that_are_further_are_not_searched_again(cut, queries, alone, tmp_path) -> None:
    source = MmseqsSource((cut,), iterations=ROUNDS)
    expected, works = alone
    # One is done, one lacks its last shard, one its profile; the others begin.
    for number in (1, 2, 4):
        shutil.copytree(works[number], tmp_path / f"query_{number}")
    (tmp_path / "query_2" / "cut-3.step").unlink()
    (tmp_path / "query_4" / "start.step").unlink()
    searched: list[str] = []

    def listen(fraction: float, message: str) -> None:
        for fasta in tmp_path.glob("query_*/scratch-*/query.fasta"):
            text = fasta.read_text()
            if text not in searched:
                searched.append(text)

    assert many(source, queries, tmp_path, listen) == expected
    assert all(queries[1] not in text.split("\n")[1::2] for text in searched)
    assert [queries[2] in text.split("\n") for text in searched] == [False, False, True]
    assert [queries[4] in text.split("\n") for text in searched] == [True, False, False]


@pytest.mark.slow
def test_clusters_are_expanded_for_each(queries, tmp_path) -> None:
    """A database of representatives, with `_seq` and `_aln` beside it, as ColabFold's."""
    records = [record for record in family()[1] if not record[0].startswith("stranger")]
    database = make_database(tmp_path, "clustered", records)
    everything = shutil.copytree(database.shards[0].mmseqs.parent, tmp_path / "all")
    everything /= database.shards[0].mmseqs.name
    target = tmp_path / "clustered"
    for command in (
        ["cluster", everything, "clusters", "tmp", "--min-seq-id", "0.3", "-c", "0.5"],
        ["createsubdb", "clusters", everything, target],
        ["createsubdb", "clusters", f"{everything}_h", f"{target}_h"],
        ["align", target, everything, "clusters", f"{target}_aln", "-a", "-e", "inf"],
        ["cpdb", everything, f"{target}_seq"],
        ["cpdb", f"{everything}_h", f"{target}_seq_h"],
    ):
        subprocess.run([find_mmseqs(), *command], cwd=tmp_path, check=True, capture_output=True)
    shard = dataclasses.replace(database.shards[0], mmseqs=target)
    source = MmseqsSource((dataclasses.replace(database, shards=(shard,)),), threads=2)
    found = many(source, queries[:3], tmp_path)
    for number in (0, 1):
        work = tmp_path / f"alone_{number}"
        assert found[number] == source.search(queries[number], work=work, progress=silent)
    assert len(found[1]) > RELATIVES
