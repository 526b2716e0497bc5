"""Tokens as the files of a result have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from biotite.structure.io.pdbx import CIFFile

_RESIDUE = ("auth_asym_id", "auth_seq_id", "pdbx_PDB_ins_code", "label_comp_id")


def token_names(tokens: Mapping[str, Sequence[Any]]) -> list[str]:
    """Name each token of a confidence file for people: the residue, and the atom where it is one.

    >>> token_names({"name": ["LYS", "ATP"], "atom_name": ["", "PA"]})
    ['LYS', 'ATP PA']
    """
    return [
        f"{name} {atom}".strip()
        for name, atom in zip(tokens["name"], tokens["atom_name"], strict=True)
    ]


def token_plddt(structure: Path, atom_names: Sequence[str]) -> list[float]:
    """Read pLDDT of each token from a structure that was written for a result, 0 to 100.

    Args:
        structure: The mmCIF file.
        atom_names: Of each token; empty for one that is a whole residue.
    """
    block = CIFFile.read(structure).block
    residues = block["ma_qa_metric_local"]["metric_value"].as_array(float).tolist()
    if not any(atom_names):
        return residues  # type: ignore[no-any-return]
    atoms = block["atom_site"]
    keys = list(zip(*(atoms[column].as_array(str) for column in _RESIDUE), strict=True))
    values = atoms["B_iso_or_equiv"].as_array(float).tolist()
    found: list[float] = []
    for plddt, (_, group) in zip(
        residues, groupby(range(len(keys)), keys.__getitem__), strict=True
    ):
        # What a token is called stands at the place where the residue begins.
        of_residue = [values[row] for row in group]
        found += of_residue if atom_names[len(found)] else [plddt]
    return found
