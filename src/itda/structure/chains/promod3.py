"""ProMod3's structure database: X-ray backbones with sequence profiles.

Debian's `promod3-data` (Apache-2.0) carries `structure_db.dat`: the longest resolved stretch of
21,119 X-ray chains (2.8 angstrom or better, PDB entries up to about spring 2018), with DSSP and a
profile of 20 columns. The layout, little-endian, was found by reading the file:

1. a header that ends in `int32` -1 (all kinds of data are stored) and `uint64` n;
2. n table rows: `uint32` length and entry id, `uint32` length and chain name, `uint32` offset,
   `uint16` size, `uint16` start in SEQRES, three `float32` shifts in angstrom;
3. arrays over all residues, each after a `uint64` count: sequence u8; N, CA, C, O as 12 x u16
   (0.01 angstrom, after adding the shift); dihedrals 2 x i16; solvent accessibility u16; residue
   depth u16; DSSP u8; profile 20 x i16 (0.0001); structure profile 20 x i16.

Reference: Studer et al. 2021, PLoS Comput. Biol. 17, e1008667.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int16, UInt8, UInt16

from itda.chem.residues import RESTYPES
from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.chain import (
    ATOM_COUNT,
    BACKBONE_INDICES,
    DSSP_LETTERS,
    PEPTIDE_BOND_LIMIT_ANGSTROM,
    PROFILE_COLUMNS,
    Chain,
)

STORED_CHAINS = 21_119
MINIMUM_LENGTH = 20
KEPT_CHAINS = 20_895
METHOD = "X-RAY DIFFRACTION"
RESOLUTION_LIMIT_ANGSTROM = 2.8

_MAGIC = struct.pack("<I", 1234)
_ALL_DATA_STORED = struct.pack("<i", -1)
_HEADER_SEARCH_BYTES = 256
_ROW_TAIL = struct.Struct("<IHHfff")
_COORDINATE_UNIT_ANGSTROM = 0.01
_PROFILE_UNIT = 1e-4


@dataclass(frozen=True)
class Entry:
    """One row of the table: where a chain's residues stand in the arrays."""

    entry: str
    chain: str
    offset: int
    size: int
    seqres_start_1based: int
    shift_angstrom: tuple[float, float, float]

    @property
    def id(self) -> str:
        """The chain's id in a dataset, such as `1ubq_A`."""
        return f"{self.entry.lower()}_{self.chain}"


