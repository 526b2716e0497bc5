"""Digests of large files, computed once while the files stay as they are.

A stamp records the SHA-256 of a file with its size, inode and the times of its last change, in
nanoseconds. A file that looks otherwise is hashed again. The time of the last change of the inode
cannot be set by a program, so a file that was altered and given its old date is found too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from itda.hub.folders import weights_folder
from itda.storage import file_digest, write_whole


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; hashed only where no stamp of it holds.

    Raises:
        OSError: The file cannot be read.
    """
    looks = _looks(path)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stamp = json.loads(_place(path).read_text(encoding="utf-8"))
        if stamp.get("looks") == looks:
            return str(stamp["sha256"])
    digest = file_digest(path)
    if _looks(path) == looks:
        _write(path, looks, digest)
    return digest


def stamp(path: Path, digest: str) -> None:
    """Record a digest that was computed while the file was written.

    Args:
        path: The file under its last name.
        digest: Its SHA-256.
    """
    _write(path, _looks(path), digest)


def forget(path: Path) -> None:
    """Remove the stamp of a file, so that it is hashed again."""
    with contextlib.suppress(OSError):
        _place(path).unlink()


def _write(path: Path, looks: list[int], digest: str) -> None:
    """Write a stamp; a folder that cannot be written only means hashing again next time."""
    place = _place(path)
    content = json.dumps({"path": str(path.resolve()), "looks": looks, "sha256": digest})
    with contextlib.suppress(OSError):
        write_whole(place, content.encode())


def _looks(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _place(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return weights_folder() / "stamps" / f"{name}.json"
