"""Packages of Debian and its kin: fetched with apt, read on any system.

A package is an `ar` archive (deb(5)): `debian-binary`, `control.tar.*`, `data.tar.*`. The last
holds the files, compressed with xz, zstd (Ubuntu), gzip or not at all.
"""

from __future__ import annotations

import gzip
import importlib
import io
import lzma
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from itda.errors import DataError, DependencyError
from itda.language import Message

_MAGIC = b"!<arch>\n"
_MEMBER_HEADER_BYTES = 60
_COPY_BYTES = 1 << 20


def is_package(path: Path) -> bool:
    """Tell whether a file is a package, by its content; one that cannot be read is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC) + 13) == _MAGIC + b"debian-binary"
    except OSError:
        return False


def fetch_package(name: str, folder: Path, *, hint: str) -> Path:
    """Fetch a package with `apt-get download`; nothing is installed.

    Args:
        name: Of the package.
        folder: Where the file comes to be.
        hint: How else it can be had, for the message.

    Raises:
        DependencyError: There is no apt.
        DataError: It fails, such as without network.
    """
    if shutil.which("apt-get") is None:
        raise DependencyError(Message("{command} is not installed", command="apt-get"), hint=hint)
    done = subprocess.run(
        ["apt-get", "download", name], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()[-30:])
        raise DataError(
            Message("{command} failed: {said}", command="apt-get download", said=said), hint=hint
        )
    packages = sorted(folder.glob(f"{name}_*.deb"))
    if not packages:
        raise DataError(Message("apt-get download {package} left no file", package=name), hint=hint)
    return packages[0]


def unpack(package: Path, folder: Path, wanted: Collection[str], *, hint: str) -> list[Path]:
    """Unpack some files of a package.

    Args:
        package: The file.
        folder: Where they come to be, below the way that they have in the package.
        wanted: Their paths in the package, such as `usr/share/x/y.dat`.
        hint: Where a whole package is to be had, for the messages.

    Returns:
        Their places, in the order of `wanted`.

    Raises:
        DataError: It is no package, is cut or damaged, or lacks one of the files.
        DependencyError: It is compressed with zstd, and nothing is installed that reads it.
        OSError: The folder cannot be written.
    """
    missing = set(wanted)
    with (
        _reading(package, hint),
        package.open("rb") as stream,
        _data(package, stream, hint) as data,
        tarfile.open(fileobj=data, mode="r|") as archive,
    ):
        for member in archive:
            path = member.name.removeprefix("./")
            content = archive.extractfile(member) if path in missing else None
            if content is None:
                continue
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as target:
                shutil.copyfileobj(content, target, _COPY_BYTES)
            missing.remove(path)
            if not missing:
                break
    if missing:
        raise DataError(
            Message("{package} holds no {member}", package=package, member=min(missing)), hint=hint
        )
    return [folder / path for path in wanted]


@contextmanager
def _reading(package: Path, hint: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise DataError(
            Message("{package} is cut or damaged: {error}", package=package, error=error),
            hint=hint,
        ) from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise DataError(
            Message("{package} is cut or damaged: {error}", package=package, error=error),
            hint=hint,
        ) from error


def _data(package: Path, stream: IO[bytes], hint: str) -> IO[bytes]:
    """Give the tar archive of the files."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DataError(Message("{package} is no Debian package", package=package), hint=hint)
    while len(header := stream.read(_MEMBER_HEADER_BYTES)) == _MEMBER_HEADER_BYTES:
        name, size = header[:16].decode("ascii", "replace").rstrip(" /"), header[48:58].strip()
        if not size.isdigit():
            break
        if name.startswith("data.tar"):
            return _plain(name, _Part(stream, int(size)), package, hint)
        # Members begin at even bytes.
        stream.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise DataError(
        Message("{package} is cut or damaged: {error}", package=package, error="no data.tar"),
        hint=hint,
    )


class _Part(io.RawIOBase):
    """The next bytes of a file, as a file of its own."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(min(len(buffer), self._left))
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def _plain(name: str, part: _Part, package: Path, hint: str) -> IO[bytes]:
    suffix = name.removeprefix("data.tar").lstrip(".")
    packed = io.BufferedReader(part, _COPY_BYTES)
    if suffix == "xz":
        return cast("IO[bytes]", lzma.LZMAFile(packed))
    if suffix == "gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=packed))
    if suffix == "zst":
        return _zstd(cast("IO[bytes]", packed), package)
    if suffix:
        raise DataError(
            Message("{package} is compressed with {suffix}", package=package, suffix=suffix),
            hint=hint,
        )
    return packed


def _zstd(packed: IO[bytes], package: Path) -> IO[bytes]:
    try:
        own = importlib.import_module("compression.zstd")
    except ImportError:
        try:
            other = importlib.import_module("zstandard")
        except ImportError:
            raise DependencyError(
                Message(
                    "{package} is compressed with zstd, and the package zstandard is not installed",
                    package=package,
                ),
                hint=Message("pip install zstandard"),
            ) from None
        return cast("IO[bytes]", other.ZstdDecompressor().stream_reader(packed))
    return cast("IO[bytes]", own.ZstdFile(packed))