@dataclass(frozen=True)
class StructureDatabase:
    """The parts of a `structure_db.dat` that training uses.

    Attributes:
        entries: The table.
        sequence: ASCII letters.
        coordinates: N, CA, C, O in 0.01 angstrom, before the shift is taken off.
        dssp: ASCII letters, `C` for coil.
        profile: Frequencies in 0.0001, columns in `RESTYPES` order.
    """

    entries: tuple[Entry, ...]
    sequence: UInt8[np.ndarray, " residue"]
    coordinates: UInt16[np.ndarray, "residue 4 3"]
    dssp: UInt8[np.ndarray, " residue"]
    profile: Int16[np.ndarray, "residue 20"]

    def check_counts(self) -> None:
        """Compare with the published counts.

        Raises:
            DataError: The number of chains stored, or of those long enough to train on, differs.
        """
        kept = sum(entry.size >= MINIMUM_LENGTH for entry in self.entries)
        if (len(self.entries), kept) != (STORED_CHAINS, KEPT_CHAINS):
            raise DataError(
                Message(
                    "the structure database holds {count:,} chains, {kept:,} of "
                    "{minimum_length} residues or more; promod3-data 3.2.1 holds "
                    "{stored_chains:,} and {kept_chains:,}",
                    count=len(self.entries),
                    kept=kept,
                    minimum_length=MINIMUM_LENGTH,
                    stored_chains=STORED_CHAINS,
                    kept_chains=KEPT_CHAINS,
                ),
                hint=Message(
                    "pass {--any-count} if this is another release and that is what you want"
                ),
            )

    def check_peptide_bonds(self) -> float:
        """Return the longest C-N distance inside a chain, in angstrom.

        Raises:
            DataError: It is 2 angstrom or more, so that the layout was not understood.
        """
        positions = self.coordinates.astype(np.float32) * _COORDINATE_UNIT_ANGSTROM
        distance = np.linalg.norm(positions[:-1, 2] - positions[1:, 0], axis=-1)
        starts = np.array([entry.offset for entry in self.entries])
        inside = np.ones(len(self.sequence), bool)
        inside[starts] = False
        longest = float(distance[inside[1:]].max(initial=0.0))
        if longest >= PEPTIDE_BOND_LIMIT_ANGSTROM:
            raise DataError(
                Message(
                    "the structure database has a C-N distance of {longest:.2f} angstrom "
                    "inside a chain; the limit is {peptide_bond_limit_angstrom:g}",
                    longest=longest,
                    peptide_bond_limit_angstrom=PEPTIDE_BOND_LIMIT_ANGSTROM,
                ),
                hint=Message("the file has another layout or was altered"),
            )
        return longest

    def chains(self, *, minimum_length: int = MINIMUM_LENGTH) -> Iterator[Chain]:
        """Yield the chains of at least `minimum_length` residues, in the order of the table."""
        for entry in self.entries:
            if entry.size >= minimum_length:
                yield self._chain(entry)

    def _chain(self, entry: Entry) -> Chain:
        rows = slice(entry.offset, entry.offset + entry.size)
        stored = self.coordinates[rows].astype(np.float64) * _COORDINATE_UNIT_ANGSTROM
        coordinates = np.zeros((entry.size, ATOM_COUNT, 3), np.float32)
        coordinates[:, BACKBONE_INDICES] = stored - np.array(entry.shift_angstrom)
        atom_mask = np.zeros((entry.size, ATOM_COUNT), bool)
        atom_mask[:, BACKBONE_INDICES] = True
        profile = self.profile[rows].astype(np.float32)
        total = profile.sum(axis=1, keepdims=True)
        return Chain(
            id=entry.id,
            sequence=self.sequence[rows].tobytes().decode("ascii"),
            coordinates=coordinates,
            atom_mask=atom_mask,
            residue_index=np.arange(entry.size, dtype=np.int32),
            profile=profile / np.where(total > 0, total, 1),
            dssp=self.dssp[rows].tobytes().decode("ascii").replace("C", "-"),
            method=METHOD,
            source=f"promod3-data {entry.entry} {entry.chain}",
        )


def read_structure_database(path: Path | str) -> StructureDatabase:
    """Read a `structure_db.dat`.

    Raises:
        DataError: It cannot be read, is truncated, or has another layout.
    """
    path = Path(path)
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(
            Message("{path} cannot be read: {error}", path=path, error=error)
        ) from error
    reader = _Reader(path, data.view(np.ndarray))
    entries = reader.table()
    residues = entries[-1].offset + entries[-1].size
    sequence = reader.array("sequence", residues, "u1", 1)
    coordinates = reader.array("coordinates", residues, "<u2", 12)
    reader.array("dihedrals", residues, "<i2", 2)
    reader.array("solvent accessibility", residues, "<u2", 1)
    reader.array("residue depth", residues, "<u2", 1)
    dssp = reader.array("dssp", residues, "u1", 1)
    profile = reader.array("profile", residues, "<i2", PROFILE_COLUMNS)
    reader.array("structure profile", residues, "<i2", PROFILE_COLUMNS)
    reader.end()
    sequence, dssp = sequence[:, 0], dssp[:, 0]
    reader.letters("sequence", sequence, RESTYPES)
    reader.letters("dssp", dssp, DSSP_LETTERS.replace("-", "C"))
    if profile.min() < 0 or profile.max() * _PROFILE_UNIT > 1:
        raise reader.error("its profile holds frequencies outside 0..1")
    order = find_profile_columns(sequence, profile)
    return StructureDatabase(
        entries=entries,
        sequence=sequence,
        coordinates=coordinates.reshape(-1, 4, 3),
        dssp=dssp,
        profile=profile[:, order],
    )


