"""Writes the files of a dataset folder, whose layout `itda.structure.chains.dataset` describes."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from itda.errors import DataError
from itda.language import Message
from itda.storage import file_digest
from itda.structure.chains.chain import (
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

ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
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
            for name, (dtype, row) in ARRAYS.items()
        }
        self._table_stream = (folder / "chains.tsv").open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._table_stream, delimiter="\t", lineterminator="\n")
        self._table.writerow(_COLUMNS)

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_others: object) -> None:
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
            raise DataError(
                Message("chain {chain} stands twice", chain=chain.id),
                hint=Message("give each chain its own id"),
            )
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
        names = [*(f"{name}.npy" for name in ARRAYS), "chains.tsv"]
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


def _check(chain: Chain) -> None:
    length = len(chain.sequence)
    problem = ""
    if not chain.id or any(character.isspace() for character in chain.id):
        problem = Message("its id is empty or holds a blank")
    elif length == 0 or set(chain.sequence) - set(SEQUENCE_LETTERS):
        problem = Message("its sequence is empty or holds letters beyond the 20 amino acids and X")
    elif chain.coordinates.shape != (length, ATOM_COUNT, 3):
        problem = Message(
            "coordinates are {shape}, not {value}",
            shape=chain.coordinates.shape,
            value=(length, ATOM_COUNT, 3),
        )
    elif chain.atom_mask.shape != (length, ATOM_COUNT):
        problem = Message(
            "atom_mask is {shape}, not {value}",
            shape=chain.atom_mask.shape,
            value=(length, ATOM_COUNT),
        )
    elif not np.isfinite(chain.coordinates[chain.atom_mask]).all():
        problem = Message("a coordinate is not a number")
    elif chain.residue_index.shape != (length,) or (np.diff(chain.residue_index) < 1).any():
        problem = Message("residue_index does not rise by at least 1 a residue")
    elif chain.profile is not None and not _is_profile(chain.profile, length):
        problem = Message("profile is not one row of 20 frequencies in 0..1 a residue")
    elif chain.dssp is not None and (
        len(chain.dssp) != length or set(chain.dssp) - set(DSSP_LETTERS)
    ):
        problem = Message("dssp is not one of its letters a residue")
    if problem:
        raise DataError(
            Message(
                "chain {chain}: {problem}", chain=chain.id or Message("(no id)"), problem=problem
            )
        )


def _is_profile(profile: np.ndarray, length: int) -> bool:
    return bool(
        profile.shape == (length, PROFILE_COLUMNS)
        and np.isfinite(profile).all()
        and profile.min() >= 0
        and profile.max() <= 1
    )
