"""Names of force fields; expectations follow their published residue lists."""

import pytest

from itda.chem.force_fields import standard_residue
from itda.chem.residues import ATOM14, RESTYPE_3_TO_1

VARIANTS = {
    "HIS": "HID HIE HIP HSD HSE HSP HISA HISB HISH HISD HISE",
    "CYS": "CYX CYM CYSH CYS2",
    "ASP": "ASH ASPP ASPH",
    "GLU": "GLH GLUP GLUH",
    "LYS": "LYN LYSH LSN",
    "ARG": "ARN ARGN",
}


@pytest.mark.parametrize(
    ("name", "standard"),
    [(name, standard) for standard, names in VARIANTS.items() for name in names.split()],
)
def test_a_variant_is_its_parent(name: str, standard: str) -> None:
    assert standard_residue(name, ATOM14[standard]) == (standard, {})
    # So it is in three columns, with no side chain, and at either end of a chain.
    assert standard_residue(name, ("N", "CA", "C", "O")) == (standard, {})
    if name[:3] not in RESTYPE_3_TO_1:
        assert standard_residue(name[:3], ATOM14[standard]) == (standard, {})
    if len(name) == 3:
        for end in "NC":
            assert standard_residue(end + name, (*ATOM14[standard], "OXT")) == (standard, {})


@pytest.mark.parametrize("standard", [code for code in ATOM14 if code != "UNK"])
@pytest.mark.parametrize("end", ["N", "C"])
def test_the_ends_of_chains_are_read_whole_and_in_three_columns(standard: str, end: str) -> None:
    for name in (end + standard, (end + standard)[:3]):
        found = standard_residue(name, ATOM14[standard])
        assert found == (standard, {}), name


def test_an_amino_acid_of_the_dictionary_keeps_its_code() -> None:
    norleucine = ("N", "CA", "C", "O", "CB", "CG", "CD", "CE")
    assert standard_residue("NLE", norleucine) is None
    assert standard_residue("NLE", ATOM14["LEU"]) == ("LEU", {})
    assert standard_residue("NVA", ("N", "CA", "C", "O", "CB", "CG", "CD")) is None
    assert standard_residue("HIP", (*ATOM14["HIS"], "P", "O1P", "O2P", "O3P")) is None
    assert standard_residue("HSE", ("N", "CA", "C", "O", "CB", "CG", "OD")) is None
    assert standard_residue("CYM", (*ATOM14["CYS"], "CD")) is None


def test_a_ligand_is_none_of_them() -> None:
    assert standard_residue("HIE", ("C1", "C2", "N1", "F1")) is None
    assert standard_residue("NME", ("N", "C")) is None
    assert standard_residue("CA", ("CA",)) is None


def test_an_unknown_name_is_told_by_a_whole_side_chain_alone() -> None:
    assert standard_residue("QQQ", ATOM14["TRP"]) is None
    assert standard_residue("QQQ", ATOM14["TRP"], any_name=True) == ("TRP", {})
    assert standard_residue("QQQ", ATOM14["ALA"], any_name=True) is None
    assert standard_residue("QQQ", ATOM14["TRP"][:-1], any_name=True) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [("OT1", "OT2"), ("O1", "O2"), ("OC1", "OC2"), ("OCT1", "OCT2"), ("O", "OT"), ("O", "OXT")],
)
def test_oxygen_atoms_of_the_end(first: str, second: str) -> None:
    atoms = ("N", "CA", "C", first, second)
    found = standard_residue("GLY", atoms)
    assert found is not None
    assert [found[1].get(atom, atom) for atom in atoms] == ["N", "CA", "C", "O", "OXT"]


def test_isoleucine_of_charmm() -> None:
    atoms = ("N", "CA", "C", "O", "CB", "CG1", "CG2", "CD")
    assert standard_residue("ILE", atoms) == ("ILE", {"CD": "CD1"})
    assert standard_residue("NIL", atoms) == ("ILE", {"CD": "CD1"})
    assert standard_residue("LYS", ("N", "CA", "CD")) == ("LYS", {})
