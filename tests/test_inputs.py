"""Files, folders and patterns: what is taken, in which order, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from itda.inputs import Kind, Refused, expand, in_order, stem

TEXT = Kind(
    "notes",
    (".txt", ".note"),
    why_not=lambda path: "" if path.read_text() else "blank",
    alone=lambda paths: [
        path for path in paths if path.with_suffix(".txt") not in {*paths} - {path}
    ],
    belongs="goes with its text",
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def sources(*named: str) -> list[str]:
    found = expand(named, TEXT).sources
    return [f"! {one.error.problem}" if isinstance(one, Refused) else one for one in found]


def test_files_stand_in_the_order_they_are_named() -> None:
    write("b.txt", "a.txt")
    assert sources("b.txt", "-", "a.txt", "missing.txt") == ["b.txt", "-", "a.txt", "missing.txt"]


def test_a_folder_gives_its_files_as_people_count() -> None:
    write("in/x10.txt", "in/x2.TXT", "in/y.note.gz", "in/.hidden.txt")
    assert sources("in") == ["in/x2.TXT", "in/x10.txt", "in/y.note.gz"]
    assert expand(["in/"], TEXT).notes == ()
    os.chdir("in")
    assert sources(".") == ["x2.TXT", "x10.txt", "y.note.gz"]


def test_what_a_folder_holds_besides_is_said_with_the_reason() -> None:
    write("in/a.txt", "in/below/b.txt", "in/c.pdf", "in/a.note", *(f"in/{i}.xls" for i in range(9)))
    Path("in/blank.txt").touch()
    Path("in/nowhere.txt").symlink_to("gone")
    (note,) = expand(["in"], TEXT).notes
    assert note.startswith("in: 1 file taken; left out: ")
    for said in (
        "below/ (a folder)",
        "a.note (goes with its text)",
        "blank.txt (blank)",
        "(no file)",
    ):
        assert said in note
    assert "0.xls, 1.xls, 2.xls, 3.xls, 4.xls and 5 more (no notes)" in note


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "it is empty"),
        (("in/a.pdf",), "it holds a.pdf (no notes)"),
        (("in/below/a.txt",), "it holds below/ (a folder)"),
    ],
)
def test_a_folder_without_any_is_refused_with_what_it_holds(files, said) -> None:
    Path("in").mkdir()
    write(*files)
    (one,) = expand(["in"], TEXT).sources
    assert isinstance(one, Refused) and said in one.error.problem
    assert ("folders below it" in one.error.hint) == ("a folder" in said)


def test_a_pattern_is_expanded_where_no_shell_has_done_so() -> None:
    write("x10.txt", "x2.txt", "y.txt", "in/z.txt", "in/deep/w.txt")
    assert sources("x*.txt") == ["x2.txt", "x10.txt"]
    assert sources("[xy]?.txt", "y*") == ["x2.txt", "y.txt"]
    assert sources("**/*.txt") == sources("in/deep/w.txt", "in/z.txt", "x2.txt", "x10.txt", "y.txt")
    assert sources("i?") == ["in/z.txt"]


def test_a_name_with_brackets_that_exists_is_no_pattern() -> None:
    write("plate[1].txt", "plate1.txt")
    assert sources("plate[1].txt") == ["plate[1].txt"]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("*.text", "this folder holds 2 *.txt, 1 *.pdf"),
        ("nowhere/*.txt", "there is no folder nowhere"),
        ("*/*.txt", "give files, a folder, or a pattern"),
    ],
)
def test_a_pattern_that_matches_nothing_says_what_is_there(pattern, hint) -> None:
    write("a.txt", "b.txt", "c.pdf")
    (one,) = expand([pattern], TEXT).sources
    assert isinstance(one, Refused)
    assert (one.error.problem, one.error.hint) == (f"no file matches {pattern}", hint)


def test_a_file_is_taken_once_however_it_is_named() -> None:
    write("in/a.txt", "in/b.txt")
    Path("link.txt").symlink_to("in/a.txt")
    found = expand(["in/b.txt", "in", "./in/a.txt", "link.txt", "-", "-", "gone", "gone"], TEXT)
    assert found.sources == ("in/b.txt", "in/a.txt", "-", "gone", "gone")
    assert found.notes == (
        "in/b.txt is named twice and taken once",
        "in/a.txt and ./in/a.txt are one file, which is taken once",
        "in/a.txt and link.txt are one file, which is taken once",
        "standard input is named twice and taken once",
    )


def test_what_belongs_to_another_input_is_left_out_and_said() -> None:
    write("a.note", "b.txt", "b.note", "in/c.note", "in/c.txt")
    found = expand(["a.note", "b.note", "b.txt", "in"], TEXT)
    assert found.sources == ("a.note", "b.txt", "in/c.txt")
    assert found.notes == (
        "in: 1 file taken; left out: c.note (goes with its text)",
        "left out: b.note (goes with its text)",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_refused() -> None:
    Path("closed").mkdir(mode=0o000)
    assert sources("closed")[0].startswith("! cannot look into closed: ")


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (["data/x.y.txt"], "x.y"),
        (["x.TXT.gz"], "x"),
        (["-"], "stdin"),
        (["in"], "in"),
        (["in/"], "in"),
        (["in/../in/."], "in"),
        (["a.txt", "b.txt"], "results"),
        (["?.txt"], "results"),
        (["a*"], "a"),
        (["zzz*"], "results"),
    ],
)
def test_the_inputs_are_called_after_what_was_named(named, name) -> None:
    write("a.txt", "b.txt", "in/c.txt")
    assert expand(named, TEXT).name == name


def test_an_ending_that_is_the_whole_name_stays() -> None:
    assert stem(".txt", TEXT) == ".txt"


def test_order_takes_names_of_any_kind() -> None:
    assert in_order(["10", "9", "a1b", "a", "ß2", "a1"]) == ["9", "10", "a", "a1", "a1b", "ß2"]
