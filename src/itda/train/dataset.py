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
import datetime
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Int64

from itda.errors import DataError, OutputError
from itda.train.chain import (
    ATOM_COUNT,
    DSSP_LETTERS,
    PROFILE_COLUMNS,
    SEQUENCE_LETTERS,
    Chain,
)

FORMAT = "itda-chains"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
COORDINATE_UNIT_ANGSTROM = 1e-3
PROFILE_UNIT = 1e-4

_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "sequence": (np.uint8, ()),
    "residue_index": (np.int32, ()),
    "atom_mask": (np.uint8, (5,)),
    "coordinates": (np.int32, (3,)),
    "profile": (np.uint16, (PROFILE_COLUMNS,)),
    "dssp": (np.uint8, ()),
}
_COLUMNS = (
    "id",
    "length",
    "atoms",
    "profile",
    "dssp",
    "side_chains",
    "release_date",
    "resolution",
    "method",
    "source",
)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder that takes the name `folder` only when the block ends well.

    Args:
        folder: The name to take.
        overwrite: Whether a folder of that name is replaced.

    Raises:
        OutputError: The folder exists and is not to be replaced, or cannot be written.
    """
    if folder.exists() and not overwrite:
        raise OutputError(
            f"{folder} exists already", hint="choose another --out, or pass --overwrite"
        )
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, not a folder", hint="choose another --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"cannot write in {folder.parent}: {error.strerror}") from error
    try:
        yield work
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _ArrayFile:
    """A .npy file that grows along its first axis and gets its header when it is closed."""

    def __init__(self, path: Path, dtype: type[np.generic], row: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._row = row
        self._rows = 0
        self._stream = path.open("wb")
        self._write_header()

    def _write_header(self) -> None:
        # numpy pads this header so that a longer first axis does not move the data.
        self._stream.seek(0)
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, *self._row),
        }
        np.lib.format.write_array_header_1_0(self._stream, header)

    def append(self, values: np.ndarray) -> None:
        self._stream.write(np.ascontiguousarray(values, dtype=self._dtype).tobytes())
        self._rows += len(values)

    def close(self, *, finish: bool) -> None:
        if finish:
            self._write_header()
        self._stream.close()


class DatasetWriter:
    """Writes chains one by one into a folder; use it as a context manager.

    Args:
        folder: An existing empty folder, such as `atomic_folder` gives.
        source: What the data is: name, version, licence, files with their digests.
        parameters: Settings of the build that a reader should know.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self._source = dict(source)
        self._parameters = dict(parameters or {})
        self._ids: set[str] = set()
        self._totals = dict.fromkeys(("residues", "atoms", "profile", "dssp", "side_chains"), 0)
        self._arrays = {
            name: _ArrayFile(folder / f"{name}.npy", dtype, row)
            for name, (dtype, row) in _ARRAYS.items()
        }
        self._table_stream = (folder / "chains.tsv").open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._table_stream, delimiter="\t", lineterminator="\n")
        self._table.writerow(_COLUMNS)

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for array in self._arrays.values():
            array.close(finish=kind is None)
        self._table_stream.close()
        if kind is None:
            self._write_manifest()

    def __contains__(self, chain_id: str) -> bool:
        return chain_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, chain: Chain) -> None:
        """Append one chain.

        Raises:
            DataError: Shapes, letters or values break the format, or the id is taken.
        """
        _check(chain)
        if chain.id in self._ids:
            raise DataError(f"chain {chain.id} stands twice", hint="give each chain its own id")
        self._ids.add(chain.id)
        atoms = chain.coordinates[chain.atom_mask].astype(np.float64)
        packed = np.packbits(chain.atom_mask, axis=1)
        self._arrays["sequence"].append(np.frombuffer(chain.sequence.encode(), np.uint8))
        self._arrays["residue_index"].append(chain.residue_index)
        self._arrays["atom_mask"].append(packed)
        self._arrays["coordinates"].append(np.rint(atoms / COORDINATE_UNIT_ANGSTROM))
        if chain.profile is not None:
            self._arrays["profile"].append(np.rint(chain.profile / PROFILE_UNIT))
        if chain.dssp is not None:
            self._arrays["dssp"].append(np.frombuffer(chain.dssp.encode(), np.uint8))
        flags = {
            "profile": chain.profile is not None,
            "dssp": chain.dssp is not None,
            "side_chains": chain.has_side_chains,
        }
        for name, flag in flags.items():
            self._totals[name] += flag
        self._totals["residues"] += len(chain)
        self._totals["atoms"] += len(atoms)
        self._table.writerow(
            [
                chain.id,
                len(chain),
                len(atoms),
                *(int(flag) for flag in flags.values()),
                chain.release_date,
                f"{chain.resolution:g}",
                *(" ".join(text.split()) for text in (chain.method, chain.source)),
            ]
        )

    def _write_manifest(self) -> None:
        names = [*(f"{name}.npy" for name in _ARRAYS), "chains.tsv"]
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "source": self._source,
            "parameters": self._parameters,
            "counts": {
                "chains": len(self._ids),
                "residues": self._totals["residues"],
                "atoms": self._totals["atoms"],
                "chains_with_profile": self._totals["profile"],
                "chains_with_dssp": self._totals["dssp"],
                "chains_with_side_chains": self._totals["side_chains"],
            },
            "files": {
                name: {
                    "bytes": (self.folder / name).stat().st_size,
                    "sha256": file_digest(self.folder / name),
                }
                for name in names
            },
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


