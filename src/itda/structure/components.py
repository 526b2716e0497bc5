"""What kind of residue a component code stands for.

The standard amino acids, nucleotides and water are told here; the dictionary, which takes a moment
to read, is asked only for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from itda.chem.dictionary import dictionary_entry
from itda.chem.force_fields import standard_residue
from itda.chem.residues import RESTYPE_3_TO_1

Kind = Literal["peptide", "rna", "dna", "water", "other"]

_AMINO_ACID_NAMES = {
    "ALA": "ALANINE",
    "ARG": "ARGININE",
    "ASN": "ASPARAGINE",
    "ASP": "ASPARTIC ACID",
    "CYS": "CYSTEINE",
    "GLN": "GLUTAMINE",
    "GLU": "GLUTAMIC ACID",
    "GLY": "GLYCINE",
    "HIS": "HISTIDINE",
    "ILE": "ISOLEUCINE",
    "LEU": "LEUCINE",
    "LYS": "LYSINE",
    "MET": "METHIONINE",
    "PHE": "PHENYLALANINE",
    "PRO": "PROLINE",
    "SER": "SERINE",
    "THR": "THREONINE",
    "TRP": "TRYPTOPHAN",
    "TYR": "TYROSINE",
    "VAL": "VALINE",
    "UNK": "UNKNOWN",
}
_BASES = {"A": "ADENOSINE", "C": "CYTIDINE", "G": "GUANOSINE", "U": "URIDINE", "T": "THYMIDINE"}
_WATERS = frozenset({"HOH", "DOD", "WAT", "H2O"})


@dataclass(frozen=True)
class Component:
    """A residue type.

    Attributes:
        code: Component identifier, such as `MSE`.
        name: Chemical name, upper case; the code itself where it is unknown.
        link_type: `_chem_comp.type`, such as `L-PEPTIDE LINKING`; empty where it is unknown.
        one_letter: Letter of the residue or of the standard one that it is made from; `X` where
            there is none.
    """

    code: str
    name: str
    link_type: str
    one_letter: str

    @property
    def kind(self) -> Kind:
        """What polymer it is part of, if any."""
        if self.code in _WATERS:
            return "water"
        if "PEPTIDE LINKING" in self.link_type:
            return "peptide"
        if "RNA LINKING" in self.link_type:
            return "rna"
        return "dna" if "DNA LINKING" in self.link_type else "other"

    @property
    def is_standard(self) -> bool:
        """Whether it is one of the twenty amino acids, the four of RNA, or the four of DNA."""
        return self.code != "UNK" and self.code in _COMMON and self.kind not in ("water", "other")


def _common() -> dict[str, Component]:
    found = {
        code: Component(
            code,
            name,
            "PEPTIDE LINKING" if code == "GLY" else "L-PEPTIDE LINKING",
            RESTYPE_3_TO_1[code],
        )
        for code, name in _AMINO_ACID_NAMES.items()
    }
    for letter, name in _BASES.items():
        if letter != "T":
            found[letter] = Component(letter, f"{name}-5'-MONOPHOSPHATE", "RNA LINKING", letter)
        if letter != "U":
            code = f"D{letter}"
            name = name if letter == "T" else f"2'-DEOXY{name}"
            found[code] = Component(code, f"{name}-5'-MONOPHOSPHATE", "DNA LINKING", letter)
    found.update({code: Component(code, "WATER", "NON-POLYMER", "X") for code in _WATERS})
    return found


_COMMON = _common()


@lru_cache(maxsize=4096)
def component(code: str) -> Component:
    """Look up a component; one that the dictionary lacks has an empty `link_type`.

    >>> component("GLY").kind, component("MSE").one_letter, component("HOH").kind
    ('peptide', 'M', 'water')
    """
    if code in _COMMON:
        return _COMMON[code]
    entry = dictionary_entry(code)
    if entry is None or not entry.link_type:
        return Component(code, code, "", "X")
    letter = entry.parent
    # A chromophore made from several residues has several letters.
    return Component(code, entry.name or code, entry.link_type, letter if len(letter) == 1 else "X")


@dataclass(frozen=True)
class Reading:
    """How a residue of a file is understood.

    Attributes:
        component: What it is. Its code is the name in the file.
        standard_name: The PDB's name of the standard amino acid that it is; else its own.
        atom_names: The PDB's name of each atom that goes by another.
    """

    component: Component
    standard_name: str
    atom_names: Mapping[str, str]


@lru_cache(maxsize=4096)
def read_residue(name: str, atoms: frozenset[str]) -> Reading:
    """Tell what a residue is, by its name and its atoms.

    Simulation programs have names of their own for the standard amino acids, and some of them are
    codes of ligands in the dictionary; see `itda.chem.force_fields`.

    Args:
        name: As the file has it.
        atoms: Names of its heavy atoms.

    >>> read_residue("HIE", frozenset(["N", "CA", "C", "O", "CB"])).component.one_letter
    'H'
    """
    if name in _COMMON:
        found = standard_residue(name, atoms) if name in _AMINO_ACID_NAMES else None
        return Reading(_COMMON[name], name, found[1] if found else {})
    found = standard_residue(name, atoms)
    if found is None:
        own = component(name)
        if own.kind != "peptide":
            found = standard_residue(name, atoms, any_name=True)
        if found is None:
            return Reading(own, name, {})
    standard = _COMMON[found[0]]
    what = Component(name, standard.name, standard.link_type, standard.one_letter)
    return Reading(what, found[0], found[1])
