"""Chains from an atom37 archive: many structures in one NumPy `.npz` file.

Its arrays are `id`, `source`, `path`, `offset`, `seq` (uint8 ASCII), `coords_mA` (int32, 0.001
angstrom, only atoms that were seen), `atom37_mask_packed` (37 bits a residue), `resnum`,
`resolution` (0 unknown), `deposition_date` ('' unknown) and `method`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.chain import (
    ATOM_COUNT,
    SEQUENCE_LETTERS,
    Chain,
    index_residues,
    is_experimental,
)
from itda.structure.chains.rejection import Rejection

_KEYS = (
    "id",
    "path",
    "offset",
    "seq",
    "coords_mA",
    "atom37_mask_packed",
    "resnum",
    "resolution",
    "deposition_date",
    "method",
)


def read_atom37(path: Path | str, *, minimum_length: int = 20) -> Iterator[Chain | Rejection]:
    """Yield each chain of an atom37 archive, or why it is not to be trained on.

    A chain is rejected when it is short, is a model and no experiment, holds other letters, or
    when another chain of its id that is fit to train on has as many atoms.

    Raises:
        DataError: The file cannot be read or its arrays do not fit each other.
    """
    arrays = _load(Path(path))
    offsets = arrays["offset"].astype(np.int64)
    masks = np.unpackbits(arrays["atom37_mask_packed"], axis=1, count=ATOM_COUNT).astype(bool)
    first_atoms = np.concatenate([[0], np.cumsum(masks.sum(axis=1))])
    _check_lengths(Path(path), arrays, offsets, int(first_atoms[-1]))
    reasons = [
        _reason(arrays, index, offsets, minimum_length) for index in range(len(arrays["id"]))
    ]
    best: dict[str, tuple[int, int]] = {}
    for index, chain_id in enumerate(arrays["id"].tolist()):
        atoms = int(first_atoms[offsets[index + 1]] - first_atoms[offsets[index]])
        if not reasons[index] and (chain_id not in best or atoms > best[chain_id][0]):
            best[chain_id] = (atoms, index)
    for index, chain_id in enumerate(arrays["id"].tolist()):
        start, end = int(offsets[index]), int(offsets[index + 1])
        origin = str(arrays["path"][index])
        reason = reasons[index]
        if not reason and best[chain_id][1] != index:
            reason = "another chain of this id has as many atoms or more"
        if reason:
            yield Rejection(chain_id, origin, reason)
            continue
        mask = masks[start:end]
        coordinates = np.zeros((end - start, ATOM_COUNT, 3), np.float32)
        coordinates[mask] = arrays["coords_mA"][first_atoms[start] : first_atoms[end]] * 1e-3
        yield Chain(
            id=chain_id,
            sequence=arrays["seq"][start:end].tobytes().decode("ascii"),
            coordinates=coordinates,
            atom_mask=mask,
            residue_index=index_residues(coordinates, mask, arrays["resnum"][start:end]),
            release_date=str(arrays["deposition_date"][index]),
            resolution=float(arrays["resolution"][index]),
            method=str(arrays["method"][index]),
            source=origin,
        )


def _reason(
    arrays: dict[str, np.ndarray], index: int, offsets: np.ndarray, minimum_length: int
) -> str:
    """Say why a chain by itself is not to be trained on; empty if it is."""
    start, end = int(offsets[index]), int(offsets[index + 1])
    method = str(arrays["method"][index])
    if end - start < minimum_length:
        return f"{end - start} residues, fewer than {minimum_length}"
    if not is_experimental(str(arrays["id"][index]), method):
        return f"a model, not an experiment ({method or 'no method and no PDB id'})"
    if set(arrays["seq"][start:end].tobytes()) - set(SEQUENCE_LETTERS.encode()):
        return "its sequence holds letters beyond the 20 amino acids and X"
    return ""


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in _KEYS if key not in archive.files]
            if missing:
                raise DataError(
                    Message(
                        "{path} is not an atom37 archive: it lacks {missing:,}",
                        path=path,
                        missing=missing,
                    )
                )
            return {key: archive[key] for key in _KEYS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(
            Message("{path} cannot be read as a NumPy archive: {error}", path=path, error=error),
            hint=Message("expected a .npz file"),
        ) from error


def _check_lengths(
    path: Path, arrays: dict[str, np.ndarray], offsets: np.ndarray, atoms: int
) -> None:
    chains, residues = len(arrays["id"]), len(arrays["seq"])
    fits = (
        len(offsets) == chains + 1
        and offsets[0] == 0
        and offsets[-1] == residues
        and bool((np.diff(offsets) >= 0).all())
        and all(len(arrays[key]) == residues for key in ("atom37_mask_packed", "resnum"))
        and all(
            len(arrays[key]) == chains
            for key in ("path", "resolution", "deposition_date", "method")
        )
        and arrays["coords_mA"].shape == (atoms, 3)
    )
    if not fits:
        raise DataError(
            Message("the arrays of {path} do not fit each other", path=path),
            hint=Message("fetch the file again"),
        )
