"""`itda search run` finds what `itda fold` searched, and the other way round."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from fake_search import FakeManySource

from itda.cli.main import run
from itda.search.alignments.formats import read_alignment

SEARCH = ("--msa", "server:http://localhost:1")
SEQUENCES = {f"protein_{letter}": f"MKTAYIAKQRQISF{letter}K" for letter in "ACDEFGHIKL"}


@pytest.fixture
def source(family, monkeypatch) -> FakeManySource:
    """In the place of every source; it logs what it is asked, several queries at once."""
    fake = FakeManySource()
    monkeypatch.setattr(
        "itda.search.sources.choose.choose_source", lambda text, *, databases, threads: fake
    )
    Path("x.fa").write_text("".join(f">{name}\n{text}\n" for name, text in SEQUENCES.items()))
    return fake


def test_search_run_then_fold(source, family) -> None:
    assert run(["search", "run", "x.fa", *SEARCH]) == 0
    assert source.calls == [list(SEQUENCES.values())]
    assert run(["fold", "x.fa", *SEARCH]) == 0
    assert len(source.calls) == 1
    for name, sequence in SEQUENCES.items():
        given = family.evidence_of(name).chains["A"].alignment
        assert given.texts == read_alignment(Path(f"x_msa/{name}.a3m"), query=sequence).texts


def test_fold_then_search_run(source, family, capsys) -> None:
    assert run(["fold", "x.fa", *SEARCH]) == 0
    assert source.calls == [list(SEQUENCES.values())]
    capsys.readouterr()
    assert run(["search", "run", "x.fa", *SEARCH]) == 0
    assert len(source.calls) == 1
    assert capsys.readouterr().err.count("5 rows, found again") == len(SEQUENCES)
    for name, sequence in SEQUENCES.items():
        given = family.evidence_of(name).chains["A"].alignment
        assert given.texts == read_alignment(Path(f"x_msa/{name}.a3m"), query=sequence).texts


def test_another_cache_or_database_searches(source) -> None:
    assert run(["search", "run", "x.fa", *SEARCH]) == 0
    assert run(["fold", "x.fa", *SEARCH, "--cache", "other", "--out", "out"]) == 0
    assert len(source.calls) == 2
    source.database = "two"
    assert run(["fold", "x.fa", *SEARCH]) == 0
    assert len(source.calls) == 3


def test_search_run_takes_only_what_is_missing(source, capsys) -> None:
    names = list(SEQUENCES)
    first = "".join(f">{name}\n{SEQUENCES[name]}\n" for name in names[3:5])
    Path("first.fa").write_text(first)
    assert run(["search", "run", "first.fa", *SEARCH, "--out", "x_msa"]) == 0
    Path("x_msa/protein_C.a3m").write_text(">query\nMKT\n")
    # One stands there that is of another search, and is not written over; its place is named.
    assert run(["search", "run", "x.fa", *SEARCH]) == 2
    missing = [SEQUENCES[name] for name in names if name not in ("protein_C", *names[3:5])]
    assert source.calls[1:] == [missing]
    assert "protein_C.a3m exists already" in capsys.readouterr().err


def test_one_that_fails_leaves_the_others(source, capsys) -> None:
    source.failing = {SEQUENCES["protein_D"]}
    assert run(["search", "run", "x.fa", *SEARCH]) == 2
    assert len(source.calls) == 1
    assert len(list(Path("x_msa").glob("*.a3m"))) == len(SEQUENCES) - 1
    said = capsys.readouterr()
    assert "protein_D: cannot search" in said.err and "9 of 10 done" in said.out