class ChainDataset:
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
        self._arrays = {
            # A plain view: indexing numpy's memmap class costs more than the read itself.
            name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            for name in _ARRAYS
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
        self._index = {chain_id: index for index, chain_id in enumerate(self.ids)}
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
                    f"{path} is missing or is not {facts['bytes']} bytes, as its manifest says",
                    hint="build or unpack the dataset again",
                )
            if verify and file_digest(path) != facts["sha256"]:
                raise DataError(
                    f"{path} does not have the SHA-256 that its manifest says",
                    hint="build or unpack the dataset again",
                )
        return cls(folder, manifest)

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

    def __len__(self) -> int:
        return len(self.ids)

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

    def __iter__(self) -> Iterator[Chain]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, chain_id: object) -> bool:
        return chain_id in self._index

    def __reduce__(self) -> tuple[Any, ...]:
        return ChainDataset.open, (self.folder,)

    @property
    def sequences(self) -> tuple[str, ...]:
        """The sequence of each chain, in storage order."""
        return tuple(self.sequence(index) for index in range(len(self)))

    def sequence(self, index: int) -> str:
        """Return the sequence of one chain without reading its coordinates."""
        return self._arrays["sequence"][self._slice("residue", index)].tobytes().decode()

    def index_of(self, chain_id: str) -> int:
        """Return the position of a chain.

        Raises:
            DataError: There is no chain of this id.
        """
        try:
            return self._index[chain_id]
        except KeyError:
            raise DataError(f"{self.folder} has no chain {chain_id}") from None

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
            dtype, row = _ARRAYS[name]
            shape = (int(self._starts[kind][-1]), *row)
            array = self._arrays[name]
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    f"{self.folder / name}.npy is {array.dtype} {array.shape}, "
                    f"but chains.tsv needs {np.dtype(dtype)} {shape}",
                    hint="build or unpack the dataset again",
                )


def _starts(counts: Int64[np.ndarray, " chain"]) -> Int64[np.ndarray, " chain_plus_one"]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder} is not a dataset folder: it has no {MANIFEST}",
            hint="make one with `itda data build` or `itda data unpack`",
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{path} does not describe a dataset of chains")
    if manifest.get("version") != FORMAT_VERSION:
        raise DataError(
            f"{folder} has dataset version {manifest.get('version')}, "
            f"this Itda reads version {FORMAT_VERSION}",
            hint="build the dataset again with this version",
        )
    return manifest


def _check(chain: Chain) -> None:
    length = len(chain.sequence)
    problem = ""
    if not chain.id or any(character.isspace() for character in chain.id):
        problem = "its id is empty or holds a blank"
    elif length == 0 or set(chain.sequence) - set(SEQUENCE_LETTERS):
        problem = "its sequence is empty or holds letters beyond the 20 amino acids and X"
    elif chain.coordinates.shape != (length, ATOM_COUNT, 3):
        problem = f"coordinates are {chain.coordinates.shape}, not {(length, ATOM_COUNT, 3)}"
    elif chain.atom_mask.shape != (length, ATOM_COUNT):
        problem = f"atom_mask is {chain.atom_mask.shape}, not {(length, ATOM_COUNT)}"
    elif not np.isfinite(chain.coordinates[chain.atom_mask]).all():
        problem = "a coordinate is not a number"
    elif chain.residue_index.shape != (length,) or (np.diff(chain.residue_index) < 1).any():
        problem = "residue_index does not rise by at least 1 a residue"
    elif chain.profile is not None and not _is_profile(chain.profile, length):
        problem = "profile is not one row of 20 frequencies in 0..1 a residue"
    elif chain.dssp is not None and (
        len(chain.dssp) != length or set(chain.dssp) - set(DSSP_LETTERS)
    ):
        problem = "dssp is not one of its letters a residue"
    if problem:
        raise DataError(f"chain {chain.id or '(no id)'}: {problem}")


def _is_profile(profile: np.ndarray, length: int) -> bool:
    return bool(
        profile.shape == (length, PROFILE_COLUMNS)
        and np.isfinite(profile).all()
        and profile.min() >= 0
        and profile.max() <= 1
    )
