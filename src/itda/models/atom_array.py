"""From a network's atom14 positions to the atoms that go into a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from biotite.structure import AtomArray, concatenate
from jaxtyping import Float

from itda.chem.residues import ATOM14, RESTYPE_1_TO_3
from itda.job.entities import Protein
from itda.job.model import Job


def protein_chains(job: Job) -> list[tuple[str, Protein]]:
    """Give id and entity of each chain of a job that has passed a family of proteins alone."""
    chains = [(name, entity) for name, entity in job.chains if isinstance(entity, Protein)]
    assert len(chains) == len(job.chains), "the family's check lets proteins through only"
    return chains


def sequence_digests(chains: Sequence[tuple[str, Protein]]) -> dict[str, str]:
    """Name what each chain was folded from: `sequence`, or `A.sequence` where there are more."""
    digests = {
        chain_id: f"sha256:{hashlib.sha256(entity.sequence.encode()).hexdigest()}"
        for chain_id, entity in chains
    }
    if len(digests) == 1:
        return {"sequence": next(iter(digests.values()))}
    return {f"{chain_id}.sequence": digest for chain_id, digest in digests.items()}


def atoms_of_residues(sequence: str, *, unknown: str = "GLY") -> list[tuple[str, ...]]:
    """Name the heavy atoms that each residue is built with, in atom14 order.

    Args:
        sequence: One-letter codes.
        unknown: What X and other letters are built as: `GLY`, the backbone, or `ALA`, with CB.

    >>> atoms_of_residues("GX", unknown="ALA")
    [('N', 'CA', 'C', 'O'), ('N', 'CA', 'C', 'O', 'CB')]
    """
    names = (RESTYPE_1_TO_3.get(letter, "UNK") for letter in sequence)
    return [ATOM14[unknown if name == "UNK" else name] for name in names]


def atom_array(
    chains: Sequence[tuple[str, Protein]],
    positions: Float[np.ndarray, "residue 14 3"],
    plddt: Float[np.ndarray, "residue *atom"],
    *,
    unknown: str = "GLY",
) -> AtomArray:
    """Name atoms as the job asks: its chain ids and residue numbers go out unchanged.

    Args:
        chains: Id and entity of each chain, in the order of `positions`.
        positions: Of all chains one after the other, angstrom, in atom14 order.
        plddt: 0 to 100, of each residue or of each of its 14 atoms; becomes the B-factor.
        unknown: What X was built as, `GLY` or `ALA`; its residue name stays UNK.

    Returns:
        The heavy atoms that each residue has.
    """
    of_atom = np.broadcast_to(plddt.reshape(len(positions), -1), (len(positions), 14))
    parts, start = [], 0
    for chain_id, entity in chains:
        stretch = slice(start, start + entity.length)
        parts.append(_chain(chain_id, entity, positions[stretch], of_atom[stretch], unknown))
        start += entity.length
    return concatenate(parts)


def _chain(
    chain_id: str,
    entity: Protein,
    positions: Float[np.ndarray, "residue 14 3"],
    plddt: Float[np.ndarray, "residue 14"],
    unknown: str,
) -> AtomArray:
    names = [RESTYPE_1_TO_3.get(letter, "UNK") for letter in entity.sequence]
    atoms_of = atoms_of_residues(entity.sequence, unknown=unknown)
    residue = np.repeat(np.arange(entity.length), [len(atoms) for atoms in atoms_of])
    column = np.concatenate([np.arange(len(atoms)) for atoms in atoms_of])
    numbers = entity.residue_numbers()
    atom_names = [atom for atoms in atoms_of for atom in atoms]
    array = AtomArray(len(residue))
    array.coord = positions[residue, column]
    array.chain_id[:] = chain_id
    array.res_id = np.array([numbers[index].number for index in residue])
    array.ins_code = np.array([numbers[index].insertion_code for index in residue])
    array.res_name = np.array([names[index] for index in residue])
    array.atom_name = np.array(atom_names)
    array.element = np.array([atom[0] for atom in atom_names])
    array.set_annotation("b_factor", plddt[residue, column])
    return array
