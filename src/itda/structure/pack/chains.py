"""Many backbone chains with their profiles in one file, of which single chains can be read.

After `MAGIC` and the length of the header (uint32, little-endian) stands a JSON header, then
sections one after another; the header gives place, length and SHA-256 of each:

| section | what |
| --- | --- |
| `chains` | id, residues and number of the first residue of each chain, a line each |
| `sequence` | one letter a residue |
| `columns` | `COLUMNS` x 20 float16: the table of `itda.structure.pack.columns` |
| `column_ranks` | 21 x `COLUMNS` uint16: the table's places for each letter, the commonest first |
| `profile` | one byte a residue: the rank of its column for its letter; 255 and beyond at the end |
| `means` | class means of `itda.structure.pack.backbone`, int16, 0.001 angstrom |
| `blocks` | DSSP and backbones of each `CHAINS_OF_A_BLOCK` chains, compressed on their own |

A chain is moved so that its first N stands at the origin. Its residues are numbered without a gap.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64, UInt8, UInt16

from itda.atomic import replacing
from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.chain import (
    ATOM_COUNT,
    BACKBONE_INDICES,
    SEQUENCE_LETTERS,
    Chain,
)
from itda.structure.chains.known import KnownChains
from itda.structure.pack.backbone import (
    CLASSES,
    BackboneCode,
    class_means,
    classify,
    decode_chain,
    encode_backbone,
)
from itda.structure.pack.columns import COLUMNS, learn_columns, nearest_columns
from itda.structure.pack.streams import compress, decode_integers, decompress, encode_integers

MAGIC = b"ITDAFOLD"
FORMAT_VERSION = 1
STEP_ANGSTROM = 0.11
"""Half the diagonal of a cube of this edge is 0.095 angstrom, which no atom is moved further."""

CHAINS_OF_A_BLOCK = 64
_LEARNT_FROM = 400_000
_BLOCKS_KEPT = 32
_ESCAPE = 255
_MEAN_UNIT_ANGSTROM = 1e-3


def write_library(
    path: Path, chains: Sequence[Chain], facts: Mapping[str, Any], *, columns: int = COLUMNS
) -> None:
    """Write chains to one file.

    Args:
        path: Where to; it appears whole or not at all.
        chains: Whole backbones, without a gap, each with a profile and DSSP.
        facts: What the header says beside the layout: name, source, licence and the like.
        columns: How many the table of profiles has; fewer than residues.

    Raises:
        DataError: A chain lacks an atom of its backbone, a residue, its profile or its DSSP.
    """
    for chain in chains:
        _require_whole(chain)
    lengths = np.array([len(chain) for chain in chains], np.int64)
    letters = np.frombuffer("".join(chain.sequence for chain in chains).encode(), np.uint8)
    profile = np.concatenate([chain.profile for chain in chains if chain.profile is not None])
    random = np.random.default_rng(0)
    shown = np.sort(random.choice(len(profile), min(_LEARNT_FROM, len(profile)), replace=False))
    table = learn_columns(profile[shown], columns=columns).astype(np.float16)
    places = nearest_columns(profile, table.astype(np.float32))
    ranks = _ranks_by_letter(letters, places, len(table))
    order = np.argsort(ranks, axis=1).astype(np.uint16)
    means, blocks = _encode_blocks(chains, lengths)
    lines = (f"{chain.id}\t{len(chain)}\t{chain.residue_index[0]}\n" for chain in chains)
    sections = {
        "chains": compress("".join(lines).encode()),
        "sequence": compress(letters.tobytes()),
        "columns": table.astype("<f2").tobytes(),
        "column_ranks": order.astype("<u2").tobytes(),
        "profile": compress(_encode_ranks(ranks[_letter_places()[letters], places])),
        "means": means.astype("<i2").tobytes(),
        "blocks": b"".join(blocks),
    }
    header: dict[str, Any] = {
        **facts,
        "version": FORMAT_VERSION,
        "step_angstrom": STEP_ANGSTROM,
        "chains": len(chains),
        "residues": int(lengths.sum()),
        "block_bytes": [len(block) for block in blocks],
        "sections": {},
    }
    start = 0
    for name, data in sections.items():
        digest = hashlib.sha256(data).hexdigest()
        header["sections"][name] = {"start": start, "bytes": len(data), "sha256": digest}
        start += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    with replacing(path) as part, part.open("wb") as stream:
        stream.write(MAGIC + struct.pack("<I", len(text)) + text)
        for data in sections.values():
            stream.write(data)


class PackedChains(KnownChains):
    """The chains of such a file, read by memory map; the reading of a chain takes milliseconds.

    Args:
        path: The file.

    Attributes:
        path: The file.
        facts: Its header.
        digest: `sha256:` and 64 digits over the digests of its sections.
        ids: Chain ids in storage order.
        lengths: Residues of each chain.
        starts: Place of each chain's first residue among all, and the number of residues.
        release_dates: Empty; the file knows none.

    Raises:
        DataError: The file is missing, of another format, or not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes = np.memmap(path, np.uint8, mode="r")
            if self._bytes[: len(MAGIC)].tobytes() != MAGIC:
                raise ValueError(f"it does not begin with {MAGIC.decode()}")
            (size,) = struct.unpack("<I", self._bytes[len(MAGIC) : len(MAGIC) + 4].tobytes())
            begin = len(MAGIC) + 4
            self.facts: dict[str, Any] = json.loads(self._bytes[begin : begin + size].tobytes())
            self._begin = begin + size
            if self.facts["version"] != FORMAT_VERSION:
                raise ValueError(f"it has version {self.facts['version']}, not {FORMAT_VERSION}")
            sections = self.facts["sections"].values()
            if len(self._bytes) != self._begin + sum(facts["bytes"] for facts in sections):
                raise ValueError("it is not as long as its header says")
            rows = [line.split("\t") for line in self._unpacked("chains").decode().splitlines()]
            self.ids = tuple(row[0] for row in rows)
            self.lengths: Int64[np.ndarray, " chain"] = np.array([int(row[1]) for row in rows])
            self._first = np.array([int(row[2]) for row in rows], np.int32)
        except (OSError, ValueError, KeyError, TypeError, IndexError, struct.error) as error:
            raise DataError(
                Message("{path} is no library of folds: {error}", path=path, error=error),
                hint=Message("install Itda again"),
            ) from error
        self.digest = (
            "sha256:"
            + hashlib.sha256(
                "".join(facts["sha256"] for facts in self.facts["sections"].values()).encode()
            ).hexdigest()
        )
        self.starts: Int64[np.ndarray, " chain_plus_one"] = np.concatenate(
            [[0], np.cumsum(self.lengths)]
        )
        self.release_dates = ("",) * len(self.ids)
        self._block_starts = np.concatenate([[0], np.cumsum(self.facts["block_bytes"])])
        self._blocks: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    @property
    def place(self) -> Path:
        """Where they are, for errors."""
        return self.path

    def __getitem__(self, index: int) -> Chain:
        if not -len(self) <= index < len(self):
            raise IndexError(f"chain {index} of {len(self)}")
        index %= len(self)
        dssp, residuals = self._block(index // CHAINS_OF_A_BLOCK)
        first = int(self.starts[index - index % CHAINS_OF_A_BLOCK])
        own = slice(int(self.starts[index]) - first, int(self.starts[index + 1]) - first)
        length = int(self.lengths[index])
        sequence = self.letters[self.starts[index] : self.starts[index + 1]]
        classes = classify(sequence, dssp[own], np.ones(length, bool))
        code = BackboneCode(
            residuals[own], self._means, np.zeros((1, 3), np.int64), self.facts["step_angstrom"]
        )
        coordinates = np.zeros((length, ATOM_COUNT, 3), np.float32)
        coordinates[:, BACKBONE_INDICES] = decode_chain(code, classes)
        atom_mask = np.zeros((length, ATOM_COUNT), bool)
        atom_mask[:, BACKBONE_INDICES] = True
        return Chain(
            id=self.ids[index],
            sequence=sequence.tobytes().decode(),
            coordinates=coordinates,
            atom_mask=atom_mask,
            residue_index=self.residue_index(index),
            profile=self.columns[self.places[self.starts[index] : self.starts[index + 1]]],
            dssp=dssp[own].tobytes().decode(),
            method=self.facts.get("method", ""),
            source=self.facts.get("source", ""),
        )

    def sequence(self, index: int) -> str:
        """Return the sequence of one chain."""
        return self.letters[self.starts[index] : self.starts[index + 1]].tobytes().decode()

    def residue_index(self, index: int) -> Int32[np.ndarray, " residue"]:
        """Return the numbers of one chain's residues without reading its coordinates."""
        return np.asarray(np.arange(self.lengths[index], dtype=np.int32) + self._first[index])

    def has_ca(self, index: int) -> Bool[np.ndarray, " residue"]:
        """Say which residues of one chain have a CA atom: all of them."""
        return np.ones(self.lengths[index], bool)

    @functools.cached_property
    def letters(self) -> UInt8[np.ndarray, " residue"]:
        """The residues of all chains, one ASCII letter each."""
        return np.frombuffer(self._unpacked("sequence"), np.uint8)

    @functools.cached_property
    def columns(self) -> Float[np.ndarray, "column 20"]:
        """Frequencies of the columns that profiles are made of, in `RESTYPES` order."""
        table = np.frombuffer(self._section("columns"), "<f2").astype(np.float32).reshape(-1, 20)
        return np.asarray(table / table.sum(axis=1, keepdims=True))

    @functools.cached_property
    def places(self) -> UInt16[np.ndarray, " residue"]:
        """The column of each residue of all chains."""
        order = np.frombuffer(self._section("column_ranks"), "<u2").reshape(
            len(SEQUENCE_LETTERS), -1
        )
        ranks = _decode_ranks(self._unpacked("profile"), len(self.letters))
        return np.asarray(order[_letter_places()[self.letters], ranks])

    def verify(self) -> None:
        """Compare every section with its digest.

        Raises:
            DataError: One is not what it was.
        """
        for name, facts in self.facts["sections"].items():
            if hashlib.sha256(self._section(name)).hexdigest() != facts["sha256"]:
                raise DataError(
                    Message(
                        "{path}: {name} does not have the SHA-256 that its header says",
                        path=self.path,
                        name=name,
                    ),
                    hint=Message("install Itda again"),
                )

    @functools.cached_property
    def _means(self) -> Float[np.ndarray, "class 4 3"]:
        stored = np.frombuffer(self._section("means"), "<i2").reshape(CLASSES, 4, 3)
        return np.asarray(stored * _MEAN_UNIT_ANGSTROM)

    def _section(self, name: str) -> bytes:
        facts = self.facts["sections"][name]
        begin = self._begin + facts["start"]
        return self._bytes[begin : begin + facts["bytes"]].tobytes()

    def _unpacked(self, name: str) -> bytes:
        return decompress(self._section(name))

    def _block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        begin = self._begin + self.facts["sections"]["blocks"]["start"]
        part = slice(
            begin + int(self._block_starts[number]), begin + int(self._block_starts[number + 1])
        )
        first = number * CHAINS_OF_A_BLOCK
        last = min(first + CHAINS_OF_A_BLOCK, len(self))
        own = slice(int(self.starts[first]), int(self.starts[last]))
        residues = own.stop - own.start
        data = decompress(self._bytes[part].tobytes())
        dssp = np.frombuffer(data[:residues], np.uint8)
        stored = decode_integers(data[residues:], 12 * residues).reshape(4, 3, residues)
        by_class = _by_class(self.letters[own], dssp)
        residuals = np.zeros((residues, 4, 3), np.int64)
        residuals[by_class] = stored.transpose(2, 0, 1)
        self._blocks[number] = dssp, residuals
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return dssp, residuals


def _require_whole(chain: Chain) -> None:
    missing = {
        "a backbone atom": not chain.atom_mask[:, BACKBONE_INDICES].all(),
        "a residue": bool((np.diff(chain.residue_index) != 1).any()),
        "its profile": chain.profile is None,
        "its DSSP": chain.dssp is None,
    }
    for what, lacks in missing.items():
        if lacks:
            raise DataError(Message("{chain} lacks {what}", chain=chain.id, what=what))


def _encode_blocks(
    chains: Sequence[Chain], lengths: Int64[np.ndarray, " chain"]
) -> tuple[np.ndarray, list[bytes]]:
    positions = np.concatenate(
        [
            (chain.coordinates[:, BACKBONE_INDICES] - chain.coordinates[0, 0]).astype(np.float64)
            for chain in chains
        ]
    )
    letters = np.frombuffer("".join(chain.sequence for chain in chains).encode(), np.uint8)
    dssp = np.frombuffer("".join(chain.dssp or "" for chain in chains).encode(), np.uint8)
    classes = classify(letters, dssp, np.ones(len(dssp), bool))
    mask = np.ones(positions.shape[:2], bool)
    means = class_means(positions, mask, lengths, classes)
    code, _ = encode_backbone(
        positions, mask, lengths, classes, means_angstrom=means, step_angstrom=STEP_ANGSTROM
    )
    starts = np.concatenate([[0], np.cumsum(lengths)])
    blocks = []
    for first in range(0, len(chains), CHAINS_OF_A_BLOCK):
        own = slice(starts[first], starts[min(first + CHAINS_OF_A_BLOCK, len(chains))])
        by_class = _by_class(letters[own], dssp[own])
        residuals = code.residuals[own][by_class].transpose(1, 2, 0).ravel()
        blocks.append(compress(dssp[own].tobytes() + encode_integers(residuals)))
    return np.rint(means / _MEAN_UNIT_ANGSTROM), blocks


def _by_class(letters: np.ndarray, dssp: np.ndarray) -> np.ndarray:
    return np.argsort(classify(letters, dssp, np.ones(len(dssp), bool)), kind="stable")


def _letter_places() -> np.ndarray:
    places = np.full(256, SEQUENCE_LETTERS.index("X"))
    places[list(SEQUENCE_LETTERS.encode())] = np.arange(len(SEQUENCE_LETTERS))
    return places


def _ranks_by_letter(letters: np.ndarray, places: np.ndarray, columns: int) -> np.ndarray:
    """How common each column is for each letter: rank of the column, the commonest 0."""
    ranks = np.zeros((len(SEQUENCE_LETTERS), columns), np.int64)
    of_letter = _letter_places()[letters]
    for letter in range(len(SEQUENCE_LETTERS)):
        counts = np.bincount(places[of_letter == letter], minlength=columns)
        ranks[letter, np.argsort(-counts, kind="stable")] = np.arange(columns)
    return ranks


def _encode_ranks(ranks: np.ndarray) -> bytes:
    rare = ranks >= _ESCAPE
    return (
        np.where(rare, _ESCAPE, ranks).astype(np.uint8).tobytes()
        + ranks[rare].astype("<u2").tobytes()
    )


def _decode_ranks(data: bytes, count: int) -> np.ndarray:
    ranks = np.frombuffer(data[:count], np.uint8).astype(np.uint16)
    ranks[ranks == _ESCAPE] = np.frombuffer(data[count:], "<u2")
    return ranks
