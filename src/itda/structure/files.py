"""Reading and writing files of coordinates.

Chain names, residue numbers, insertion codes, residue and atom names that come in go out unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
from biotite.structure import AtomArray
from biotite.structure.io.pdb import PDBFile

from itda.errors import OutputError
from itda.language import Message
from itda.structure.formats import find_format, format_of_name, read_content, write_content
from itda.structure.mmcif import encode, lay_out_atoms, safe_word, structure_tables
from itda.structure.modelcif import prediction_tables
from itda.structure.prediction import Prediction
from itda.structure.reading import Metadata, StructureFile, parse
from itda.structure.residues import Residues
from itda.structure.used_template import UsedTemplate

__all__ = [
    "Metadata",
    "StructureFile",
    "encode_prediction",
    "open_structure",
    "read_structure",
    "write_prediction",
    "write_structure",
]

PDB_MOST_ATOMS = 99_999
_PDB_RANGES = {
    "res_id": (-999, 9999, "residue number"),
    "coord": (-999.999, 9999.999, "coordinate"),
    "b_factor": (-99.99, 999.99, "B-factor"),
    "occupancy": (-99.99, 999.99, "occupancy"),
}
_PDB_WIDTHS = {"chain_id": (1, "chain"), "res_name": (3, "residue name"), "atom_name": (4, "atom")}

_log = logging.getLogger(__name__)


def read_structure(path: Path | str, *, model: int = 1, hydrogens: bool = True) -> AtomArray:
    """Read one model of a structure file; what was chosen on the way goes to the log.

    Args:
        path: An mmCIF, BinaryCIF or PDB file, gzipped or not; the content tells which.
        model: 1-based place of the model in the file.
        hydrogens: Keep hydrogens.

    Returns:
        The atoms, as `StructureFile.atoms` describes them.

    Raises:
        InputError: If the file is missing, broken, of another format, or has no such model.
    """
    found = open_structure(path, model=model, hydrogens=hydrogens)
    for note in found.notes:
        _log.info("%s: %s", path, note)
    return found.atoms


def open_structure(path: Path | str, *, model: int = 1, hydrogens: bool = True) -> StructureFile:
    """Read one model of a structure file, with what the file says of itself and what was chosen.

    Where atoms have alternate locations, the conformer of highest occupancy is kept, residue by
    residue, and a note says so.

    Args:
        path: An mmCIF, BinaryCIF or PDB file, gzipped or not; the content tells which.
        model: 1-based place of the model in the file.
        hydrogens: Keep hydrogens.

    Raises:
        InputError: If the file is missing, broken, of another format, or has no such model.
    """
    path = Path(path)
    content = read_content(path)
    found, text = find_format(content, path)
    return parse(content, text, found, path, model=model, hydrogens=hydrogens)


def write_structure(path: Path | str, atoms: AtomArray, *, name: str = "") -> None:
    """Write atoms to a file; the suffix tells the format, and `.gz` packs it.

    Args:
        path: A name with .cif, .bcif or .pdb, or one of these and .gz.
        atoms: What to write.
        name: Name of the entry; the file's own unless told.

    Raises:
        OutputError: If the suffix stands for no format, PDB cannot hold the structure, or the file
            cannot be written.
    """
    path = Path(path)
    kind, packed = format_of_name(path)
    if atoms.array_length() == 0:
        raise OutputError(Message("{path}: there is no atom to write", path=path))
    if not np.isfinite(atoms.coord).all():
        raise OutputError(
            Message("{path}: some atoms have no finite coordinates", path=path),
            hint=Message("leave those atoms out"),
        )
    if kind == "pdb":
        content = _pdb_content(path, atoms)
    else:
        entry = safe_word(name or path.name.split(".")[0])
        tables = {"entry": {"id": [entry]}, **structure_tables(lay_out_atoms(atoms))}
        content = encode(tables, entry, binary=kind == "bcif")
    write_content(path, content, packed=packed)


def encode_prediction(
    prediction: Prediction, *, templates: Sequence[UsedTemplate] = (), binary: bool = False
) -> bytes:
    """Give a prediction as ModelCIF, text or BinaryCIF; equal predictions give equal bytes."""
    entry, tables = prediction_tables(prediction, templates)
    return encode(tables, entry, binary=binary)


def write_prediction(path: Path | str, prediction: Prediction) -> None:
    """Write a prediction as ModelCIF, with its confidence and provenance.

    Args:
        path: A name with .cif or .bcif, or one of these and .gz.
        prediction: What to write.

    Raises:
        OutputError: If the suffix stands for another format, or the file cannot be written.
    """
    path = Path(path)
    kind, packed = format_of_name(path)
    if kind == "pdb":
        raise OutputError(
            Message(
                "{path}: PDB cannot hold the confidence and provenance of a prediction", path=path
            ),
            hint=Message("write .cif or .bcif, or the atoms alone with write_structure"),
        )
    write_content(path, encode_prediction(prediction, binary=kind == "bcif"), packed=packed)


def _pdb_content(path: Path, atoms: AtomArray) -> bytes:
    _check_pdb_can_hold(path, atoms)
    written = atoms.copy()
    written.bonds = None
    if "atom_id" in written.get_annotation_categories():
        written.del_annotation("atom_id")
    file = PDBFile()
    file.set_structure(written)
    atom_lines = [line for line in file.lines if line.startswith(("ATOM", "HETATM"))]
    lines = [line for line in file.lines if not line.startswith(("ATOM", "HETATM"))]
    ends = _polymer_ends(atoms)
    for row, line in enumerate(atom_lines):
        lines.append(line)
        if row in ends:
            lines.append("TER")
    out = StringIO()
    out.write("\n".join([*lines, "END", ""]))
    return out.getvalue().encode("utf-8")


def _polymer_ends(atoms: AtomArray) -> set[int]:
    """Give the last row of each chain's polymer, after which PDB wants a TER record."""
    residues = Residues.from_atoms(atoms)
    last = {
        chain: index
        for index, chain in enumerate(residues.chain_ids)
        if residues.polymer_mask[index]
    }
    stops = np.append(residues.starts[1:], atoms.array_length())
    return {int(stops[index]) - 1 for index in last.values()}


