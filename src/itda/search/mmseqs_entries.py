"""MMseqs2's own files: one entry a key, as its modules leave and take them.

An entry ends with a null byte, which its length in the index counts. What a module of several
threads wrote lies in several files, one after the other as the index counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from itda.errors import DataError
from itda.language import Message

_NULL = b"\0"


class Entries:
    """The entries of a database, each read when it is asked for.

    Args:
        path: Its name.

    Attributes:
        kind: What `.dbtype` holds.

    Raises:
        DataError: There is no such database, or its index is broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.kind = Path(f"{path}.dbtype").read_bytes()
            index = Path(f"{path}.index").read_text(encoding="ascii")
            lines = [line.split("\t") for line in index.splitlines()]
            self._places = {int(key): (int(start), int(length)) for key, start, length in lines}
            self._parts = [(part, part.stat().st_size) for part in _parts(path)]
        except (OSError, ValueError) as error:
            raise DataError(
                Message("mmseqs left no database {path}: {error}", path=path.name, error=error)
            ) from error

    def __len__(self) -> int:
        return len(self._places)

    def read(self, key: int) -> bytes:
        """Return an entry with its null byte; nothing where there is none of this key.

        Raises:
            DataError: The index names more than there is.
        """
        start, length = self._places.get(key, (0, 0))
        found = b""
        for part, size in self._parts:
            if start < size and len(found) < length:
                with part.open("rb") as stream:
                    stream.seek(start)
                    found += stream.read(length - len(found))
            start = max(start - size, 0)
        if len(found) != length:
            raise DataError(
                Message("mmseqs left {path} cut off at entry {key}", path=self._path.name, key=key)
            )
        return found

    def text(self, key: int) -> str:
        """Return an entry as text, without its null byte; letters that are no UTF-8 are marked."""
        return self.read(key).removesuffix(_NULL).decode("utf-8", "replace")


def write_entries(path: Path, entries: Iterable[bytes], kind: bytes) -> None:
    """Write a database whose keys are 0, 1, 2, ….

    Args:
        path: Its name.
        entries: Each as `Entries.read` gave it.
        kind: The content of `.dbtype`.
    """
    start = 0
    with path.open("wb") as stream, Path(f"{path}.index").open("w", encoding="ascii") as index:
        for key, entry in enumerate(entries):
            stream.write(entry)
            index.write(f"{key}\t{start}\t{len(entry)}\n")
            start += len(entry)
    Path(f"{path}.dbtype").write_bytes(kind)


def _parts(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    parts: list[Path] = []
    while (part := Path(f"{path}.{len(parts)}")).is_file():
        parts.append(part)
    if not parts:
        raise OSError("its data are missing")
    return parts
