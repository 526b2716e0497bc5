import errno
import json
import os

import pytest

from itda.atomic import (
    DiskFullError,
    output_error,
    remove_leftovers,
    replacing,
    write_bytes,
    write_json,
)
from itda.errors import OutputError


def test_file_is_replaced_whole(tmp_path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"file.*No space left") as caught:
        write_bytes(path, b"two")
    assert "free some space" in caught.value.hint
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_block_that_fails_leaves_what_was_there(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with pytest.raises(ZeroDivisionError), replacing(path) as waiting:
        waiting.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(OutputError, match="nowhere/file"):
        write_bytes(tmp_path / "nowhere" / "file", b"")


@pytest.mark.parametrize(
    ("code", "word"),
    [(errno.EACCES, "may write to"), (errno.EROFS, "read-only"), (errno.ENAMETOOLONG, "shorter")],
)
def test_hint_fits_the_cause(tmp_path, code, word) -> None:
    error = output_error(tmp_path, OSError(code, os.strerror(code)))
    assert word in error.hint and not isinstance(error, DiskFullError)


def test_name_with_a_byte_that_is_not_utf8_can_be_written(tmp_path) -> None:
    write_json(tmp_path / "file", {"name": "caf\udce9 한글"})
    assert json.loads((tmp_path / "file").read_bytes()) == {"name": "caf\udce9 한글"}


def test_leftovers_of_these_names_go_and_no_others(tmp_path) -> None:
    stay = [".0123abcd-other.cif", "0123abcd-a.cif", ".0123abcd-a.cif.bak", "a.cif", ".xyz-a.cif"]
    for name in [".0123abcd-a.cif", *stay]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, {"a.cif"})
    assert {path.name for path in tmp_path.iterdir()} == set(stay)
