"""Files that are whole or not there: after a crash, on a full disk, in a folder to read only."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from itda import storage


def failing(code: int):
    def fail(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_is_written_below_a_folder_that_was_not_there(tmp_path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for content in (b"one", b"two"):
        storage.write_whole(path, content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["file"]


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    told = []

    def fsync(descriptor: int) -> None:
        told.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    storage.write_whole(path, b"two")
    [(synced, there)] = told
    assert synced != str(path) and Path(synced).parent == tmp_path
    assert there == b"one" and path.read_bytes() == b"two"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(
    ("where", "name"), [(os, "fsync"), (Path, "replace"), (Path, "write_bytes")]
)
def test_full_disk_leaves_what_was_there_and_no_more(
    tmp_path, monkeypatch, where, name, code
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(where, name, failing(code))
        with pytest.raises(OSError) as caught:
            storage.write_whole(path, b"two")
    assert caught.value.errno == code
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


def test_folder_to_read_only_is_said_and_left_alone(tmp_path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"one")
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(PermissionError):
            storage.write_whole(folder / "file", b"two")
    finally:
        folder.chmod(0o755)
    assert (folder / "file").read_bytes() == b"one"
    assert names(folder) == ["file"]


KILLED_BEFORE_THE_RENAME = """
import os, signal, sys
from pathlib import Path
from itda import storage
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
storage.write_whole(Path(sys.argv[1]), b"two")
"""


def test_process_killed_between_write_and_rename(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    ended = subprocess.run([sys.executable, "-c", KILLED_BEFORE_THE_RENAME, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"one"
    [left] = storage.leftovers(tmp_path, {"file"})
    assert left.read_bytes() == b"two"
    assert storage.leftovers(tmp_path, {"other"}) == []
    storage.write_whole(path, b"three")
    assert path.read_bytes() == b"three"


def test_file_has_the_rights_that_the_user_gives_new_files(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        storage.write_whole(tmp_path / "whole", b"")
        storage.write_pieces(tmp_path / "pieces", [])
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_file_that_others_link_to_keeps_its_content_for_them(tmp_path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"one")
    link.hardlink_to(path)
    storage.write_whole(path, b"two")
    assert (path.read_bytes(), link.read_bytes()) == (b"two", b"one")


@pytest.mark.parametrize("synced", [True, False])
def test_pieces_are_written_and_digested(tmp_path, monkeypatch, synced) -> None:
    syncs = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    content = bytes(range(256)) * 5000
    path = tmp_path / "file"
    path.write_bytes(content)
    copy = tmp_path / "copy"
    written = storage.write_pieces(
        copy, [b"first", memoryview(b"second"), *storage.pieces_of(path)], synced=synced
    )
    whole = b"firstsecond" + content
    assert written == (hashlib.sha256(whole).hexdigest(), len(whole))
    assert copy.read_bytes() == whole
    assert storage.file_digest(copy) == written[0]
    assert len(syncs) == synced


def test_pieces_go_to_no_file_that_is_there(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with pytest.raises(FileExistsError):
        storage.write_pieces(path, [b"two"])
    assert path.read_bytes() == b"one"


def test_folder_that_cannot_be_synced_is_said(tmp_path, monkeypatch) -> None:
    storage.sync(tmp_path)

    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="Invalid argument"):
        storage.sync(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_folder_of_the_user(monkeypatch, tmp_path) -> None:
    for variable in ("OWN", "FOR_ALL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/user")
    assert storage.user_folder("OWN", "FOR_ALL", "kept") == Path("/home/user/kept/itda")
    monkeypatch.setenv("FOR_ALL", "/for/all")
    assert storage.user_folder("OWN", "FOR_ALL", "kept") == Path("/for/all/itda")
    monkeypatch.setenv("OWN", "/own")
    assert storage.user_folder("OWN", "FOR_ALL", "kept") == Path("/own")
