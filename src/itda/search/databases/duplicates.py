"""Names that stand more than once in a database."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itda.search.databases.database import FASTA

_EXAMPLES = 3


@dataclass(frozen=True)
class Repeated:
    """What was found.

    Attributes:
        count: Records whose name an earlier record has.
        examples: Some of the names.
    """

    count: int
    examples: tuple[str, ...]


class RepeatedNames:
    """Remembers a hash of 8 bytes of each name.

    Among 200 million names two agree by chance with a probability of 1 in 1000.
    """

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, name: bytes) -> None:
        """Remember a name."""
        self._hashes.append(_hash(name))

    def find(self, shards: Iterable[Path]) -> Repeated:
        """Count the repeated names; the memory is used up.

        Args:
            shards: Folders of the shards, where the examples' names are looked up.
        """
        hashes = np.frombuffer(self._hashes, np.uint64)
        hashes.sort()
        again = hashes[1:][hashes[1:] == hashes[:-1]]
        if len(again) == 0:
            return Repeated(0, ())
        wanted = set(np.unique(again)[:_EXAMPLES].tolist())
        return Repeated(len(again), tuple(sorted(_names(wanted, shards))))


def _names(wanted: set[int], shards: Iterable[Path]) -> set[str]:
    names: dict[int, str] = {}
    for shard in shards:
        with (shard / FASTA).open("rb") as stream:
            for line in stream:
                if line.startswith(b">"):
                    name = line[1:].split(None, 1)[0]
                    key = _hash(name)
                    if key in wanted:
                        names[key] = name.decode()
                        if len(names) == len(wanted):
                            return set(names.values())
    return set(names.values())


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
