from pathlib import Path

import pytest

from itda.debian import fetch_package, is_package, unpack
from itda.errors import DataError, DependencyError
from tests.packages import write_package

FILES = {"./usr/a.dat": b"a" * 70_000, "./usr/deep/b.dat": b"b", "./usr/other": b"unwanted"}
HINT = "get another"


@pytest.mark.parametrize("compression", ["xz", "gz", "zst", ""])
def test_wanted_files_are_unpacked(tmp_path: Path, compression: str) -> None:
    if compression == "zst":
        pytest.importorskip("zstandard")
    package = write_package(tmp_path / "x.deb", FILES, compression)
    assert is_package(package)
    wanted = ["usr/deep/b.dat", "usr/a.dat"]
    found = unpack(package, tmp_path / "out", wanted, hint=HINT)
    assert [path.read_bytes() for path in found] == [b"b", b"a" * 70_000]
    assert not (tmp_path / "out/usr/other").exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    package = write_package(tmp_path / "x.deb", FILES)
    with pytest.raises(DataError, match=r"x\.deb holds no usr/c\.dat") as caught:
        unpack(package, tmp_path, ["usr/a.dat", "usr/c.dat"], hint=HINT)
    assert caught.value.hint == HINT


@pytest.mark.parametrize("compression", ["xz", "gz", "zst", ""])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_package_cut_anywhere_is_refused(tmp_path: Path, compression: str, share: float) -> None:
    if compression == "zst":
        pytest.importorskip("zstandard")
    noise = bytes((i * i * 31 + i // 7) % 251 for i in range(90_000))
    package = write_package(tmp_path / "x.deb", {"./usr/a.dat": noise}, compression)
    content = package.read_bytes()
    package.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"x\.deb"):
        unpack(package, tmp_path, ["usr/a.dat"], hint=HINT)


def test_other_files_are_no_packages(tmp_path: Path) -> None:
    other = tmp_path / "x.deb"
    other.write_bytes(b">one\nMKV\n")
    assert not is_package(other)
    assert not is_package(tmp_path)
    assert not is_package(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is no Debian package"):
        unpack(other, tmp_path, ["a"], hint=HINT)


def test_without_apt_the_hint_says_how_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="apt-get is not installed") as caught:
        fetch_package("some-data", tmp_path, hint=HINT)
    assert caught.value.hint == HINT


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'E: no such package' >&2; exit 100", "apt-get download failed: E: no such package"),
        ("exit 0", "left no file"),
    ],
)
def test_apt_that_brings_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\n{script}\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(DataError, match=said):
        fetch_package("some-data", tmp_path, hint=HINT)


def test_what_apt_brings_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho here > "$2_1.0_all.deb"\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert fetch_package("some-data", tmp_path, hint=HINT).name == "some-data_1.0_all.deb"
