"""Names that simulation programs give to the standard amino acids and their atoms.

Force fields name a residue by its protonation and its place in the chain: `HIE` is a histidine with
its proton at NE2, `CYX` a cysteine in a disulfide bond, `NALA` an alanine at the chain's start. A
PDB file has three columns for a name, so `NLEU` may stand there as `NLE`. Many of these codes are
those of unrelated ligands, or of other amino acids, in the Chemical Component Dictionary: `HSD` is
a sugar, `HIP` a phosphohistidine, `NLE` norleucine. So a name here is only a candidate; the atoms
of the residue decide, as `standard_residue` does.

Sources: Amber (ff14SB, `aminont12.lib`, `aminoct12.lib`, constant pH), CHARMM 36
(`top_all36_prot.rtf` and its patches), GROMACS (`aminoacids.rtp` and `.r2b` of its force fields),
OPLS (Maestro), X-PLOR and CNS.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from itda.chem.residues import ATOM14, RESTYPE_3_TO_1

_VARIANTS = {
    "ARG": "ARN ARGN AR0",
    "ASP": "ASH ASPH ASPP AS2 AS4",
    "CYS": "CYX CYM CYN CYSH CYS1 CYS2 CYSS CYH CYD CYT",
    "GLU": "GLH GLUH GLUP GL2 GL4",
    "HIS": "HID HIE HIP HSD HSE HSP HSC HISA HISB HISD HISE HISH HISP HIS1 HIS2",
    "LYS": "LYN LYSH LYSN LSN",
    "PRO": "CPR",
    "SER": "SRO",
    "THR": "THO",
    "TYR": "TYM TYO",
}
"""What a residue is called by its protonation, its bonds or its geometry."""

_ENDS = "NC"
_COLUMNS = 3

_ATOMS = {"ILE": {"CD": "CD1"}}
"""Atoms of a residue that go by another name."""

_CARBOXYLATES = (("OT1", "OT2"), ("O1", "O2"), ("OC1", "OC2"), ("OCT1", "OCT2"), ("O", "OT"))
"""How the two oxygen atoms at the end of a chain, O and OXT, are called."""

PARENTS = {"MSE": ("MET", {"SE": "SD"})}
"""Other molecules that stand for a standard residue, and their atoms that stand for one of its."""

ODD_ATOMS = frozenset(
    [name for renamed in _ATOMS.values() for name in renamed]
    + [name for pair in _CARBOXYLATES for name in pair if name != "O"]
)
"""Names without which the atoms of a standard residue need no second look."""


def standard_residue(
    name: str, atoms: Collection[str], *, any_name: bool = False
) -> tuple[str, dict[str, str]] | None:
    """Tell which standard amino acid a residue is, by its name and its atoms.

    Args:
        name: As a file has it; one of the PDB's own is taken at its word.
        atoms: Names of its heavy atoms.
        any_name: Also tell a residue of a name that no force field has, if its side chain has all
            atoms of one amino acid and no other.

    Returns:
        The PDB's name of the residue, and that of each atom that goes by another; None if it is no
        standard amino acid, or its atoms fit several.

    >>> standard_residue("HIE", ["N", "CA", "C", "OT1", "OT2", "CB"])
    ('HIS', {'OT1': 'O', 'OT2': 'OXT'})
    >>> standard_residue("NLE", ["N", "CA", "C", "O", "CB", "CG", "CD", "CE"])
    """
    if name in RESTYPE_3_TO_1:
        return name, _renamed(name, atoms)
    if "CA" not in atoms:
        return None
    lacking: dict[str, int] = {}
    for code in _CANDIDATES.get(name, ()):
        own = _own_names(code, atoms)
        if own <= set(ATOM14[code]):
            lacking[code] = len(ATOM14[code]) - len(own)
    if not lacking and any_name:
        lacking = {
            code: 0 for code in _TOLD_BY_ATOMS if _own_names(code, atoms) == set(ATOM14[code])
        }
    fewest = [code for code, count in lacking.items() if count == min(lacking.values())]
    return (fewest[0], _renamed(fewest[0], atoms)) if len(fewest) == 1 else None


def _own_names(code: str, atoms: Collection[str]) -> set[str]:
    renamed = _renamed(code, atoms)
    return {renamed.get(atom, atom) for atom in atoms} - {"OXT"}


def _renamed(code: str, atoms: Collection[str]) -> dict[str, str]:
    """Give the PDB's name of each atom that has another, unless an atom of that name is there."""
    found = {old: new for old, new in _ATOMS.get(code, {}).items() if old in atoms}
    for first, second in _CARBOXYLATES:
        if second in atoms or (first in atoms and first != "O"):
            found |= {old: new for old, new in ((first, "O"), (second, "OXT")) if old in atoms}
            break
    return {old: new for old, new in found.items() if new not in atoms}


def _candidates() -> Mapping[str, tuple[str, ...]]:
    """Give the standard residues that each name may stand for."""
    found: dict[str, list[str]] = {}
    for code in RESTYPE_3_TO_1:
        variants = _VARIANTS.get(code, "").split()
        inside = [] if code == "UNK" else [code, *variants]
        ends = [end + name for end in _ENDS for name in inside if len(name) <= _COLUMNS]
        for name in (*variants, *ends):
            for written in dict.fromkeys((name, name[:_COLUMNS])):
                if written not in RESTYPE_3_TO_1 and code not in found.setdefault(written, []):
                    found[written].append(code)
    return {name: tuple(codes) for name, codes in found.items()}


_CANDIDATES = _candidates()
_TOLD_BY_ATOMS = tuple(code for code in ATOM14 if code not in ("GLY", "ALA", "UNK"))
