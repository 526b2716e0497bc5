"""Templates: one experimental entry of the PDB for each of RCSB's sequence clusters.

The list has a cluster a line, the ids of its members with blanks between (`4HHB_1`: entry and
entity). Predicted structures (`AF_...`, `MA_...`) are members too and are passed over; a cluster
of them alone has no entry.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from itda.errors import DataError, ItdaError, OutputError
from itda.hub.fetch import DownloadError, OnTransfer, Remote, Transferred, download
from itda.language import Message
from itda.published.bring import bring, on_full_disk
from itda.published.plan import Plan, address, refetchable
from itda.published.sequences import source_of
from itda.search.databases.compression import BlockReader
from itda.search.databases.structures import (
    TEMPLATE_FILTERS,
    FolderStructures,
    OpenedStructures,
    Share,
)

BINARY_CIF = "https://models.rcsb.org"
AT_A_TIME = 8

_ENTITY = re.compile(r"([0-9][A-Za-z0-9]{3}|pdb_[0-9a-z]{8})_[0-9]+", re.IGNORECASE)
# An entry may be withdrawn between the weekly list and its fetch; many lost ones are a fault.
_LOST_ENTRIES = 10
_LOST_SHARE = 0.01
_FETCHED = 0.7


@dataclass
class PublishedEntries:
    """Entries that are fetched for one build.

    Attributes:
        plan: Of the list.
        folder: Where the list and the entries come to be, and where a stopped fetch goes on.
        on_transfer: Told how far the list is; may raise to stop.
        lost: Entries that could not be had, with the reason; filled when opened.
    """

    plan: Plan
    folder: Path
    on_transfer: OnTransfer
    lost: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def open(self, share: Share) -> Iterator[OpenedStructures]:
        """Open; see `StructureSource`.

        Raises:
            DownloadError: The list or many entries cannot be fetched.
            OutputError: The disk is full.
            DataError: The list names no entry.
        """
        share(0.0)
        brought = bring(self.plan, self.folder, self.on_transfer, lambda part, step: share(part))
        entries = chosen_entries(brought.path.read_text("utf-8", "replace"))
        if not entries:
            brought.path.unlink()
            raise DataError(
                Message("{path} names no entry of the PDB", path=brought.path),
                hint=Message("fetch it again; if it comes to the same, try another {--mirror}"),
            )
        files = self.folder / "entries"
        self._fetch(entries, files, lambda part: share(_FETCHED * part))
        structures = FolderStructures(files, TEMPLATE_FILTERS)
        with structures.open(lambda part: share(_FETCHED + (1 - _FETCHED) * part)) as opened:
            source = {
                **source_of(self.plan, brought),
                "entries": len(entries) - len(self.lost),
                "lost": dict(sorted(self.lost.items())),
                "sha256": opened.source["sha256"],
            }
            yield replace(opened, source=source)

    def _fetch(self, entries: tuple[str, ...], files: Path, share: Share) -> None:
        """Fetch what is not here, several at a time."""
        wanted = {f"{entry}.bcif.gz" for entry in entries}
        here = {path.name for path in files.iterdir()} if files.is_dir() else set()
        # Of an earlier list.
        for name in here - wanted:
            (files / name).unlink()
        missing = [entry for entry in entries if f"{entry}.bcif.gz" not in here]
        allowed = max(_LOST_ENTRIES, int(_LOST_SHARE * len(entries)))
        done = len(entries) - len(missing)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            futures = set()
            try:
                for entry in missing:
                    futures.add(pool.submit(self._fetch_one, entry, files))
                    if len(futures) < 4 * AT_A_TIME:
                        continue
                    finished, futures = wait(futures, return_when="FIRST_COMPLETED")
                    done += self._take(finished, allowed)
                    share(done / len(entries))
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                self._take(finished, allowed)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _take(self, finished: set, allowed: int) -> int:  # type: ignore[type-arg]
        for future in finished:
            entry, error = future.result()
            if error is not None:
                self.lost[entry] = str(error.problem)
                if len(self.lost) > allowed:
                    raise refetchable(self.plan.entry, error)
        return len(finished)

    def _fetch_one(self, entry: str, files: Path) -> tuple[str, DownloadError | None]:
        name = f"{entry}.bcif.gz"
        url = address(self.plan.entry, name, self.plan.mirror, BINARY_CIF)
        try:
            partial = download(Remote(name, url), self.folder / "partial", _silent)
            _check_whole(partial, url)
        except DownloadError as error:
            return entry, error
        except OutputError as error:
            raise on_full_disk(error) from error
        files.mkdir(parents=True, exist_ok=True)
        partial.replace(files / name)
        partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)
        return entry, None


def chosen_entries(clusters: str) -> tuple[str, ...]:
    """Return the first experimental entry of each cluster, each entry once, in order.

    Example:
        >>> chosen_entries("4HHB_1 1ABC_2\\nAF_AFP69905F1_1 2LZM_1\\nMA_MA1_1\\n4HHB_2\\n")
        ('4hhb', '2lzm')
    """
    found: dict[str, None] = {}
    for line in clusters.splitlines():
        for member in line.split():
            match = _ENTITY.fullmatch(member)
            if match is not None:
                found[match[1].lower()] = None
                break
    return tuple(found)


def _check_whole(path: Path, url: str) -> None:
    """Read a compressed file to its end, where its checksum is."""
    try:
        for _ in BlockReader(path).blocks():
            pass
    except (ItdaError, zlib.error) as error:
        path.unlink()
        raise DownloadError(Message("{url} came damaged: {error}", url=url, error=error)) from error


def _silent(transferred: Transferred) -> None:
    pass
