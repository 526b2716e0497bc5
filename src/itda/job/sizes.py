"""How large a job is, in tokens and in atoms, before anything of it is built."""

from __future__ import annotations

import re
from typing import NamedTuple

from itda.chem.dictionary import heavy_atoms
from itda.chem.residues import ATOM14, RESTYPE_1_TO_3
from itda.job.components import own_heavy_atoms
from itda.job.entities import Dna, Ion, Ligand, Molecule, Protein, Rna
from itda.job.model import Job

_NUCLEOTIDE_ATOMS = {
    "dna": {"A": 21, "C": 19, "G": 22, "T": 20, "N": 11},
    "rna": {"A": 22, "C": 20, "G": 23, "U": 20, "N": 12},
}
"""Heavy atoms of a nucleotide inside a chain, its phosphate among them."""

_SMILES_ATOM = re.compile(r"\[(\d*)([A-Za-z][a-z]?)[^\]]*\]|Cl|Br|[BCNOPSFIbcnops]|\*")


class JobSize(NamedTuple):
    """What a job holds.

    Attributes:
        residues: Of polymer chains; a ligand's component or an ion counts as one.
        tokens: Residues, nucleotides, and heavy atoms of ligands and modified residues (AlphaFold
            3, supplement 2.6).
        atoms: Heavy atoms; those that leave where components bind are counted too.
    """

    residues: int
    tokens: int
    atoms: int


def size_of(job: Job) -> JobSize:
    """Count what a job holds, copies too.

    >>> size_of(Job.from_sequence("peptide", "GAV"))
    JobSize(residues=3, tokens=3, atoms=16)
    """
    sizes = [(len(entity.ids), _size_of_entity(entity, job)) for entity in job.entities]
    return JobSize(*(sum(copies * size[part] for copies, size in sizes) for part in range(3)))


def _size_of_entity(entity: Molecule, job: Job) -> JobSize:
    match entity:
        case Protein() | Dna() | Rna():
            return _size_of_polymer(entity, job)
        case Ligand() if entity.smiles is not None:
            atoms = smiles_atoms(entity.smiles)
            return JobSize(1, atoms, atoms)
        case Ligand():
            atoms = sum(_component_atoms(code, job) for code in entity.ccd)
            return JobSize(len(entity.ccd), atoms, atoms)
        case Ion():
            return JobSize(1, 1, 1)


def _size_of_polymer(entity: Protein | Dna | Rna, job: Job) -> JobSize:
    modified = {one.position_1based - 1: one.ccd for one in entity.modifications}
    extra = {place: _component_atoms(code, job) for place, code in modified.items()}
    atoms = sum(
        extra[place] if place in extra else _residue_atoms(entity.molecule, letter)
        for place, letter in enumerate(entity.sequence)
    )
    tokens = entity.length - len(extra) + sum(extra.values())
    return JobSize(entity.length, tokens, atoms)


def _residue_atoms(molecule: str, letter: str) -> int:
    if molecule == "protein":
        # An unknown residue has a backbone and the beginning of a side chain.
        return len(ATOM14[RESTYPE_1_TO_3[letter]]) if letter in RESTYPE_1_TO_3 else 5
    return _NUCLEOTIDE_ATOMS[molecule][letter]


def _component_atoms(code: str, job: Job) -> int:
    own = own_heavy_atoms(job).get(code)
    return max(1, len(heavy_atoms(code)) if own is None else own)


def smiles_atoms(smiles: str) -> int:
    """Count the heavy atoms of a SMILES without building the molecule.

    >>> smiles_atoms("CC(=O)Oc1ccccc1C(=O)O"), smiles_atoms("[Na+].[Cl-]"), smiles_atoms("[2H]O[H]")
    (13, 2, 1)
    """
    return sum(match[2] != "H" for match in _SMILES_ATOM.finditer(smiles))
