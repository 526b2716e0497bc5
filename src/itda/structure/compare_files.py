"""`itda.compare`: two structures, each a file or atoms, scored one against the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from biotite.structure import AtomArray

from itda.structure.compare import Comparison
from itda.structure.compare import compare as compare_atoms
from itda.structure.files import open_structure

__all__ = ["compare"]


def compare(
    reference: str | Path | AtomArray,
    model: str | Path | AtomArray,
    *,
    chains: Mapping[str, str] | None = None,
    by_number: bool = False,
    reference_model: int = 1,
    model_model: int = 1,
) -> Comparison:
    """Score a model against a reference: lDDT, TM-score, GDT-TS and RMSD.

    Args:
        reference: The structure taken as true: an mmCIF, BinaryCIF or PDB file, or its atoms.
        model: The structure to score, likewise.
        chains: Model chain of each reference chain; found by sequence unless told. A chain without
            a name is "".
        by_number: Pair residues of the same number and insertion code instead of aligning.
        reference_model: 1-based place of the model to take from the reference's file.
        model_model: The same for the file to score.

    Returns:
        The scores: of the whole reference chains, and in `matched_part` of the residues that both
        have; each residue; and the motion that takes the model onto the reference.

    Raises:
        InputError: A file cannot be read, a structure has no protein, a named chain does not exist,
            or nothing matches.

    Example:
        >>> found = compare("1ubq.cif", "model.pdb")  # doctest: +SKIP
        >>> found.tm_score, found.matched_part.tm_score  # doctest: +SKIP
        (0.921, 1.0)
    """
    notes: list[str] = []
    atoms = []
    for what, number in ((reference, reference_model), (model, model_model)):
        if isinstance(what, AtomArray):
            atoms.append(what)
        else:
            opened = open_structure(what, model=number, hydrogens=False)
            notes += [f"{opened.path.name}: {note}" for note in opened.notes]
            atoms.append(opened.atoms)
    found = compare_atoms(*atoms, chains=chains, by_number=by_number)
    return replace(found, notes=(*notes, *found.notes))