def find_profile_columns(
    sequence: UInt8[np.ndarray, " residue"], profile: Int16[np.ndarray, "residue 20"]
) -> Int[np.ndarray, " 20"]:
    """Find which column of a profile belongs to each residue type.

    Over all residues of one type, the column that rises most above its mean over all residues is
    that type's. The largest column alone would not do: where methionine stands, families hold
    leucine more often than methionine.

    Returns:
        The column of each residue type, in `RESTYPES` order.

    Raises:
        DataError: Two types claim one column, or a type does not occur.
    """
    columns = []
    background = np.maximum(profile.mean(axis=0), 1e-9)
    for letter in RESTYPES:
        rows = profile[sequence == ord(letter)]
        columns.append(int((rows.mean(axis=0) / background).argmax()) if len(rows) else -1)
    if sorted(columns) != list(range(PROFILE_COLUMNS)):
        raise DataError(
            Message(
                "the columns of the structure database's profile cannot be told apart: "
                "{restypes:,}",
                restypes=(
                    f"{letter}={column}" for letter, column in zip(RESTYPES, columns, strict=True)
                ),
            ),
            hint=Message("the file has another layout, or too few chains to tell"),
        )
    return np.array(columns)


class _Reader:
    """Walks through the file and names what is wrong with it."""

    def __init__(self, path: Path, data: UInt8[np.ndarray, " byte"]) -> None:
        self._path = path
        self._data = data
        self._position = 0

    def error(self, what: str) -> DataError:
        return DataError(
            Message(
                "{path} is not a whole ProMod3 structure database: {what}",
                path=self._path,
                what=what,
            ),
            hint=Message(
                "fetch promod3-data 3.2.1 again and pass its structure_db.dat or the .deb"
            ),
        )

    def table(self) -> tuple[Entry, ...]:
        head = self._data[:_HEADER_SEARCH_BYTES].tobytes()
        mark = head.find(_ALL_DATA_STORED)
        if not head.startswith(_MAGIC) or mark < 0:
            raise self.error("its header is of another layout")
        self._position = mark + len(_ALL_DATA_STORED)
        count = self._count()
        if not 0 < count < 10_000_000:
            raise self.error(f"its table claims {count} chains")
        entries = []
        offset = 0
        for _ in range(count):
            row = Entry(self._text(), self._text(), *self._row_tail())
            if row.offset != offset or row.size == 0:
                raise self.error(f"chain {row.id} does not follow the one before it")
            offset += row.size
            entries.append(row)
        return tuple(entries)

    def array(self, name: str, residues: int, dtype: str, width: int) -> np.ndarray:
        count = self._count()
        if count != residues:
            raise self.error(f"{name} holds {count:,} residues, the table {residues:,}")
        size = count * width * np.dtype(dtype).itemsize
        values = np.frombuffer(self._take(size), dtype).reshape(count, width)
        return values

    def end(self) -> None:
        rest = len(self._data) - self._position
        if rest:
            raise self.error(f"{rest:,} bytes follow the last array")

    def letters(self, name: str, values: np.ndarray, allowed: str) -> None:
        strange = set(np.unique(values).tolist()) - set(allowed.encode())
        if strange:
            raise self.error(f"{name} holds the letters {bytes(sorted(strange))!r}")

    def _take(self, size: int) -> np.ndarray:
        end = self._position + size
        if end > len(self._data):
            raise self.error(f"it ends after {len(self._data):,} bytes, at least {end:,} are due")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def _count(self) -> int:
        return int(struct.unpack("<Q", self._take(8).tobytes())[0])

    def _text(self) -> str:
        size = int(struct.unpack("<I", self._take(4).tobytes())[0])
        if size > 64:
            raise self.error(f"a name in its table has {size} letters")
        try:
            return self._take(size).tobytes().decode("ascii")
        except UnicodeDecodeError:
            raise self.error("a name in its table is not ASCII") from None

    def _row_tail(self) -> tuple[int, int, int, tuple[float, float, float]]:
        offset, size, start, *shift = _ROW_TAIL.unpack(self._take(_ROW_TAIL.size).tobytes())
        return offset, size, start, (shift[0], shift[1], shift[2])
