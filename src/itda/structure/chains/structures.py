"""Chains from a folder of mmCIF, BinaryCIF or PDB files, or why each was left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from biotite.structure import AtomArray

from itda.chem.force_fields import PARENTS
from itda.chem.residues import ATOM37_INDEX, RESTYPE_3_TO_1
from itda.errors import DataError, ItdaError
from itda.language import Message
from itda.structure.chains.chain import ATOM_COUNT, BACKBONE_INDICES, Chain, index_residues
from itda.structure.chains.rejection import Rejection
from itda.structure.files import open_structure
from itda.structure.residues import Residues

_log = logging.getLogger(__name__)

SUFFIXES = (".cif", ".mmcif", ".bcif", ".pdb", ".ent")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StructureFilters:
    """Which chains are kept.

    Attributes:
        max_resolution_angstrom: Worst resolution; structures without one pass (NMR).
        released_after: ISO date; entries released before it, or without a date, are left out.
        released_before: ISO date; entries released on it or later, or without a date, likewise.
        min_length: Fewest residues.
        max_length: Most residues.
        min_completeness: Least part of residues whose N, CA, C and O were all seen.
    """

    max_resolution_angstrom: float = 3.0
    released_after: str = ""
    released_before: str = ""
    min_length: int = 20
    max_length: int = 5000
    min_completeness: float = 0.9


def structure_files(folder: Path) -> list[Path]:
    """List structure files below a folder, in a fixed order.

    Raises:
        DataError: The folder is missing or holds none.
    """
    if not folder.is_dir():
        raise DataError(
            Message("{folder} is not a folder", folder=folder),
            hint=Message("give a folder of mmCIF or PDB files"),
        )
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name.lower().removesuffix(".gz").endswith(SUFFIXES)
    )
    if not found:
        raise DataError(
            Message("{folder} holds no structure file", folder=folder),
            hint=Message("names must end in {suffixes:,}", suffixes=SUFFIXES),
        )
    return found


def read_structures(files: list[Path], filters: StructureFilters) -> Iterator[Chain | Rejection]:
    """Yield every protein chain of every file, or why it was left out; a broken file is one reason.

    Args:
        files: From `structure_files`.
        filters: Which chains are kept.
    """
    for path in files:
        try:
            file = open_structure(path, hydrogens=False)
        except ItdaError as error:
            yield Rejection("", str(path), error.problem, kind="the file cannot be read")
            continue
        for note in file.notes:
            _log.info("%s: %s", path, note)
        metadata = file.metadata
        date = metadata.release_date or ""
        resolution = metadata.resolution_angstrom or 0.0
        unfit = _unfit_entry(date, resolution, filters)
        entry = path.name.split(".")[0]
        for name in dict.fromkeys(file.atoms.chain_id.tolist()):
            chain_id = f"{entry}_{name}"
            if unfit is not None:
                yield Rejection(chain_id, str(path), unfit[0], kind=unfit[1])
                continue
            yield _chain(
                file.atoms[file.atoms.chain_id == name],
                chain_id,
                path,
                filters,
                date=date,
                resolution=resolution,
                method=metadata.method or "",
            )


def filters_as_parameters(filters: StructureFilters) -> dict[str, object]:
    """Give the filters as the manifest of a dataset holds them."""
    return asdict(filters)


def _unfit_entry(date: str, resolution: float, filters: StructureFilters) -> tuple[str, str] | None:
    if resolution > filters.max_resolution_angstrom:
        return (
            f"resolution {resolution:g} A, worse than {filters.max_resolution_angstrom:g} A",
            "resolution",
        )
    if (filters.released_after or filters.released_before) and not date:
        return "no release date, and dates were asked for", "no release date"
    if filters.released_after and date < filters.released_after:
        return f"released {date}, before {filters.released_after}", "release date"
    if filters.released_before and date >= filters.released_before:
        return f"released {date}, not before {filters.released_before}", "release date"
    return None


def _chain(
    atoms: AtomArray,
    chain_id: str,
    path: Path,
    filters: StructureFilters,
    *,
    date: str,
    resolution: float,
    method: str,
) -> Chain | Rejection:
    residues = Residues.from_atoms(atoms)
    protein = residues.peptide_mask
    keep = np.flatnonzero(protein)
    if len(keep) == 0:
        return Rejection(chain_id, str(path), "no protein residue", kind="no protein residue")
    if not filters.min_length <= len(keep) <= filters.max_length:
        return Rejection(
            chain_id,
            str(path),
            f"{len(keep)} residues, not {filters.min_length} to {filters.max_length}",
            kind="length",
        )
    coordinates = np.zeros((len(keep), ATOM_COUNT, 3), np.float32)
    mask = np.zeros((len(keep), ATOM_COUNT), bool)
    row_of = np.full(len(residues), -1)
    row_of[keep] = np.arange(len(keep))
    letters = []
    for index in keep:
        name = residues.standard_names[index]
        letters.append(RESTYPE_3_TO_1.get(PARENTS.get(name, (name, {}))[0], "X"))
    for place, residue in enumerate(residues.of_atom):
        row = row_of[residue]
        renamed = PARENTS.get(residues.names[residue], ("", {}))[1]
        atom = str(residues.atom_names[place])
        column = ATOM37_INDEX.get(renamed.get(atom, atom))
        if row >= 0 and column is not None:
            coordinates[row, column] = atoms.coord[place]
            mask[row, column] = True
    complete = float(mask[:, list(BACKBONE_INDICES)].all(1).mean())
    if complete < filters.min_completeness:
        return Rejection(
            chain_id,
            str(path),
            f"{complete:.0%} of residues have a whole backbone, fewer than "
            f"{filters.min_completeness:.0%}",
            kind="completeness",
        )
    for note in residues.understood:
        _log.info("%s, chain %s: %s", path, chain_id, note)
    numbers = residues.sequence_numbers(keep)
    return Chain(
        id=chain_id,
        sequence="".join(letters),
        coordinates=coordinates,
        atom_mask=mask,
        residue_index=index_residues(coordinates, mask, numbers),
        release_date=date,
        resolution=resolution,
        method=method,
        source=str(path),
    )
