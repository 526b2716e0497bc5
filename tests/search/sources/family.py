"""A family of sequences among strangers, and databases of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from itda.chem.residues import RESTYPES
from itda.search.databases.database import Database
from itda.search.databases.registry import Databases
from tests.sequences import relative

LENGTH = 110
RELATIVES = 36
STRANGERS = 60


def stranger(length: int, random: np.random.Generator) -> str:
    return "".join(random.choice(list(RESTYPES), length))


def family() -> tuple[str, list[tuple[str, str]]]:
    """A query, and records of its relatives and of strangers in mixed order.

    A third of the query's positions is kept by nearly all relatives, of the rest each keeps less
    than the one before, so that a profile tells the last ones from strangers and the query alone
    does not. Relatives are cut, have insertions, and stand between unrelated ends; every sixth
    holds a second copy.
    """
    random = np.random.default_rng(3)
    query = stranger(LENGTH, random)
    is_kept = random.random(LENGTH) < 1 / 3
    records = []

    def copied(changed: float) -> str:
        loose, strict = relative(query, changed, random), relative(query, 0.1, random)
        return "".join(np.where(is_kept, list(strict), list(loose)))

    for number in range(RELATIVES):
        copy = copied(0.1 + 0.9 * number / RELATIVES)
        start, end = random.integers(0, 12), LENGTH - random.integers(0, 12)
        middle = int(random.integers(40, 70))
        inserted = stranger(int(random.integers(0, 4)), random)
        copy = copy[start:middle] + inserted + copy[middle + number % 3 : end]
        if number % 6 == 0:
            copy += stranger(15, random) + copied(0.6)
        sequence = stranger(9, random) + copy + stranger(7, random)
        records.append((f"relative{number} of the query OX={9000 + number}", sequence))
    records += [
        (f"stranger{number} protein", stranger(int(random.integers(60, 200)), random))
        for number in range(STRANGERS)
    ]
    records.append(("itself the query's own entry OX=9606", query))
    order = random.permutation(len(records))
    return query, [records[place] for place in order]


def write_fasta(path: Path, records: Sequence[tuple[str, str]]) -> Path:
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records))
    return path


def make_database(
    folder: Path,
    name: str,
    records: Sequence[tuple[str, str]],
    *,
    shards: int = 1,
    mmseqs: bool = True,
) -> Database:
    folder.mkdir(parents=True, exist_ok=True)
    fasta = write_fasta(folder / f"{name}.fasta", records)
    return Databases(folder / "my databases").add_sequences(
        name, fasta, shards=shards, mmseqs=mmseqs
    )


def silent(fraction: float, message: str) -> None:
    """Progress that nobody sees."""


def identifiers(names: Sequence[str]) -> list[str]:
    """First words of headers, without the places that HMMER adds."""
    return [name.split()[0].split("/")[0] for name in names]
