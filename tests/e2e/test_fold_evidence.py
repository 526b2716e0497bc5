"""`itda fold` writes what a job was folded with beside its result, and never over a user's file."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from fake_family import FakeFamily
from fake_search import FakeManySource, FakeTemplates

from itda.cli.main import run
from itda.engine.codec_evidence import alignment_key
from itda.search.alignments.formats import read_alignment

SEQUENCE = "MKTAYIAKQRQISFVK"
SEARCH = ("--msa", "server:http://localhost:1")


@pytest.fixture
def source(family, monkeypatch) -> FakeManySource:
    """In the place of every source of alignments; a source of templates beside it."""
    fake = FakeManySource()
    monkeypatch.setattr(
        "itda.search.sources.choose.choose_source", lambda text, *, databases, threads: fake
    )
    Path("x.fa").write_text(f">one\n{SEQUENCE}\n>sp|P1|TWO\nMKTAYIAKQRQISFVKSH\n")
    Path("one.fa").write_text(f">one\n{SEQUENCE}\n")
    return fake


@pytest.fixture
def templates(source, monkeypatch) -> FakeTemplates:
    fake = FakeTemplates()
    monkeypatch.setattr("itda.engine.search_options._structure_database", lambda name: None)
    monkeypatch.setattr(
        "itda.engine.search_options.DatabaseTemplates", lambda database, limits, threads: fake
    )
    monkeypatch.setattr(
        "itda.engine.search_options._refuse_undated", lambda *_: None, raising=False
    )
    return fake


def record(name: str, folder: str = "x_itda") -> dict:
    summary = json.loads(Path(folder, "summary.json").read_bytes())
    return next(one for one in summary["records"] if one["name"] == name)


def inputs(name: str, folder: str) -> dict:
    return json.loads(Path(folder, f"{name}.confidence.json").read_bytes())["provenance"]["inputs"]


def atoms(folder: str) -> list[str]:
    lines = Path(folder, "one.cif").read_text().splitlines()
    return [line for line in lines if line.startswith("ATOM")]


def test_the_alignment_stands_beside_the_result_and_gives_the_same_again(
    source, family: FakeFamily
) -> None:
    assert run(["fold", "x.fa", *SEARCH]) == 0
    assert "one.a3m" in record("one")["files"]
    assert "sp_P1_TWO.a3m" in record("sp|P1|TWO")["files"]
    searched = family.evidence_of("one").chains["A"].alignment
    written = read_alignment(Path("x_itda/one.a3m"), query=SEQUENCE)
    assert alignment_key(written) == alignment_key(searched)
    assert written.digest == inputs("one", "x_itda")["alignment"]

    folded = len(family.folded)
    assert run(["fold", "one.fa", "--msa", "x_itda/one.a3m", "--out", "again"]) == 0
    assert run(["fold", "x.fa", "--msa", "x_itda", "--out", "folder"]) == 0
    # The very same evidence: nothing is folded anew.
    assert len(family.folded) == folded
    for other in ("again", "folder"):
        assert atoms(other) == atoms("x_itda") != []
        assert Path(other, "one.a3m").read_bytes() == Path("x_itda/one.a3m").read_bytes()


def test_without_an_alignment_there_is_none(source) -> None:
    assert run(["fold", "x.fa"]) == 0
    assert not list(Path("x_itda").glob("*.a3m")) and not list(Path("x_itda").glob("*.templates*"))
    assert all(not name.endswith(".a3m") for name in record("one")["files"])


def test_hits_of_a_search_for_templates_stand_beside_it(source, templates) -> None:
    assert run(["fold", "x.fa", "--templates", "known"]) == 0
    assert "one.templates.json" in record("one")["files"]
    told = json.loads(Path("x_itda/one.templates.json").read_bytes())
    assert (told["format"], told["version"]) == ("itda-templates", 1)
    assert told["name"] == "one" and told["chain_ids"] == ["A"]
    assert told["source"] == "fake templates in structures"
    assert told["search"] == {"source": "fake", "database": "structures", "count": 1}
    assert told["hits"] == [
        {
            "name": "0abc_A", "e_value": 1e-09, "identity": 1.0, "coverage": 1.0, "pairs": 16,
            "release_date": "2001-02-03", "used": True, "reason": None,
            "origin": "searched", "source": "",
        },
        {
            "name": "9xyz_B", "e_value": 0.01, "identity": 0.25, "coverage": 0.5, "pairs": 8,
            "release_date": None, "used": False, "reason": "released after 2021-09-30",
            "origin": "searched", "source": "",
        },
    ]  # fmt: skip
    # What the store gives is what the search gave.
    first = Path("x_itda/one.templates.json").read_bytes()
    assert run(["fold", "x.fa", "--templates", "known", "--out", "again"]) == 0
    assert Path("again/one.templates.json").read_bytes() == first
    assert len(templates.alignments) == 2


def test_a_file_of_the_users_is_never_written_over_or_removed(source, capsys) -> None:
    """Results that go where the inputs are."""
    own = f">mine\n{SEQUENCE}\n>another\nMKTAYIAKQRQISFVR\n"
    Path("one.a3m").write_text(own)
    # Used, since it stands beside its sequence; searched for in its place; left out.
    assert run(["fold", "one.fa", "--out", "."]) == 0
    assert Path("one.a3m").read_text() == own and "one.a3m" not in record("one", ".")["files"]
    for path in ("one.cif", "one.confidence.json", "one.html", "one.pae.npz", "summary.json"):
        Path(path).unlink()
    assert run(["fold", "one.fa", "--out", ".", "--msa", "none"]) == 0
    assert Path("one.a3m").read_text() == own
    capsys.readouterr()
    for path in ("one.cif", "one.confidence.json", "one.html", "one.pae.npz", "summary.json"):
        Path(path).unlink()
    assert run(["fold", "one.fa", "--out", ".", *SEARCH]) == 1
    assert "one.a3m: exists already" in capsys.readouterr().err
    assert Path("one.a3m").read_text() == own and not source.calls
    assert run(["fold", "one.fa", "--out", ".", *SEARCH, "--overwrite"]) == 0
    assert Path("one.a3m").read_text() != own


def test_an_alignment_of_the_folder_is_read_before_the_folder_is_written_over(source) -> None:
    assert run(["fold", "one.fa", *SEARCH]) == 0
    searched = Path("one_itda/one.a3m").read_bytes()
    again = ["fold", "one.fa", "--msa", "one_itda/one.a3m"]
    assert run(again) == 1
    for _ in range(2):
        assert run([*again, "--overwrite"]) == 0
        assert Path("one_itda/one.a3m").read_bytes() == searched
    # And the other way: what the user brought there is kept, or it is said.
    assert run(["fold", "one.fa", *SEARCH]) == 1
    assert run(["fold", "one.fa", *SEARCH, "--overwrite"]) == 0
    assert Path("one_itda/one.a3m").read_bytes() == searched


def test_the_same_command_again_is_the_same_run(source, capsys) -> None:
    command = ["fold", "x.fa", *SEARCH]
    assert run(command) == 0
    before = {path.name: path.read_bytes() for path in Path("x_itda").glob("*.a3m")}
    assert run(command) == 0
    assert {path.name: path.read_bytes() for path in Path("x_itda").glob("*.a3m")} == before
    assert len(before) == 2 and len(source.calls) == 1
