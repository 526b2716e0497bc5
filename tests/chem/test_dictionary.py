"""The dictionary of components, held against biotite's own functions."""

from pathlib import Path

import pytest
from biotite.structure import info
from biotite.structure.io.pdbx import BinaryCIFFile

from itda.chem.dictionary import dictionary_atoms, dictionary_entry

# Standard, modified, in small letters, of several letters, a nucleotide, ligands, an ion, water.
CHOSEN = ["ALA", "MSE", "SEP", "MK8", "CRO", "DA", "PSU", "ATP", "HEM", "NAG", "ZN", "HOH", "UNK"]


@pytest.fixture(scope="module")
def atoms():
    """The table of atoms as biotite reads it."""
    path = Path(info.__file__).parent / "components.bcif"
    table = BinaryCIFFile.read(path).block["chem_comp_atom"]
    return table["comp_id"].as_array(str), table["atom_id"].as_array(str)


@pytest.mark.parametrize("codes", [CHOSEN, slice(0, None, 199)], ids=["chosen", "one in 199"])
def test_it_says_what_biotite_says(codes, atoms) -> None:
    owners, names = atoms
    every = info.all_residues()
    assert len(every) == len(set(every)) > 40_000
    for code in every[codes] if isinstance(codes, slice) else codes:
        entry = dictionary_entry(code)
        assert entry is not None
        assert entry.name == (info.full_name(code) or "")
        assert entry.link_type == (info.link_type(code) or "").upper()
        assert entry.parent == (info.one_letter_code(code) or "")
        assert dictionary_atoms(code) == tuple(names[owners == code].tolist())


def test_what_is_not_in_it() -> None:
    assert dictionary_entry("NONE OF THESE") is None
    assert dictionary_atoms("NONE OF THESE") == ()


def test_an_obsolete_code_names_its_successor() -> None:
    replaced = [code for code in info.all_residues() if dictionary_entry(code).replaced_by]
    assert replaced
    assert all(dictionary_entry(dictionary_entry(code).replaced_by) for code in replaced[:50])
