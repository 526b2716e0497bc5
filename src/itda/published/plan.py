"""What fetching a database will take, asked of its publisher before anything is fetched."""

from __future__ import annotations

import os
import re
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from itda.errors import InputError, OutputError
from itda.hub.fetch import DownloadError, Remote, ask_size, download, partial_path
from itda.hub.folders import shown_bytes
from itda.hub.remote import MIRROR_VARIABLE, is_offline
from itda.language import Message
from itda.published.entries import Entry
from itda.search.databases.writing import free_bytes
from itda.search.mmseqs import find_mmseqs

METALINK = "RELEASE.metalink"

BYTES_PER_SECOND = 10e6
"""Of a connection of 100 Mbit/s with a publisher that is not busy; for the time that is told."""


@dataclass(frozen=True)
class Plan:
    """What a fetch will take.

    Attributes:
        entry: Which.
        remote: Its file, or the list of its files; None for a package.
        md5: That the publisher gives; empty for none.
        release: That the publisher names; empty for none.
        unverified: Why there is no digest; empty where there is one.
        size: Bytes to fetch.
        is_exact: Whether the publisher told the size.
        here: Bytes of a stopped fetch.
        mirror: In place of the publisher's server; empty for none.
    """

    entry: Entry
    remote: Remote | None
    md5: str
    release: str
    unverified: str
    size: int
    is_exact: bool
    here: int
    mirror: str

    @property
    def disk_bytes(self) -> int:
        """Room that the finished database takes, about."""
        return self._grown(self.entry.disk_bytes)

    @property
    def needed_bytes(self) -> int:
        """Room that is to be free: what is to come, the result, and what is made meanwhile."""
        built = self.disk_bytes + self._grown(self.entry.meanwhile_bytes)
        return max(0, self.size - self.here) + built

    @property
    def seconds(self) -> float:
        """Time to fetch at `BYTES_PER_SECOND`."""
        return max(0, self.size - self.here) / BYTES_PER_SECOND

    def _grown(self, about: int) -> int:
        # Of another release all parts are larger or smaller.
        return int(about * self.size / self.entry.download_bytes)

    def require_room(self, folder: Path) -> None:
        """Check that it fits.

        Raises:
            OutputError: There is too little room on the disk of a folder.
        """
        free = free_bytes(folder)
        if self.needed_bytes > free:
            raise OutputError(
                Message(
                    "{name} needs {needed} in {folder}, and {free} are free",
                    name=self.entry.name,
                    needed=shown_bytes(self.needed_bytes),
                    folder=folder,
                    free=shown_bytes(free),
                ),
                hint=Message("free some space, or set $ITDA_DATABASES to a larger disk"),
            )


def plan_fetch(entry: Entry, folder: Path, mirror: str = "") -> Plan:
    """Ask for size, digest and release.

    Args:
        entry: Which.
        folder: Of unfinished fetches of it; need not exist.
        mirror: A server with `MIRROR/NAME/FILE`; `$ITDA_MIRROR` where it is empty.

    Raises:
        DownloadError: The network is not to be used, or the publisher cannot be reached.
        DependencyError: Building it needs MMseqs2, which is not installed.
        InputError: The mirror is no http address.
    """
    mirror = _checked_mirror(mirror)
    about = entry.download_bytes
    if entry.kind == "package":
        return Plan(
            entry,
            None,
            "",
            "",
            "apt compares it with the signed lists of the distribution",
            about,
            False,
            0,
            mirror,
        )
    if entry.kind == "colabfold":
        find_mmseqs()
    url = address(entry, entry.file, mirror)
    if is_offline():
        raise DownloadError(
            Message("{name} is not here, and the network is not to be used", name=entry.name),
            hint=Message(
                "unset ITDA_OFFLINE and HF_HUB_OFFLINE, or fetch {url} elsewhere", url=url
            ),
        )
    remote = Remote(entry.file, url)
    try:
        size = ask_size(remote)
    except DownloadError as error:
        raise refetchable(entry, error) from error
    if entry.kind == "entries":
        why = "RCSB publishes no digests; each file's own checksum (gzip) is compared"
        return Plan(entry, remote, "", "", why, about, False, 0, mirror)
    here = _bytes_here(folder, entry.file)
    md5 = release = ""
    why = "its publisher gives no digest; the file's own checksum (gzip) is compared"
    if entry.has_metalink:
        try:
            size, md5, release = _ask_metalink(entry, address(entry, METALINK, mirror))
            why = ""
        except DownloadError as error:
            why = f"its digest cannot be had: {error.problem}"
    return Plan(
        entry=entry,
        remote=Remote(entry.file, url, size=size),
        md5=md5,
        release=release,
        unverified=why,
        size=about if size is None else size,
        is_exact=size is not None,
        here=here,
        mirror=mirror,
    )


def address(entry: Entry, file: str, mirror: str, folder: str = "") -> str:
    """Return where a file is: at the publisher's, or at `MIRROR/NAME/FILE`.

    Args:
        entry: Of which.
        file: Its name.
        mirror: Address of a mirror, or empty.
        folder: Of the publisher, where it is not the entry's.
    """
    return f"{mirror}/{entry.name}/{file}" if mirror else f"{folder or entry.folder}/{file}"


def refetchable(entry: Entry, error: DownloadError) -> DownloadError:
    """Give a failed fetch the hint that is right for a database."""
    return DownloadError(
        error.problem,
        hint=Message(
            "check the network and proxy, and give the same command again: it goes on where it "
            "was; or {--mirror:URL}, a server with URL/{name}/{file}",
            name=entry.name,
            file=entry.file,
        ),
    )


def parse_metalink(content: bytes, file: str) -> tuple[int, str, str]:
    """Read size, MD5 and release of a file from a metalink (version 3, metalinker.org).

    Raises:
        ValueError: It is no metalink, or does not tell them.
    """
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"{METALINK} is no XML: {error}") from error
    release = ""
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "version" and not release:
            release = (element.text or "").strip()
        if tag != "file" or element.get("name") != file:
            continue
        size = md5 = ""
        for part in element.iter():
            text = (part.text or "").strip()
            if part.tag.endswith("size"):
                size = text
            if part.tag.endswith("hash") and part.get("type", "").lower() == "md5":
                md5 = text.lower()
        if not size.isdigit() or not re.fullmatch(r"[0-9a-f]{32}", md5):
            raise ValueError(f"{METALINK} tells no size and MD5 of {file}")
        return int(size), md5, release
    raise ValueError(f"{METALINK} does not speak of {file}")


def _ask_metalink(entry: Entry, url: str) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory(prefix="itda-metalink-") as name:
        path = download(Remote(METALINK, url), Path(name), lambda transferred: None)
        try:
            return parse_metalink(path.read_bytes(), entry.file)
        except ValueError as error:
            raise DownloadError(Message("{url}: {error}", url=url, error=error)) from error


def _bytes_here(folder: Path, file: str) -> int:
    for path in (folder / file, partial_path(folder, file)):
        if path.is_file():
            return path.stat().st_size
    return 0


def _checked_mirror(given: str) -> str:
    chosen = (given or os.environ.get(MIRROR_VARIABLE, "")).strip().rstrip("/")
    if chosen and not chosen.startswith(("http://", "https://")):
        raise InputError(
            Message("the mirror {chosen!r} is no http address", chosen=chosen),
            hint=Message("give the whole address, such as https://mirror.example.org"),
        )
    return chosen
