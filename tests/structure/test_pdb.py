"""PDB as programs write it: what nobody needs does not matter, and what is taken is said."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.errors import InputError
from itda.structure.files import StructureFile, open_structure
from itda.structure.residues import Residues
from tests.structure.texts import Change, columns, each_atom, text_of


@pytest.fixture
def plain(ubiquitin: AtomArray, tmp_path: Path) -> str:
    return text_of(ubiquitin, tmp_path, ".pdb")


def opened(text: str, folder: Path, **options: bool) -> StructureFile:
    path = folder / "changed.pdb"
    path.write_text(text)
    return open_structure(path, **options)


def assert_same(found: AtomArray, wanted: AtomArray) -> None:
    for name in ("chain_id", "res_id", "ins_code", "res_name", "atom_name", "element"):
        assert found.get_annotation(name).tolist() == wanted.get_annotation(name).tolist(), name
    np.testing.assert_allclose(found.coord, wanted.coord, atol=1e-3)


def hexadecimal(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ATOM")]
    return "\n".join(f"{line[:6]}{100_000 + row:5x}{line[11:]}" for row, line in enumerate(lines))


def wide_numbers(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ATOM")]
    return "\n".join(f"{line[:6]}{100_000 + row}{line[11:]}" for row, line in enumerate(lines))


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (each_atom(lambda line: line[:54]), "the occupancy of all atoms is not told: 1.00 taken"),
        (each_atom(lambda line: line[:60]), "the B-factor of all atoms is not told: 0.00 taken"),
        (columns(55, 60, "******"), "the occupancy of all atoms is no number (line 1, columns"),
        (columns(61, 66, "******"), "columns 61 to 66: '******'): 0.00 taken"),
        (columns(61, 66, "   nan"), "the B-factor of all atoms is no number"),
        (columns(7, 11, "*****"), "some atoms have no number"),
        (columns(7, 11, "     "), "some atoms have no number"),
        (columns(7, 11, "A000F"), ""),
        (hexadecimal, "some atoms have no number"),
        (wide_numbers, "602 lines with long atom numbers"),
        (columns(79, 80, "1+"), ""),
        (columns(79, 80, "-1"), ""),
        (columns(79, 80, "xy"), "the charge of all atoms is no number"),
        (columns(73, 80, "1UBQ  70"), ""),
        (columns(73, 80, "1UBQ1234"), "602 atoms have no true element ('12')"),
        (columns(77, 78, "X"), "602 atoms have no true element ('X')"),
        (columns(77, 78, "Zz"), "no true element ('Zz')"),
        (columns(77, 78, "HE"), "no true element ('HE')"),
        (columns(77, 78, ""), ""),
        (each_atom(lambda line: line[:76] + line[76:78].lower() + line[78:]), ""),
        (each_atom(lambda line: line[:12] + line[12:16].strip().ljust(4) + line[16:76]), ""),
        (each_atom(lambda line: line.lower()[:6] + line[6:]), ""),
        (lambda text: text.replace("\nEND", ""), ""),
        (lambda text: "REMARK caf\u00e9 \u03b2\n" + text, ""),
        (lambda text: "HEADER\nJRNL\nREMARK   2 RESOLUTION. none\n" + text, ""),
        (lambda text: "MODEL        1\n" + text.replace("END", "ENDMDL\nEND\n"), ""),
        (lambda text: text.replace("\n", "\r\n"), ""),
        (lambda text: text + "MASTER        0\nCONECT    1    x\n\f\x1a", ""),
    ],
)
def test_fields_that_nobody_needs_do_not_matter(
    change: Change, note: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    found = opened(change(plain), tmp_path)
    assert_same(found.atoms, ubiquitin)
    if note:
        assert any(note in one for one in found.notes), found.notes
    else:
        assert found.notes == ()


def test_charges_of_both_forms_are_read(plain: str, tmp_path: Path) -> None:
    for word, charge in (("1+", 1), ("+1", 1), ("2-", -2), ("-2", -2), ("+", 1), ("3", 3)):
        assert set(opened(columns(79, 80, word)(plain), tmp_path).atoms.charge) == {charge}


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("********", "line 1, columns 31 to 38: x is '********', not a number"),
        ("        ", "columns 31 to 38: x is '', not a number"),
        ("     nan", "x is 'nan'"),
        ("    -inf", "x is '-inf'"),
        ("1.0e   5", "x is '1.0e   5'"),
    ],
)
def test_a_coordinate_that_is_no_number_is_named(
    word: str, problem: str, plain: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        opened(columns(31, 38, word)(plain), tmp_path)
    assert problem in caught.value.problem


def test_a_file_cut_off_within_a_line_names_the_line(plain: str, tmp_path: Path) -> None:
    lines = plain.splitlines()
    with pytest.raises(InputError, match="line 10, columns 47 to 54: z is ''"):
        opened("\n".join([*lines[:9], lines[9][:46]]), tmp_path)


def test_numbers_that_go_on_with_letters(plain: str, tmp_path: Path) -> None:
    """Hybrid-36, by the values that cctbx publishes, and as gemmi reads it."""
    lines = [line for line in plain.splitlines() if line.startswith("ATOM")][:4]
    fields = [("99999", "9999"), ("A0000", "A000"), ("A0001", "ZZZZ"), ("ZZZZZ", "a000")]
    text = "\n".join(
        f"{line[:6]}{serial}{line[11:22]}{number}{line[26:]}"
        for line, (serial, number) in zip(lines, fields, strict=True)
    )
    atoms = opened(text, tmp_path).atoms
    assert atoms.atom_id.tolist() == [99_999, 100_000, 100_001, 43_770_015]
    assert atoms.res_id.tolist() == [9999, 10_000, 1_223_055, 1_223_056]
    chain = gemmi.read_structure(str(tmp_path / "changed.pdb"))[0][0]
    assert [residue.seqid.num for residue in chain][:3] == atoms.res_id.tolist()[:3]


def test_a_fifth_digit_stands_in_the_column_behind(plain: str, tmp_path: Path) -> None:
    found = opened(columns(23, 27, "12345")(plain), tmp_path).atoms
    assert set(found.res_id) == {12_345}
    assert set(found.ins_code) == {""}


def test_residues_without_a_number_are_counted_on(
    plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    lines = plain.splitlines()
    text = "\n".join(
        line[:22] + "****" + line[26:] if line[22:26].strip() in ("75", "76") else line
        for line in lines
    )
    found = opened(text, tmp_path)
    assert_same(found.atoms, ubiquitin)
    assert any("have no residue number (line" in note for note in found.notes)


def test_long_residue_names_and_chains_of_two_letters(plain: str, tmp_path: Path) -> None:
    for residue, chain in (("TIP3", "W"), ("HSD ", "A"), ("POPC", "L"), ("HISE", "B")):
        atoms = opened(columns(18, 22, residue + chain)(plain), tmp_path).atoms
        assert (set(atoms.res_name), set(atoms.chain_id)) == ({residue.strip()}, {chain})
    for residue, chain in (("ALA", "AB"), (" DA", "x1"), ("HIS", "CD")):
        atoms = opened(columns(18, 22, residue + chain)(plain), tmp_path).atoms
        assert (set(atoms.res_name), set(atoms.chain_id)) == ({residue.strip()}, {chain})


HYDROGEN_NAMES = [" H  ", " HA ", "HD21", "1HB ", " HG ", "HE2 ", "HG11", "HH11", " D  ", "DD22"]


def test_hydrogens_are_known_by_their_names(tmp_path: Path) -> None:
    """Where the element is not told, by name alone, wherever in its columns the name stands."""
    for told in ("", " 7", "X", "HG", "Q"):
        for shift in (str, str.lstrip):
            lines = [
                f"ATOM  {row:5d} {shift(name):4} LEU A   1    {row:8.3f}{0:8.3f}{0:8.3f}"
                f"  1.00  0.00          {told:>2}"
                for row, name in enumerate([" N  ", " CA ", " CD1", *HYDROGEN_NAMES], 1)
            ]
            found = opened("\n".join(lines), tmp_path, hydrogens=False)
            assert found.atoms.element.tolist() == ["N", "C", "C"], (told, shift)


def test_elements_of_ligands_and_ions(tmp_path: Path) -> None:
    wanted = [
        (" CA ", "LIG", "C"), ("CA  ", " CA", "CA"), ("ZN  ", " ZN", "ZN"), ("CL1 ", "LIG", "CL"),
        (" C1 ", "LIG", "C"), ("NA  ", " NA", "NA"), ("FE  ", "HEM", "FE"), (" NA ", "HEM", "N"),
        ("SE  ", "MSE", "SE"), ("HO2'", "ATP", "H"), (" D1 ", "LIG", "D"), ("BR2 ", "LIG", "BR"),
    ]  # fmt: skip
    lines = [
        f"HETATM{row:5d} {name} {residue} A{row:4d}    {row:8.3f}{0:8.3f}{0:8.3f}".ljust(80)
        for row, (name, residue, _) in enumerate(wanted, 1)
    ]
    atoms = opened("\n".join(lines), tmp_path).atoms
    assert atoms.element.tolist() == [element for *_, element in wanted]
    theirs = gemmi.read_structure(str(tmp_path / "changed.pdb"))[0][0]
    assert [residue[0].element.name.upper() for residue in theirs] == atoms.element.tolist()


def moved(text: str, shift: float, chain: str = "") -> list[str]:
    """Give the atom records of a text beside where they were."""
    return [
        f"{line[:21]}{chain or line[21]}{line[22:30]}{float(line[30:38]) + shift:8.3f}{line[38:]}"
        for line in text.splitlines()
        if line.startswith("ATOM")
    ]


def chains_of(found: StructureFile) -> dict[str, int]:
    residues = Residues.from_atoms(found.atoms)
    names = np.array(residues.chain_ids)[residues.peptide_mask]
    return dict(zip(*(one.tolist() for one in np.unique(names, return_counts=True)), strict=True))


WATER = "HETATM  999  O   HOH     1      99.000  99.000  99.000  1.00  0.00           O"


@pytest.mark.parametrize(
    "between",
    [["TER"], ["TER     603      GLY A  76"], ["END"], [], ["TER", WATER, "TER"]],
)
def test_chains_without_ids_are_told_apart(between: list[str], plain: str, tmp_path: Path) -> None:
    """By TER, and where it is missing by numbers that begin again far away."""
    # Without the last residue, so that END does not stand between two frames of one molecule.
    text = [*moved(plain, 0, " "), *between, *moved(plain, 40, " ")[:-5], "TER", WATER, "END"]
    found = opened("\n".join(text), tmp_path)
    assert chains_of(found) == {"A": 76, "B": 75}
    assert set(found.atoms.chain_id[found.atoms.hetero]) == {""}
    assert any("2 chains without a name: named A, B" in note for note in found.notes)


def test_chains_without_ids_are_told_apart_by_segment(plain: str, tmp_path: Path) -> None:
    lines = [line[:72] + "PROA" + line[76:] for line in moved(plain, 0, " ")]
    # Numbers go on, as CHARMM writes them.
    other = [
        f"{line[:22]}{int(line[22:26]) + 76:4d}{line[26:72]}PROB{line[76:]}"
        for line in moved(plain, 40, " ")
    ]
    assert chains_of(opened("\n".join([*lines, *other]), tmp_path)) == {"A": 76, "B": 76}


def test_one_chain_without_an_id_stays_without(plain: str, tmp_path: Path) -> None:
    found = opened("\n".join([*moved(plain, 0, " "), "TER", WATER, "END"]), tmp_path)
    assert chains_of(found) == {"": 76}
    assert found.notes == ()


def test_a_chain_without_an_id_beside_one_that_has_one(plain: str, tmp_path: Path) -> None:
    text = [*moved(plain, 0, "A"), "TER", *moved(plain, 40, " ")]
    found = opened("\n".join(text), tmp_path)
    assert chains_of(found) == {"A": 76, "B": 76}
    assert "1 chain without a name: named B" in found.notes


@pytest.mark.parametrize("between", [["TER"], [], ["END"]])
def test_copies_under_one_id_are_chains_of_their_own(
    between: list[str], plain: str, tmp_path: Path
) -> None:
    text = [*moved(plain, 0), *between, *moved(plain, 40)[:-5]]
    found = opened("\n".join(text), tmp_path)
    assert chains_of(found) == {"A": 76, "B": 75}
    assert "chain A holds 2 chains: named A, B" in found.notes


def test_ter_at_a_gap_ends_no_chain(plain: str, ubiquitin: AtomArray, tmp_path: Path) -> None:
    lines = moved(plain, 0)
    kept = [line for line in lines if not 30 <= int(line[22:26]) < 40]
    place = next(row for row, line in enumerate(kept) if int(line[22:26]) == 40)
    found = opened("\n".join([*kept[:place], "TER", *kept[place:]]), tmp_path)
    assert chains_of(found) == {"A": 66}
    assert found.notes == ()


@pytest.mark.parametrize(("begin", "end"), [("MODEL  {}", "ENDMDL"), ("", "ENDMDL"), ("", "END")])
def test_models_are_parted_by_any_of_their_records(
    begin: str, end: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    lines = []
    for number in range(1, 4):
        lines += [begin.format(number), *moved(plain, number), "TER", end]
    path = tmp_path / "models.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    for number in range(1, 4):
        found = open_structure(path, model=number)
        assert found.model_count == 3
        np.testing.assert_allclose(
            found.atoms.coord[:, 0], ubiquitin.coord[:, 0] + number, atol=2e-3
        )
