"""A zip archive that is sent while it is made, so that none need be kept."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 2**18
_PACKED = frozenset({".npz", ".gz", ".zip"})
_WHEN = (1980, 1, 1, 0, 0, 0)


def zipped(files: Iterator[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield the bytes of an archive.

    Args:
        files: Name in the archive, and where each file is.
    """
    buffer = _Buffer()
    with zipfile.ZipFile(buffer, "w", allowZip64=True) as archive:  # type: ignore[call-overload]
        for name, path in files:
            entry = zipfile.ZipInfo(name, date_time=_WHEN)
            entry.external_attr = 0o644 << 16
            packed = Path(name).suffix.lower() in _PACKED
            entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
                    yield buffer.take()
            yield buffer.take()
    yield buffer.take()


class _Buffer:
    """A file that only grows, and gives away what was written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content
