from __future__ import annotations

import itertools

import pytest

from itda.errors import InputError
from itda.job.names import (
    MAXIMUM_NAME_BYTES,
    automatic_chain_ids,
    check_chain_id,
    check_file_name,
    check_name,
    collision_key,
    file_stem,
)


@pytest.mark.parametrize(
    "name",
    ["ubiquitin", "1UBQ_1|Chain", "sp|P0CG48|UBC_HUMAN", "단백질", "my protein", "a.b", "console",
     "x" * MAXIMUM_NAME_BYTES, "A~1", "100%", "com10", "UBC_HUMAN/1-76", "../x", "CON", ".x", "-x"],
)  # fmt: skip
def test_plain_names_are_kept_unchanged(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("../x", "path"),
        ("/etc/x", "path"),
        ("a/b", "path"),
        ("a\\b", "path"),
        ("..", "begins with '.'"),
        (".hidden", "begins with '.'"),
        ("-rf", "begins with '-'"),
        ("a\0b", "cannot be printed, at position 2"),
        ("a\nb", "cannot be printed"),
        ("a\u202eb", "cannot be printed"),
        ("a\udce9", "cannot be printed"),
        (" a", "space"),
        ("a ", "space"),
        ("CON", "device"),
        ("nul.txt", "device"),
        ("Com1", "device"),
        ("com¹", "device"),
        ("x" * (MAXIMUM_NAME_BYTES + 1), "201 bytes"),
        ("가" * 67, "201 bytes"),
    ],
)
def test_names_that_are_no_safe_file_are_refused(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        check_file_name(name)
    assert caught.value.hint
    assert str(caught.value).isprintable() or "\n  hint:" in str(caught.value)


def test_longest_name_leaves_room_for_the_longest_ending() -> None:
    assert MAXIMUM_NAME_BYTES + len(".confidence.json") + len(".tmp-") + 32 <= 255


def test_file_stem_changes_only_what_troubles_file_systems() -> None:
    assert file_stem("sp|P0CG48|UBC HUMAN") == "sp_P0CG48_UBC_HUMAN"
    assert file_stem("단백질-1.b+c") == "단백질-1.b+c"


@pytest.mark.parametrize(
    "name",
    ["UBC_HUMAN/1-76", "../../etc/passwd", "/etc/passwd", "..", ".", "-rf", "a\\b", "C:\\x", "~/x",
     "con", "NUL.txt", "com¹", "a b/c", "/", "\\\\server\\share", "x" * MAXIMUM_NAME_BYTES],
)  # fmt: skip
def test_every_name_that_can_be_shown_has_a_safe_file(name: str) -> None:
    assert check_name(name) == name
    assert check_file_name(f"{file_stem(name)}"[:MAXIMUM_NAME_BYTES]) in file_stem(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\0b", "a\nb", "a\u202eb", "x" * 201])
def test_names_that_cannot_be_shown_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"), [("Abc", "aBC"), ("a|b", "a_b"), ("Straße", "STRASSE"), ("é", "e\u0301")]
)
def test_names_whose_files_would_be_one_collide(one: str, other: str) -> None:
    assert collision_key(one) == collision_key(other)


def test_different_names_do_not_collide() -> None:
    assert collision_key("a-b") != collision_key("a_b")


@pytest.mark.parametrize("chain_id", ["A", "a", "AA", "1", "heavy", "A-2", "A" * 16])
def test_chain_ids_are_kept(chain_id: str) -> None:
    assert check_chain_id(chain_id) == chain_id


@pytest.mark.parametrize("chain_id", ["", " ", "A B", "_A", "A" * 17, "A'", "가", "A\n"])
def test_chain_ids_that_mmcif_cannot_carry_are_refused(chain_id: str) -> None:
    with pytest.raises(InputError):
        check_chain_id(chain_id)


def test_automatic_chain_ids_go_on_after_z() -> None:
    ids = list(itertools.islice(automatic_chain_ids({"C", "AB"}), 29))
    assert ids[:4] == ["A", "B", "D", "E"]
    assert ids[24:] == ["Z", "AA", "AC", "AD", "AE"]
    assert len(set(itertools.islice(automatic_chain_ids(), 1000))) == 1000
