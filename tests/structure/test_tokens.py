import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.structure.tokens import Tokens


def atoms_of(*residues: tuple[str, int, str, tuple[str, ...]]) -> AtomArray:
    names = [name for _, _, _, atoms in residues for name in atoms]
    atoms = AtomArray(len(names))
    counts = [len(one[3]) for one in residues]
    atoms.chain_id = np.repeat([one[0] for one in residues], counts)
    atoms.res_id = np.repeat([one[1] for one in residues], counts)
    atoms.res_name = np.repeat([one[2] for one in residues], counts)
    atoms.atom_name = np.array(names)
    return atoms


MIXED = atoms_of(
    ("A", 1, "GLY", ("N", "CA", "C", "O")),
    ("A", 2, "SEP", ("N", "CA", "P")),
    ("L", 1, "GOL", ("C1", "O1")),
    ("M", 1, "ZN", ("ZN",)),
)
SINGLE = np.array([False] * 4 + [True] * 6)


def test_a_token_is_a_residue_unless_told() -> None:
    tokens = Tokens.from_atoms(MIXED)
    assert tokens.starts.tolist() == [0, 4, 7, 9]
    assert not tokens.is_atom.any() and len(tokens) == tokens.residue_count == 4
    assert tokens.to_dict()["atom_name"] == [""] * 4


def test_atoms_of_ligands_and_modified_residues_are_tokens() -> None:
    tokens = Tokens.from_atoms(MIXED, SINGLE)
    assert tokens.starts.tolist() == [0, 4, 5, 6, 7, 8, 9]
    assert tokens.residue_of_token.tolist() == [0, 1, 1, 1, 2, 2, 3]
    told = tokens.to_dict()
    assert told["atom_name"] == ["", "N", "CA", "P", "C1", "O1", "ZN"]
    assert told["chain_id"] == list("AAAALLM") and told["number"] == [1, 2, 2, 2, 1, 1, 1]


def test_a_residue_has_the_mean_of_its_tokens() -> None:
    tokens = Tokens.from_atoms(MIXED, SINGLE)
    values = np.array([9.0, 1.0, 2.0, 3.0, 10.0, 20.0, 7.0])
    assert tokens.mean_of_residues(values).tolist() == [9.0, 2.0, 15.0, 7.0]


def test_of_a_residue_all_atoms_are_tokens_or_none() -> None:
    single = SINGLE.copy()
    single[5] = False
    with pytest.raises(ValueError, match="some atoms are tokens"):
        Tokens.from_atoms(MIXED, single)
