"""A dataset folder: many chains in a few flat arrays, read by memory map.

A folder holds `manifest.json` (format version, source, parameters, counts, and the size and SHA-256
of each other file), `chains.tsv` (one line a chain) and these arrays, all chains one after another:

| file | type | rows |
| --- | --- | --- |
| `sequence.npy` | uint8, ASCII | residues |
| `residue_index.npy` | int32 | residues |
| `atom_mask.npy` | uint8 x 5, 37 bits, first atom in the highest bit | residues |
| `coordinates.npy` | int32 x 3, 0.001 angstrom | atoms that were seen |
| `profile.npy` | uint16 x 20, 0.0001 | residues of chains that have a profile |
| `dssp.npy` | uint8, ASCII | residues of chains that have DSSP |
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64

from itda.errors import DataError
from itda.language import Message
from itda.storage import atomic_folder, file_digest
from itda.structure.chains.chain import ATOM_COUNT, CA_INDEX, Chain
from itda.structure.chains.known import KnownChains
from itda.structure.chains.writer import (
    ARRAYS,
    COORDINATE_UNIT_ANGSTROM,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    DatasetWriter,
)

__all__ = ["ChainDataset", "DatasetWriter", "atomic_folder", "file_digest"]


class ChainDataset(KnownChains):
    """The chains of a dataset folder; `dataset[i]` takes well under a millisecond.

    Attributes:
        folder: Where the arrays are.
        manifest: What `manifest.json` says.
        ids: Chain ids in storage order.
        lengths: Residues of each chain.
        has_profile: Whether each chain has a profile.
        has_side_chains: Whether most side chains of each chain were seen.
        resolutions: Angstrom, 0 where unknown.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._arrays: dict[str, np.ndarray] = {
            # A plain view: indexing numpy's memmap class costs more than the read itself.
            name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            for name in ARRAYS
        }
        with (folder / "chains.tsv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        self.ids = tuple(row["id"] for row in rows)
        self.lengths = np.array([int(row["length"]) for row in rows], np.int64)
        self.has_profile = np.array([row["profile"] == "1" for row in rows], bool)
        self.has_dssp = np.array([row["dssp"] == "1" for row in rows], bool)
        self.has_side_chains = np.array([row["side_chains"] == "1" for row in rows], bool)
        self.resolutions = np.array([float(row["resolution"]) for row in rows], np.float32)
        self.release_dates = tuple(row["release_date"] for row in rows)
        self.methods = tuple(row["method"] for row in rows)
        self.sources = tuple(row["source"] for row in rows)
        atoms = np.array([int(row["atoms"]) for row in rows], np.int64)
        self._starts = {
            "residue": _starts(self.lengths),
            "atom": _starts(atoms),
            "profile": _starts(np.where(self.has_profile, self.lengths, 0)),
            "dssp": _starts(np.where(self.has_dssp, self.lengths, 0)),
        }
        self._check_sizes()

    @classmethod
    def open(cls, folder: Path | str, *, verify: bool = False) -> ChainDataset:
        """Open a dataset folder.

        Args:
            folder: A folder that `ChainDataset.write` or `itda data build` made.
            verify: Whether the SHA-256 of each file is checked, and not its size alone.

        Raises:
            DataError: There is no dataset, it is of another version, or a file was altered.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        for name, facts in manifest["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != facts["bytes"]:
                raise DataError(
                    Message(
                        "{path} is missing or is not {facts} bytes, as its manifest says",
                        path=path,
                        facts=facts["bytes"],
                    ),
                    hint=Message("build or unpack the dataset again"),
                )
            if verify and file_digest(path) != facts["sha256"]:
                raise DataError(
                    Message("{path} does not have the SHA-256 that its manifest says", path=path),
                    hint=Message("build or unpack the dataset again"),
                )
        try:
            return cls(folder, manifest)
        except (KeyError, TypeError, ValueError, EOFError, OSError) as error:
            raise DataError(
                Message(
                    "an array or chains.tsv of {folder} cannot be read: {error}",
                    folder=folder,
                    error=error,
                ),
                hint=Message("build or unpack the dataset again"),
            ) from error

    @classmethod
    def write(
        cls,
        folder: Path | str,
        chains: Iterable[Chain],
        *,
        source: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> ChainDataset:
        """Write chains to a folder, whole or not at all, and open it.

        Args:
            folder: Where to; its parents are made.
            chains: Each with an id of its own.
            source: What the data is: name, version, licence, files with their digests.
            parameters: Settings of the build that a reader should know.
            overwrite: Whether a dataset that stands there is replaced.

        Raises:
            DataError: A chain breaks the format.
            OutputError: The folder cannot be written.
        """
        folder = Path(folder)
        with (
            atomic_folder(folder, overwrite=overwrite) as work,
            DatasetWriter(work, source=source, parameters=parameters) as writer,
        ):
            for chain in chains:
                writer.add(chain)
        return cls.open(folder)

    @property
    def place(self) -> Path:
        """Where they are, for errors."""
        return self.folder

    def __getitem__(self, index: int) -> Chain:
        if not -len(self) <= index < len(self):
            raise IndexError(f"chain {index} of {len(self)}")
        index %= len(self)
        residues = self._slice("residue", index)
        length = int(self.lengths[index])
        packed = self._arrays["atom_mask"][residues]
        atom_mask = np.unpackbits(packed, axis=1, count=ATOM_COUNT).astype(bool)
        coordinates = np.zeros((length, ATOM_COUNT, 3), np.float32)
        stored = self._arrays["coordinates"][self._slice("atom", index)]
        coordinates[atom_mask] = stored * COORDINATE_UNIT_ANGSTROM
        profile = None
        if self.has_profile[index]:
            profile = self._arrays["profile"][self._slice("profile", index)].astype(np.float32)
            total = profile.sum(axis=1, keepdims=True)
            profile /= np.where(total > 0, total, 1)
        dssp = None
        if self.has_dssp[index]:
            dssp = self._arrays["dssp"][self._slice("dssp", index)].tobytes().decode()
        return Chain(
            id=self.ids[index],
            sequence=self.sequence(index),
            coordinates=coordinates,
            atom_mask=atom_mask,
            residue_index=self._arrays["residue_index"][residues].copy(),
            profile=profile,
            dssp=dssp,
            release_date=self.release_dates[index],
            resolution=float(self.resolutions[index]),
            method=self.methods[index],
            source=self.sources[index],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return ChainDataset.open, (self.folder,)

    @property
    def sequences(self) -> tuple[str, ...]:
        """The sequence of each chain, in storage order."""
        return tuple(self.sequence(index) for index in range(len(self)))

    def sequence(self, index: int) -> str:
        """Return the sequence of one chain without reading its coordinates."""
        return self._arrays["sequence"][self._slice("residue", index)].tobytes().decode()

    def residue_index(self, index: int) -> Int32[np.ndarray, " residue"]:
        """Return the numbers of one chain's residues without reading its coordinates."""
        return np.asarray(self._arrays["residue_index"][self._slice("residue", index)].copy())

    def has_ca(self, index: int) -> Bool[np.ndarray, " residue"]:
        """Say which residues of one chain have a CA atom."""
        packed = self._arrays["atom_mask"][self._slice("residue", index)]
        return np.unpackbits(packed, axis=1, count=ATOM_COUNT)[:, CA_INDEX].astype(bool)

    def _slice(self, kind: str, index: int) -> slice:
        starts = self._starts[kind]
        return slice(int(starts[index]), int(starts[index + 1]))

    def _check_sizes(self) -> None:
        rows = {
            "sequence": "residue",
            "residue_index": "residue",
            "atom_mask": "residue",
            "coordinates": "atom",
            "profile": "profile",
            "dssp": "dssp",
        }
        for name, kind in rows.items():
            dtype, row = ARRAYS[name]
            shape = (int(self._starts[kind][-1]), *row)
            array = self._arrays[name]
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    Message(
                        "{folder}.npy is {dtype} {shape}, but chains.tsv needs {dtype_2} {shape_2}",
                        folder=self.folder / name,
                        dtype=array.dtype,
                        shape=array.shape,
                        dtype_2=np.dtype(dtype),
                        shape_2=shape,
                    ),
                    hint=Message("build or unpack the dataset again"),
                )


def _starts(counts: Int64[np.ndarray, " chain"]) -> Int64[np.ndarray, " chain_plus_one"]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            Message(
                "{folder} is not a dataset folder: it has no {manifest}",
                folder=folder,
                manifest=MANIFEST,
            ),
            hint=Message("make one with `itda data build` or `itda data unpack`"),
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(
            Message("{path} cannot be read: {error}", path=path, error=error)
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(Message("{path} does not describe a dataset of chains", path=path))
    if manifest.get("version") != FORMAT_VERSION:
        raise DataError(
            Message(
                "{folder} has dataset version {get}, this Itda reads version {format_version}",
                folder=folder,
                get=manifest.get("version"),
                format_version=FORMAT_VERSION,
            ),
            hint=Message("build the dataset again with this version"),
        )
    return manifest
