"""The library as a database of structures, by its name."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from itda.errors import DataError
from itda.language import Message
from itda.search.databases.database import Database
from itda.structure.chains.dataset import ChainDataset
from itda.structure.pack.chains import PackedChains

NAME = "known-folds"
FILE = Path(__file__).parents[2] / "data" / "known_folds.bin"
FILE_VARIABLE = "ITDA_KNOWN_FOLDS"
"""Names another file, or `none`: then no templates are searched unless a database is named."""


@dataclass(frozen=True)
class KnownFolds(Database):
    """The known folds that come with Itda; its chains are read straight from the package."""

    def chains(self) -> PackedChains:
        """Give the chains."""
        return _packed(self.folder)

    def dataset(self) -> ChainDataset:
        """Refuse: the chains are packed in a file and are no folder of arrays.

        Raises:
            DataError: Always.
        """
        raise DataError(
            Message("{name} comes packed, and is no dataset to train on", name=self.name),
            hint=Message(
                "make the same chains a database of yours: `itda db add-structures NAME promod3`"
            ),
        )

    def reopened(self) -> KnownFolds:
        """Open it again, as it is now."""
        return known_folds(self.folder)

    @property
    def has_mmseqs(self) -> bool:
        """False: its profiles are searched, and by HMMER."""
        return False

    @property
    def added(self) -> str:
        """It comes with Itda."""
        return "with Itda"

    @property
    def sequences(self) -> int:
        """Number of chains."""
        return int(self.manifest["chains"])

    @property
    def residues(self) -> int:
        """Residues of all chains."""
        return int(self.manifest["residues"])

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self.folder.stat().st_size

    @property
    def knows_until(self) -> date:
        """A day before which every chain was released."""
        return date.fromisoformat(self.manifest["knows_until"])


def has_known_folds() -> bool:
    """Whether there is a library to be searched by default."""
    return os.environ.get(FILE_VARIABLE) != "none"


def known_folds(path: Path | None = None) -> KnownFolds:
    """Open the library.

    Args:
        path: A file that `write_library` wrote; by default `$ITDA_KNOWN_FOLDS`, else the one that
            comes with Itda.

    Raises:
        DataError: The file is missing or damaged, or the variable says `none`.
    """
    if path is None:
        if not has_known_folds():
            raise DataError(
                Message(
                    "there is no library of known folds: ${variable} says none",
                    variable=FILE_VARIABLE,
                ),
                hint=Message("unset it, or name a database of `itda db list`"),
            )
        chosen = os.environ.get(FILE_VARIABLE)
        path = Path(chosen) if chosen else FILE
    packed = _packed(path)
    return KnownFolds(NAME, "structures", path, packed.facts, packed.digest, ())


@functools.lru_cache(maxsize=2)
def _packed(path: Path) -> PackedChains:
    packed = PackedChains(path)
    # What is packed has no check of its own: an altered byte would be another structure.
    packed.verify()
    return packed
