"""From mmCIF, BinaryCIF and PDB to one atom array."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from biotite import InvalidFileError
from biotite.file import DeserializationError
from biotite.structure import AtomArray, BadStructureError

from itda.errors import InputError
from itda.language import Message
from itda.structure.altloc import resolve_altlocs
from itda.structure.cif import parse_binary_cif, parse_cif
from itda.structure.elements import HYDROGENS
from itda.structure.formats import Format
from itda.structure.parsed import Metadata
from itda.structure.pdb import parse_pdb

__all__ = ["Metadata", "StructureFile", "parse"]

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if found == "pdb":
                parsed = parse_pdb(text, path, model)
            elif found == "mmcif":
                parsed = parse_cif(text, path, model)
            else:
                parsed = parse_binary_cif(content, path, model)
    except _BROKEN as error:
        raise InputError(
            Message("{path}: is broken {found}: {error}", path=path, found=found, error=error)
        ) from error
    rows, choices = resolve_altlocs(parsed.atoms, parsed.altlocs)
    notes = parsed.notes + choices
    unchanged = np.array_equal(rows, np.arange(parsed.atoms.array_length()))
    atoms = parsed.atoms if unchanged else parsed.atoms[rows]
    if not hydrogens:
        light = np.isin(atoms.element, HYDROGENS)
        if light.any():
            notes += (f"{int(light.sum())} hydrogens left out",)
            atoms = atoms[~light]
    if atoms.array_length() == 0:
        raise InputError(
            Message("{path}: model {model} has no atom", path=path, model=model),
            hint=Message("keep its hydrogens"),
        )
    if parsed.model_count > 1:
        notes += (f"model {model} of {parsed.model_count} read",)
    return StructureFile(path, found, atoms, parsed.model_count, parsed.metadata, notes)
