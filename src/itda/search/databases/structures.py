"""Where the structures of a template database come from: a folder of files, or promod3-data."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from itda.errors import InputError
from itda.language import Message
from itda.storage import file_digest
from itda.structure.chains.chain import Chain
from itda.structure.chains.promod3 import MINIMUM_LENGTH, StructureDatabase, read_structure_database
from itda.structure.chains.promod3_package import structure_database
from itda.structure.chains.rejection import Rejection
from itda.structure.chains.structures import (
    StructureFilters,
    filters_as_parameters,
    read_structures,
    structure_files,
)

TEMPLATE_FILTERS = StructureFilters(max_resolution_angstrom=9.0, min_completeness=0.5)
"""Looser than for training: a template's gaps are masked, and a distant one may be all there is."""

Share = Callable[[float], None]
"""Told which part of the source has been read."""


@dataclass(frozen=True)
class OpenedStructures:
    """Chains that can be read once.

    Attributes:
        items: Each chain, or why one was left out.
        source: Name, licence and digest, as the manifest keeps them.
        parameters: The rules by which chains were kept.
    """

    items: Iterator[Chain | Rejection]
    source: dict[str, Any]
    parameters: dict[str, Any]


class StructureSource(Protocol):
    """Opens the structures for one build."""

    def open(self, share: Share) -> AbstractContextManager[OpenedStructures]:
        """Open.

        Args:
            share: Told how far the reading is; may raise to stop.

        Raises:
            DataError: The source is missing or not what it should be.
            InputError: A rule cannot be honoured.
        """
        ...


@dataclass(frozen=True)
class FolderStructures:
    """All protein chains of the mmCIF, BinaryCIF and PDB files below a folder.

    Attributes:
        folder: Where they are.
        filters: Which chains are kept.
    """

    folder: Path
    filters: StructureFilters = TEMPLATE_FILTERS

    @contextmanager
    def open(self, share: Share) -> Iterator[OpenedStructures]:
        """Open; see `StructureSource`."""
        files = structure_files(self.folder)
        digest = hashlib.sha256()
        size = 0
        for number, path in enumerate(files):
            share(0.1 * number / len(files))
            # The names take part: they are the chains' ids.
            digest.update(f"{self._relative(path)}\t{file_digest(path)}\n".encode())
            size += path.stat().st_size
        yield OpenedStructures(
            items=self._items(files, share),
            source={
                "name": str(self.folder.absolute()),
                "files": len(files),
                "bytes": size,
                "sha256": digest.hexdigest(),
            },
            parameters=filters_as_parameters(self.filters),
        )

    def _items(self, files: list[Path], share: Share) -> Iterator[Chain | Rejection]:
        for number, path in enumerate(files):
            share(0.1 + 0.9 * number / len(files))
            relative = self._relative(path)
            for item in read_structures([path], self.filters):
                # Without the way to the folder, a copy of it gives the same database.
                yield replace(item, source=relative)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class Promod3Structures:
    """The X-ray backbones of Debian's promod3-data, without release dates.

    Attributes:
        deb: The package file; fetched with `apt-get download` where neither is given.
        file: Its structure_db.dat, unpacked.
        min_length: Fewest residues.
        any_count: Whether another release than 3.2.1 passes, whose counts are known.
        max_date: Must be empty, since the database tells no dates.
    """

    deb: Path | None = None
    file: Path | None = None
    min_length: int = MINIMUM_LENGTH
    any_count: bool = False
    max_date: str = ""

    @contextmanager
    def open(self, share: Share) -> Iterator[OpenedStructures]:
        """Open; see `StructureSource`."""
        if self.max_date:
            raise InputError(
                Message(
                    "{--max-date:{max_date}} cannot be kept: promod3-data tells no release dates",
                    max_date=self.max_date,
                ),
                hint=Message(
                    "leave {--max-date} out (its entries go up to spring 2018), or add a "
                    "folder of mmCIF files, which carry their dates"
                ),
            )
        share(0.0)
        with structure_database(deb=self.deb, file=self.file) as path:
            database = read_structure_database(path)
            if not self.any_count:
                database.check_counts()
            database.check_peptide_bonds()
            yield OpenedStructures(
                items=self._items(database, share),
                source={
                    "name": "promod3-data",
                    "licence": "Apache-2.0",
                    "files": 1,
                    "bytes": path.stat().st_size,
                    "sha256": file_digest(path),
                },
                parameters={"min_length": self.min_length},
            )

    def _items(self, database: StructureDatabase, share: Share) -> Iterator[Chain | Rejection]:
        total = len(database.entries)
        kept = database.chains(minimum_length=self.min_length)
        for number, entry in enumerate(database.entries):
            if number % 100 == 0:
                share(number / total)
            if entry.size >= self.min_length:
                yield next(kept)
            else:
                yield Rejection(
                    entry.id,
                    f"promod3-data {entry.entry} {entry.chain}",
                    f"{entry.size} residues, fewer than {self.min_length}",
                    kind="length",
                )


def released_by(filters: StructureFilters, max_date: str) -> StructureFilters:
    """Let only entries pass that were released on a day or before it.

    Args:
        filters: The other rules.
        max_date: ISO date; entries without a date are left out as well. Empty for no rule.

    Raises:
        InputError: It is no date.
    """
    if not max_date:
        return filters
    try:
        day_after = datetime.date.fromisoformat(max_date) + datetime.timedelta(days=1)
    except (ValueError, OverflowError):
        raise InputError(
            Message("{--max-date} {max_date!r} is no date", max_date=max_date),
            hint=Message("write it as 2021-09-30"),
        ) from None
    return replace(filters, released_before=day_after.isoformat())
