"""The element of each atom: what the file says where it can be true, else what the name says."""

from __future__ import annotations

import warnings
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Bool

from itda.structure.numbers import distinct

HYDROGENS = ("H", "D")

_BACKBONE = {"N", "CA", "C"}
_POLYMER_LETTERS = "CNOSPHD"
_HALOGENS = ("BR", "CL")
_MOST_NAMES = 4


def resolve_elements(
    told: np.ndarray,
    atom_names: np.ndarray,
    residue_names: np.ndarray,
    padded_names: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Settle the element of each atom.

    In the standard amino acids, nucleotides and water the name of an atom begins with its element,
    so there a name overrules a column that says something else. Elsewhere the column is believed
    where it holds an element.

    Args:
        told: What the file says, '' where it says nothing.
        atom_names: Names of the atoms.
        residue_names: Names of their residues.
        padded_names: The four columns of PDB that hold the name: an element of one letter stands in
            the second of them.

    Returns:
        Elements in capitals, '' where there is none to tell, and notes.
    """
    columns = [told, residue_names, atom_names]
    if padded_names is not None and _is_aligned(padded_names, residue_names):
        columns.append(padded_names)
    kinds, kind_of = _distinct(columns)
    polymeric = _polymeric_names(residue_names, atom_names)
    found = np.empty(len(kinds), dtype="U2")
    wrong: dict[str, int] = {}
    counts = np.bincount(kind_of, minlength=len(kinds))
    for index, (said, residue, name, *padded) in enumerate(kinds):
        element = _as_element(said)
        bare = name.lstrip("0123456789'\"* ").upper()
        if residue in polymeric:
            by_name = _of_polymer(bare)
            # Deuterium often keeps the name of the hydrogen that it stands for.
            if by_name and not (element and {element, by_name} == {"H", "D"}):
                strict = _table(residue).found() or not element
                element = by_name if strict else element
        elif not element:
            element = _of_name(bare, residue, padded[0] if padded else "")
        found[index] = element
        if said.strip() and element != _as_element(said):
            wrong[said.strip()] = wrong.get(said.strip(), 0) + int(counts[index])
    notes: tuple[str, ...] = ()
    if wrong:
        shown = ", ".join(repr(word) for word in sorted(wrong)[:_MOST_NAMES])
        more = ", ..." if len(wrong) > _MOST_NAMES else ""
        notes = (
            f"{sum(wrong.values())} atoms have no true element ({shown}{more}): told from their "
            "names",
        )
    return found[kind_of], notes


def polymer_rows(
    residue_names: np.ndarray, atom_names: np.ndarray, hetero: np.ndarray
) -> Bool[np.ndarray, " atom"]:
    """Tell which atoms stand as ATOM in an amino acid or nucleotide."""
    known = [
        name for name in _polymeric_names(residue_names, atom_names) if not _table(name).is_water()
    ]
    return np.asarray(~hetero & np.isin(residue_names, known))


def _polymeric_names(residue_names: np.ndarray, atom_names: np.ndarray) -> set[str]:
    """Give the residue types that are amino acids, nucleotides or water, also under other names."""
    kept = np.isin(atom_names, list(_BACKBONE))
    backbones: dict[str, set[str]] = {}
    for residue, name in _distinct([residue_names[kept], atom_names[kept]])[0]:
        backbones.setdefault(residue, set()).add(name)
    return {
        residue
        for residue in distinct(residue_names)[0]
        if _table(residue).is_standard()
        or _table(residue).is_water()
        # Names of force fields, such as HIE; a modified residue may hold any element.
        or (not _table(residue).found() and backbones.get(residue) == _BACKBONE)
    }


def _table(residue: str) -> gemmi.ResidueInfo:
    return gemmi.find_tabulated_residue(residue)


def _distinct(columns: list[np.ndarray]) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Give the distinct rows of some columns, and which of them each row is."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        words, index = distinct(column)
        _, code = np.unique(code * len(words) + index, return_inverse=True)
    _, first = np.unique(code, return_index=True)
    return list(zip(*(column[first].tolist() for column in columns), strict=True)), code


@lru_cache(maxsize=1024)
def _as_element(said: str) -> str:
    """Give what is said as an element, without its charge; '' if it is none."""
    letters = said.strip().rstrip("0123456789+-").upper()
    known = letters.isalpha() and gemmi.Element(letters).atomic_number > 0
    return letters if known else ""


def _is_aligned(padded_names: np.ndarray, residue_names: np.ndarray) -> bool:
    """Tell whether carbons stand where they are told from calcium, in those residues we know."""
    carbons = np.char.strip(padded_names) == "CA"
    standard = [name for name in distinct(residue_names[carbons])[0] if _table(name).is_standard()]
    return not (np.char.startswith(padded_names, "CA") & np.isin(residue_names, standard)).any()


def _of_polymer(bare: str) -> str:
    if bare.startswith("SE"):
        return "SE"
    return bare[:1] if bare[:1] in _POLYMER_LETTERS else ""


def _of_name(bare: str, residue: str, padded: str) -> str:
    letters = bare.rstrip("0123456789+-'\"*")
    if letters == residue.rstrip("0123456789+-").upper():
        return _as_element(letters)
    if padded[:1] == " " or padded[:1].isdigit() or padded[1:2].isdigit():
        return _as_element(bare[:1])
    two = _as_element(bare[:2])
    # Of four letters HD21 and CL20 are as likely as HG and CL; of less, PDB's columns tell.
    if two and (bare[:2] in _HALOGENS or (padded and padded[3:] == " ")):
        return two
    if bare[:1] == "D" and not bare[1:2].isalpha():
        return "D"
    from biotite.structure import infer_elements

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(infer_elements([bare])[0]).upper()
