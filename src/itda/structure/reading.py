"""From mmCIF, BinaryCIF and PDB to one atom array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from biotite import InvalidFileError
from biotite.file import DeserializationError
from biotite.structure import AtomArray, BadStructureError, infer_elements
from biotite.structure.io.pdb import PDBFile
from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

from itda.errors import InputError
from itda.structure.altloc import resolve_altlocs
from itda.structure.formats import Format

HYDROGENS = ("H", "D")

_BROKEN = (
    ArithmeticError,
    AttributeError,
    BadStructureError,
    DeserializationError,
    InvalidFileError,
    LookupError,
    TypeError,
    ValueError,
)
_NAMES_TO_SHOW = 3
_UNNUMBERED = -(2**31)

# The parser copies the rest of a line with quotes at each of its words: hours, for 32 MB in one.
_LONGEST_QUOTED_LINE = 16_384


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself; empty or None where it says nothing.

    Attributes:
        entry_id: Entry name, such as `1UBQ`.
        title: Title.
        method: Experiment, as the PDB names it.
        resolution_angstrom: Highest resolution.
        release_date: ISO 8601.
    """

    entry_id: str = ""
    title: str = ""
    method: str = ""
    resolution_angstrom: float | None = None
    release_date: str = ""


@dataclass(frozen=True, eq=False)
class StructureFile:
    """A structure file as read.

    Attributes:
        path: Where it was.
        format: Its format.
        atoms: One model. `chain_id`, `res_id` and `ins_code` are the author's; `label_asym_id`,
            `label_seq_id` (0 outside polymers) and `label_entity_id` are there if the file has
            them; `b_factor`, `occupancy`, `charge` and `atom_id` always.
        model_count: Models in the file.
        metadata: What the file says of itself.
        notes: What was chosen or left out.
    """

    path: Path
    format: Format
    atoms: AtomArray
    model_count: int
    metadata: Metadata
    notes: tuple[str, ...]