def _check_pdb_can_hold(path: Path, atoms: AtomArray) -> None:
    """Refuse by name what PDB's fixed columns would cut off or fold over."""
    problems = []
    if atoms.array_length() > PDB_MOST_ATOMS:
        problems.append(
            Message(
                "{atoms} atoms, and PDB numbers at most {pdb_most_atoms}",
                atoms=atoms.array_length(),
                pdb_most_atoms=PDB_MOST_ATOMS,
            )
        )
    for category, (width, what) in _PDB_WIDTHS.items():
        values = atoms.get_annotation(category)
        long = values[np.char.str_len(values) > width]
        if len(long):
            columns = Message("{width} column{value}", width=width, value="s" * (width > 1))
            problems.append(
                Message(
                    "{what} {long!r}, and PDB has {columns} for it",
                    what=what,
                    long=long[0],
                    columns=columns,
                )
            )
    categories = atoms.get_annotation_categories()
    for category, (low, high, what) in _PDB_RANGES.items():
        if category == "coord" or category in categories:
            values = atoms.coord if category == "coord" else atoms.get_annotation(category)
            odd = values[(values < low) | (values > high)]
            if odd.size:
                problems.append(
                    Message(
                        "{what} {flat:g}, and PDB can write {low} to {high}",
                        what=what,
                        flat=odd.flat[0],
                        low=low,
                        high=high,
                    )
                )
    if problems:
        raise OutputError(
            Message(
                "{path}: PDB cannot hold the structure: {problems:;}", path=path, problems=problems
            ),
            hint=Message("write .cif or .bcif"),
        )
