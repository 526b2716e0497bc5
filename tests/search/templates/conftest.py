"""A small database of structures whose chains are relatives of one another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.search.databases.database import Database
from itda.search.databases.registry import Databases
from itda.search.databases.structures import OpenedStructures, Share
from itda.structure.chains.chain import Chain
from tests.sequences import has_mmseqs, relative

LENGTH = 120


@dataclass(frozen=True)
class GivenChains:
    """Chains in memory as the source of a database."""

    chains: Sequence[Chain]

    @contextmanager
    def open(self, share: Share) -> Iterator[OpenedStructures]:
        share(0.0)
        yield OpenedStructures(iter(self.chains), source={"name": "made"}, parameters={})


def backbone(name: str, sequence: str, *, seed: int, release_date: str = "") -> Chain:
    """A chain of N, CA, C and O along a random walk."""
    random = np.random.default_rng(seed)
    coordinates = np.zeros((len(sequence), 37, 3), np.float32)
    mask = np.zeros((len(sequence), 37), bool)
    walk = np.cumsum(random.normal(0, 2, (len(sequence), 3)), axis=0)
    for column in (0, 1, 2, 4):
        coordinates[:, column] = (walk + random.normal(0, 0.8, walk.shape)).round(3)
        mask[:, column] = True
    return Chain(
        id=name,
        sequence=sequence,
        coordinates=coordinates,
        atom_mask=mask,
        residue_index=np.arange(len(sequence), dtype=np.int32),
        release_date=release_date,
    )


@pytest.fixture(scope="session")
def query() -> str:
    return "".join(np.random.default_rng(11).choice(list(RESTYPES), LENGTH))


@pytest.fixture(scope="session")
def family(query: str) -> list[Chain]:
    """The query's own structure, a copy, relatives ever more distant, and strangers."""
    random = np.random.default_rng(12)
    strangers = ["".join(random.choice(list(RESTYPES), 150)) for _ in range(6)]
    shorter = relative(query, 0.4, random)
    sequences = {
        "1aaa_A": (query, "2001-01-01"),
        "1aaa_B": (query, "2001-01-01"),
        "2bbb_A": (relative(query, 0.3, random), "2010-06-15"),
        # Ten residues that the query lacks, and twenty of the query left out.
        "3ccc_A": ("MKWVTFISLL" + shorter[:50] + shorter[70:], "2020-02-02"),
        "4ddd_A": (relative(query, 0.55, random), ""),
        **{f"9xx{number}_A": (text, "1999-09-09") for number, text in enumerate(strangers)},
    }
    return [
        backbone(name, sequence, seed=seed, release_date=date)
        for seed, (name, (sequence, date)) in enumerate(sequences.items())
    ]


@pytest.fixture(scope="session")
def database(family: list[Chain], tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("databases")
    return build(folder, "made", family, shards=None)


@pytest.fixture(scope="session")
def sharded(family: list[Chain], tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("databases")
    return build(folder, "sharded", family, shards=3)


def build(folder: Path, name: str, chains: Sequence[Chain], shards: int | None) -> Database:
    return Databases(folder).add_structures(
        name, GivenChains(chains), shards=shards, mmseqs=has_mmseqs()
    )