def parse(
    content: bytes, text: str, found: Format, path: Path, *, model: int, hydrogens: bool
) -> StructureFile:
    """Read one model.

    Args:
        content: The unpacked file.
        text: The same as text, unless it is BinaryCIF.
        found: Its format.
        path: Its name, for errors.
        model: 1-based place of the model in the file.
        hydrogens: Keep hydrogens.

    Raises:
        InputError: If the file is broken, has no such model, or no atom.
    """
    if found == "mmcif":
        _check_lines(text, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if found == "pdb":
                atoms, altlocs, model_count, metadata, notes = _parse_pdb(text, path, model)
            else:
                file = (
                    BinaryCIFFile.read(BytesIO(content))
                    if found == "bcif"
                    else CIFFile.read(StringIO(text))
                )
                atoms, altlocs, model_count, metadata, notes = _parse_cif(file, path, model)
    except _BROKEN as error:
        raise InputError(f"{path}: is broken {found}: {error}") from error
    _check_coordinates(atoms, path)
    keep, choices = resolve_altlocs(atoms, altlocs)
    notes += choices
    if not hydrogens:
        light = np.isin(atoms.element, HYDROGENS)
        if (light & keep).any():
            notes += (f"{int((light & keep).sum())} hydrogens left out",)
        keep &= ~light
    if not keep.any():
        raise InputError(f"{path}: model {model} has no atom", hint="keep its hydrogens")
    if model_count > 1:
        notes += (f"model {model} of {model_count} read",)
    return StructureFile(path, found, atoms[keep], model_count, metadata, notes)


def _check_lines(text: str, path: Path) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_QUOTED_LINE and ("'" in line or '"' in line):
            raise InputError(
                f"{path}, line {number}: has {len(line)} characters and quotes in it; up to "
                f"{_LONGEST_QUOTED_LINE} are read",
                hint="mmCIF allows 2048 in a line; a text that is longer stands between lines "
                "that begin with a semicolon",
            )


_Parsed = tuple[AtomArray, np.ndarray, int, Metadata, tuple[str, ...]]


def _parse_cif(file: Any, path: Path, model: int) -> _Parsed:
    with_atoms = [name for name in file if "atom_site" in file[name]]
    if not with_atoms:
        raise InputError(
            f"{path}: has no atom_site, so it holds no coordinates",
            hint="structure factors and sequence files have none; give the coordinate file",
        )
    block = file[with_atoms[0]]
    notes: tuple[str, ...] = ()
    if len(with_atoms) > 1:
        notes = (f"data block {with_atoms[0]} read, {len(with_atoms) - 1} more left out",)
    site = block["atom_site"]
    reader = _SiteReader(site, path)
    chosen, model_count = _rows_of_model(reader, path, model)
    atoms = AtomArray(len(chosen))
    atoms.coord = np.stack([reader.floats(f"Cartn_{axis}") for axis in "xyz"], axis=-1)[
        chosen
    ].astype(np.float32)
    columns: dict[str, np.ndarray] = {
        "chain_id": reader.words("auth_asym_id", "label_asym_id"),
        "res_id": _residue_numbers(reader),
        "ins_code": reader.words("pdbx_PDB_ins_code", default=""),
        "res_name": reader.words("auth_comp_id", "label_comp_id"),
        "atom_name": reader.words("auth_atom_id", "label_atom_id"),
        "element": np.char.upper(reader.words("type_symbol", default="")),
        "hetero": reader.words("group_PDB", default="ATOM") == "HETATM",
        "b_factor": reader.floats("B_iso_or_equiv", default=0.0),
        "occupancy": reader.floats("occupancy", default=1.0),
        "charge": reader.integers("pdbx_formal_charge", default=0),
    }
    columns["atom_id"] = (
        reader.integers("id") if "id" in site else np.arange(1, reader.row_count + 1)
    )
    for item in ("label_asym_id", "label_entity_id"):
        if item in site:
            columns[item] = reader.words(item)
    if "label_seq_id" in site:
        columns["label_seq_id"] = reader.integers("label_seq_id", default=0)
    for name, values in columns.items():
        atoms.set_annotation(name, values[chosen])
    _fill_elements(atoms)
    altlocs = reader.words("label_alt_id", default="")[chosen]
    return atoms, altlocs, model_count, _cif_metadata(block), notes


def _residue_numbers(reader: _SiteReader) -> np.ndarray:
    """Give the author's numbers, or those of the polymer with the rest counted on from them."""
    numbers = reader.integers("auth_seq_id", "label_seq_id", masked=_UNNUMBERED)
    unnumbered = np.flatnonzero(numbers == _UNNUMBERED)
    if len(unnumbered) == 0:
        return numbers
    chains = reader.words("label_asym_id", "auth_asym_id").tolist()
    names = reader.words("label_comp_id", "auth_comp_id").tolist()
    atom_names = reader.words("label_atom_id", "auth_atom_id").tolist()
    known = numbers[numbers != _UNNUMBERED]
    number, molecule, seen = int(known.max(initial=0)), ("", ""), set[str]()
    for row in unnumbered:
        if molecule != (chains[row], names[row]) or atom_names[row] in seen:
            number, molecule, seen = number + 1, (chains[row], names[row]), set()
        seen.add(atom_names[row])
        numbers[row] = number
    return numbers


class _SiteReader:
    """Columns of `atom_site` as arrays, with a default where the item or a value is missing."""

    def __init__(self, site: Any, path: Path) -> None:
        self._site = site
        self._path = path
        self.row_count = int(site.row_count)

    def words(self, *items: str, default: str | None = None) -> np.ndarray:
        """Give a column of words, '' in gaps; the first of the items that is there."""
        item = self._first(items, default)
        if item is None:
            return np.full(self.row_count, default)
        return np.asarray(self._site[item].as_array(str, ""))

    def integers(self, *items: str, default: int | None = None, masked: int = -1) -> np.ndarray:
        """Give a column of whole numbers; the first of the items that is there."""
        return self._numbers(items, default, int, masked)

    def floats(self, item: str, *, default: float | None = None) -> np.ndarray:
        """Give a column of numbers; without a default the item must be there, and gaps are NaN."""
        return self._numbers((item,), default, float, np.nan)

    def _numbers(self, items: tuple[str, ...], default: Any, kind: type, masked: Any) -> np.ndarray:
        item = self._first(items, default)
        if item is None:
            return np.full(self.row_count, default)
        column = self._site[item]
        try:
            return np.asarray(column.as_array(kind, masked if default is None else default))
        except ValueError as error:
            for row, word in enumerate(column.as_array(str, "0").tolist(), 1):
                try:
                    kind(word)
                except ValueError:
                    raise InputError(
                        f"{self._path}: atom_site row {row}: {item} is {word!r}, not a number"
                    ) from error
            raise

    def _first(self, items: tuple[str, ...], default: Any) -> str | None:
        for item in items:
            if item in self._site:
                return item
        if default is None:
            raise InputError(f"{self._path}: atom_site has no {items[0]}")
        return None


def _rows_of_model(reader: _SiteReader, path: Path, model: int) -> tuple[np.ndarray, int]:
    numbers = reader.integers("pdbx_PDB_model_num", default=1)
    _, first = np.unique(numbers, return_index=True)
    order = numbers[np.sort(first)]
    _check_model(model, len(order), path)
    return np.flatnonzero(numbers == order[model - 1]), len(order)


def _check_model(model: int, model_count: int, path: Path) -> None:
    if not 1 <= model <= model_count:
        raise InputError(
            f"{path}: has {model_count} models, no model {model}", hint="models count from 1"
        )


def _cif_metadata(block: Mapping[str, Any]) -> Metadata:
    def items(category: str, item: str) -> list[str]:
        if category not in block or item not in block[category]:
            return []
        values = block[category][item].as_array(str, "").tolist()
        return [str(value).strip() for value in values if str(value).strip()]

    def number(category: str, item: str) -> float | None:
        for value in items(category, item):
            try:
                return float(value)
            except ValueError:
                continue
        return None

    resolution = number("refine", "ls_d_res_high")
    if resolution is None:
        resolution = number("em_3d_reconstruction", "resolution")
    return Metadata(
        entry_id=next(iter(items("entry", "id")), ""),
        title=next(iter(items("struct", "title")), ""),
        method=", ".join(items("exptl", "method")),
        resolution_angstrom=resolution,
        release_date=min(items("pdbx_audit_revision_history", "revision_date"), default=""),
    )


def _parse_pdb(text: str, path: Path, model: int) -> _Parsed:
    lines = text.split("\n")
    atom_lines = [line for line in lines if line.startswith(("ATOM  ", "HETATM"))]
    if not atom_lines:
        raise InputError(f"{path}: has no ATOM or HETATM record, so it holds no coordinates")
    _check_pdb_numbers(lines, path)
    file = PDBFile.read(StringIO(text))
    model_count = int(file.get_model_count())
    _check_model(model, model_count, path)
    fields = ["atom_id", "b_factor", "occupancy", "charge"]
    atoms = file.get_structure(model=model, altloc="all", extra_fields=fields)
    altlocs = np.asarray(atoms.altloc_id)
    atoms.del_annotation("altloc_id")
    atoms.element = np.char.upper(atoms.element)
    _fill_elements(atoms)
    return atoms, altlocs, model_count, _pdb_metadata(lines), ()


def _check_pdb_numbers(lines: list[str], path: Path) -> None:
    """Find a coordinate that is no number while its line is still known."""
    for number, line in enumerate(lines, 1):
        if line.startswith(("ATOM  ", "HETATM")):
            for axis, field in zip("xyz", (line[30:38], line[38:46], line[46:54]), strict=True):
                try:
                    float(field)
                except ValueError as error:
                    raise InputError(
                        f"{path}: line {number}: {axis} is {field.strip()!r}, not a number",
                        hint="PDB keeps coordinates in columns 31 to 54",
                    ) from error


def _pdb_metadata(lines: list[str]) -> Metadata:
    def joined(record: str) -> str:
        return " ".join(line[10:80].strip() for line in lines if line.startswith(record)).strip()

    resolution = None
    for line in lines:
        if line.startswith("REMARK   2 RESOLUTION."):
            try:
                resolution = float(line[23:30])
            except ValueError:
                continue
    header = next((line for line in lines if line.startswith("HEADER")), "")
    return Metadata(
        entry_id=header[62:66].strip(),
        title=joined("TITLE "),
        method=joined("EXPDTA"),
        resolution_angstrom=resolution,
    )


def _fill_elements(atoms: AtomArray) -> None:
    missing = atoms.element == ""
    if missing.any():
        atoms.element[missing] = np.char.upper(infer_elements(atoms[missing]))


def _check_coordinates(atoms: AtomArray, path: Path) -> None:
    bad = np.flatnonzero(~np.isfinite(atoms.coord).all(axis=-1))
    if len(bad):
        names = [
            f"{atom.chain_id}:{atom.res_id} {atom.res_name} {atom.atom_name}"
            for atom in (atoms[int(row)] for row in bad[:_NAMES_TO_SHOW])
        ]
        raise InputError(
            f"{path}: {len(bad)} atoms have no finite coordinates, such as {', '.join(names)}"
        )
