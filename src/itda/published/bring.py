"""A published file brought and verified, or removed if it is not what was published."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from itda.errors import OutputError
from itda.hub.fetch import DownloadError, OnTransfer, download
from itda.language import Message
from itda.progress import Progress
from itda.published.plan import Plan, refetchable
from itda.search.databases.writing import writing
from itda.storage import pieces_of, sync


@dataclass(frozen=True)
class Brought:
    """A file that is here.

    Attributes:
        path: Where.
        size: Bytes.
        sha256: Of its content.
    """

    path: Path
    size: int
    sha256: str


def bring(plan: Plan, folder: Path, on_transfer: OnTransfer, progress: Progress) -> Brought:
    """Fetch a plan's file, or the rest of it, and compare it with what its publisher says.

    Args:
        plan: Of a file.
        folder: Where it comes to be; a stopped fetch goes on there.
        on_transfer: Told the bytes so far; may raise to stop.
        progress: Told when the digest is computed, which takes a while.

    Raises:
        DownloadError: The server refuses or cannot be reached, or the file is not as published.
        OutputError: The disk is full or cannot be written.
    """
    remote = plan.remote
    assert remote is not None, f"{plan.entry.name} is no file on a server"
    path = folder / remote.name
    if path.is_file():
        found = _examine(plan, path, progress)
        if not _difference(plan, *found):
            return Brought(path, found[0], found[2])
        # Of another release, or altered since.
        path.unlink()
    try:
        partial = download(remote, folder, on_transfer)
    except DownloadError as error:
        raise refetchable(plan.entry, error) from error
    except OutputError as error:
        raise on_full_disk(error) from error
    size, md5, sha256 = _examine(plan, partial, progress)
    mark = partial.with_name(f"{partial.name}.json")
    if difference := _difference(plan, size, md5, sha256):
        for leaving in (partial, mark):
            leaving.unlink(missing_ok=True)
        raise DownloadError(
            Message(
                "{file} of {shown} {difference}; it was removed",
                file=remote.name,
                shown=remote.shown,
                difference=difference,
            ),
            hint=Message(
                "give the same command again; if it comes to the same, try another {--mirror}"
            ),
        )
    with writing(folder):
        sync(partial)
        partial.replace(path)
        mark.unlink(missing_ok=True)
    return Brought(path, size, sha256)


def on_full_disk(error: OutputError) -> OutputError:
    """Give a fetch that could not be written the hint that is right for a database."""
    return OutputError(
        error.problem,
        hint=Message(
            "free some space, or set $ITDA_DATABASES to a folder on a larger disk; the same "
            "command goes on"
        ),
    )


def _examine(plan: Plan, path: Path, progress: Progress) -> tuple[int, str, str]:
    """Return size, MD5 and SHA-256."""
    size = path.stat().st_size
    progress(0.0, f"computing the digest of {plan.entry.file}")
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for piece in pieces_of(path):
        sha256.update(piece)
        if plan.md5:
            md5.update(piece)
    return size, md5.hexdigest() if plan.md5 else "", sha256.hexdigest()


def _difference(plan: Plan, size: int, md5: str, sha256: str) -> str:
    if plan.is_exact and size != plan.size:
        return Message("has {size:,} bytes, not {expected:,}", size=size, expected=plan.size)
    if md5 != plan.md5:
        return Message("has MD5 {md5}, not {expected}", md5=md5, expected=plan.md5)
    return ""
