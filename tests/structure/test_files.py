"""Reading and writing: what comes in goes out, and what is broken is refused by name."""

import gzip
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray, get_residue_count
from hypothesis import given, settings
from hypothesis import strategies as st

from itda.errors import InputError, ItdaError, OutputError
from itda.structure.files import open_structure, read_structure, write_structure

SUFFIXES = [".cif", ".bcif", ".pdb", ".cif.gz", ".bcif.gz", ".pdb.gz"]

MMCIF = """\
data_odd
_entry.id ODD
_struct.title 'An odd one'
_exptl.method 'X-RAY DIFFRACTION'
_refine.ls_d_res_high 1.95
loop_
_pdbx_audit_revision_history.ordinal
_pdbx_audit_revision_history.revision_date
1 2003-04-05
2 2011-07-13
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_entity_id
_atom_site.label_seq_id
_atom_site.pdbx_PDB_ins_code
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.B_iso_or_equiv
_atom_site.pdbx_formal_charge
_atom_site.auth_seq_id
_atom_site.auth_asym_id
_atom_site.pdbx_PDB_model_num
ATOM   1  N  N     . SER AAA 1 1 ? 0.000 0.000 0.000 1.00 10.00 ? -5  LongName 1
ATOM   2  C  CA    . SER AAA 1 1 ? 1.460 0.000 0.000 1.00 10.50 ? -5  LongName 1
ATOM   3  C  CB    A SER AAA 1 1 ? 2.000 1.000 0.000 0.40 11.00 ? -5  LongName 1
ATOM   4  C  CB    B SER AAA 1 1 ? 2.000 -1.00 0.000 0.60 12.00 ? -5  LongName 1
ATOM   5  O  OG    A SER AAA 1 1 ? 3.000 1.000 0.000 0.40 11.00 ? -5  LongName 1
ATOM   6  H  HA    . SER AAA 1 1 ? 1.460 0.500 0.500 1.00 10.00 ? -5  LongName 1
HETATM 7  N  N     . MSE AAA 1 2 A 3.000 3.000 0.000 1.00 10.00 ? -5  LongName 1
HETATM 8  SE SE    . MSE AAA 1 2 A 4.000 3.000 0.000 1.00 10.00 ? -5  LongName 1
HETATM 9  ZN ZN    . ZN  BBB 2 . ? 9.000 9.000 9.000 1.00 30.00 2 101 LongName 1
HETATM 10 O  "O5'" . ATP CCC 3 . ? 7.000 7.000 7.000 1.00 30.00 ? 102 LongName 1
HETATM 11 O  O     . HOH DDD 4 . ? 5.000 5.000 5.000 1.00 30.00 ? 201 LongName 1
HETATM 12 O  O     . HOH DDD 4 . ? 6.000 5.000 5.000 1.00 30.00 ? 202 LongName 1
ATOM   13 N  N     . SER AAA 1 1 ? 0.500 0.000 0.000 1.00 10.00 ? -5  LongName 7
"""

PDB = """\
HEADER    TEST                                    01-JAN-00   1ODD
EXPDTA    X-RAY DIFFRACTION
REMARK   2
REMARK   2 RESOLUTION.    2.10 ANGSTROMS.
ATOM      1  N   GLY A  -2       0.000   0.000   0.000  1.00 10.00           N
ATOM      2  CA  GLY A  -2       1.460   0.000   0.000  1.00 10.00           C
ATOM      3  CA AALA A  52A      2.460   0.000   0.000  0.50 10.00           C
ATOM      4  CA BALA A  52A      3.460   0.000   0.000  0.50 10.00           C
ATOM      5  CA  ALA A  52B      4.460   0.000   0.000  1.00 10.00           C
HETATM    6 CA    CA A 101      10.000   0.000   0.000  1.00 10.00          CA2+
END
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.cif"
    path.write_text(MMCIF)
    return path


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_again(suffix: str, with_water: AtomArray, tmp_path: Path) -> None:
    path = tmp_path / f"copy{suffix}"
    write_structure(path, with_water)
    again = read_structure(path)
    for name in ("chain_id", "res_id", "ins_code", "res_name", "atom_name", "element", "hetero"):
        assert (again.get_annotation(name) == with_water.get_annotation(name)).all(), name
    np.testing.assert_allclose(again.coord, with_water.coord, atol=5.1e-4)
    np.testing.assert_allclose(again.b_factor, with_water.b_factor, atol=5.1e-3)
    if "pdb" not in suffix:
        for name in ("label_asym_id", "label_seq_id", "label_entity_id"):
            assert (again.get_annotation(name) == with_water.get_annotation(name)).all(), name


@pytest.mark.parametrize("suffix", [".cif", ".pdb", ".cif.gz", ".pdb.gz"])
def test_gemmi_reads_the_same(suffix: str, with_water: AtomArray, tmp_path: Path) -> None:
    path = tmp_path / f"copy{suffix}"
    write_structure(path, with_water)
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    chain = structure[0]["A"]
    assert len(chain) == get_residue_count(with_water)
    assert chain.get_polymer().length() == 76
    positions = [atom.pos.tolist() for residue in chain for atom in residue]
    np.testing.assert_allclose(positions, with_water.coord, atol=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_structures_give_equal_bytes(
    suffix: str, with_water: AtomArray, tmp_path: Path
) -> None:
    first, second = tmp_path / f"same{suffix}", tmp_path / "other" / f"same{suffix}"
    second.parent.mkdir()
    write_structure(first, with_water)
    write_structure(second, with_water.copy())
    assert first.read_bytes() == second.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_author_and_label_names_are_both_kept(odd: Path) -> None:
    atoms = read_structure(odd)
    assert set(atoms.chain_id) == {"LongName"}
    assert list(dict.fromkeys(atoms.label_asym_id)) == ["AAA", "BBB", "CCC", "DDD"]
    assert list(dict.fromkeys(atoms.res_id)) == [-5, 101, 102, 201, 202]
    assert atoms.ins_code[atoms.res_name == "MSE"].tolist() == ["A", "A"]
    assert atoms.label_seq_id.tolist()[-4:] == [0, 0, 0, 0]
    assert atoms[atoms.res_name == "ATP"].atom_name.tolist() == ["O5'"]
    assert atoms.element[atoms.atom_name == "SE"].tolist() == ["SE"]
    assert atoms.charge[atoms.res_name == "ZN"].tolist() == [2]
    assert get_residue_count(atoms) == 6


@pytest.mark.parametrize("suffix", [".cif", ".bcif"])
def test_odd_names_go_out_as_they_came(suffix: str, odd: Path, tmp_path: Path) -> None:
    atoms = read_structure(odd)
    write_structure(tmp_path / f"out{suffix}", atoms)
    again = read_structure(tmp_path / f"out{suffix}")
    for name in set(atoms.get_annotation_categories()) - {"occupancy"}:
        assert (again.get_annotation(name) == atoms.get_annotation(name)).all(), name


def test_names_that_cif_reserves_are_quoted(with_water: AtomArray, tmp_path: Path) -> None:
    atoms = with_water[:30].copy()
    for chain in ("#1", "[x]", "data_1", "loop_", "_A", "a'b", 'a"b', "$", "A B"):
        atoms.chain_id = np.full(len(atoms), chain)
        del_labels(atoms)
        write_structure(tmp_path / "quoted.cif", atoms)
        assert set(read_structure(tmp_path / "quoted.cif").chain_id) == {chain}
        assert gemmi.read_structure(str(tmp_path / "quoted.cif"))[0][0].name == chain


def del_labels(atoms: AtomArray) -> None:
    for name in ("label_asym_id", "label_seq_id", "label_entity_id"):
        if name in atoms.get_annotation_categories():
            atoms.del_annotation(name)


def test_the_conformer_of_highest_occupancy_is_kept_and_said(odd: Path) -> None:
    found = open_structure(odd)
    beta = found.atoms[found.atoms.atom_name == "CB"]
    assert beta.coord[:, 1].tolist() == [-1.0]
    # OG stands only in conformer A, and is not lost for that.
    assert "OG" in found.atoms.atom_name
    assert any(
        "-5 SER: conformer B (occupancy 0.60) kept over A 0.40" in one for one in found.notes
    )


def test_hydrogens_are_kept_or_left_out(odd: Path) -> None:
    assert "HA" in read_structure(odd).atom_name
    found = open_structure(odd, hydrogens=False)
    assert "HA" not in found.atoms.atom_name
    assert "1 hydrogens left out" in found.notes


def test_models_count_from_one_whatever_their_numbers(odd: Path) -> None:
    found = open_structure(odd, model=2)
    assert found.model_count == 2
    assert found.atoms.coord[:, 0].tolist() == [0.5]
    assert "model 2 of 2 read" in found.notes
    for model in (0, 3, -1):
        with pytest.raises(InputError, match=f"no model {model}"):
            open_structure(odd, model=model)


def test_metadata_is_read(odd: Path, tmp_path: Path) -> None:
    found = open_structure(odd).metadata
    assert (found.entry_id, found.title) == ("ODD", "An odd one")
    assert found.method == "X-RAY DIFFRACTION"
    assert found.resolution_angstrom == 1.95
    assert found.release_date == "2003-04-05"
    pdb = open_structure(write(tmp_path / "odd.pdb", PDB)).metadata
    assert (pdb.entry_id, pdb.method, pdb.resolution_angstrom) == ("1ODD", "X-RAY DIFFRACTION", 2.1)


def test_pdb_is_read_with_insertion_codes_and_ions(tmp_path: Path) -> None:
    found = open_structure(write(tmp_path / "odd.pdb", PDB))
    atoms = found.atoms
    assert list(zip(atoms.res_id.tolist(), atoms.ins_code.tolist(), strict=True)) == [
        (-2, ""),
        (-2, ""),
        (52, "A"),
        (52, "B"),
        (101, ""),
    ]
    # Equal occupancies: the first conformer.
    assert atoms.coord[2, 0] == pytest.approx(2.46)
    assert (atoms.element[-1], atoms.charge[-1], bool(atoms.hetero[-1])) == ("CA", 2, True)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(end: str, tmp_path: Path) -> None:
    for name, text in (("a.cif", MMCIF), ("a.pdb", PDB)):
        plain = read_structure(write(tmp_path / name, text))
        marked = "\ufeff" + text.replace("\n", end)
        assert (read_structure(write(tmp_path / name, marked)).coord == plain.coord).all()


def test_utf_16_is_read(tmp_path: Path) -> None:
    for name, text in (("a.cif", MMCIF), ("a.pdb", PDB)):
        plain = read_structure(write(tmp_path / name, text))
        again = read_structure(write(tmp_path / name, text.encode("utf-16")))
        assert (again.coord == plain.coord).all()


def test_latin_1_in_what_is_no_atom_is_read(tmp_path: Path) -> None:
    for name, text in (
        ("a.cif", MMCIF.replace("An odd one", "Un caf\u00e9")),
        ("a.pdb", "AUTHOR    M\u00dcLLER\n" + PDB),
    ):
        plain = open_structure(write(tmp_path / name, text))
        again = open_structure(write(tmp_path / name, text.encode("latin-1")))
        assert (again.atoms.coord == plain.atoms.coord).all()
        assert again.metadata == plain.metadata


def test_the_content_tells_the_format(tmp_path: Path, with_water: AtomArray) -> None:
    write_structure(tmp_path / "a.bcif.gz", with_water)
    for source, name in ((PDB, "wrong.cif"), (MMCIF, "wrong.pdb"), (MMCIF, "none")):
        read_structure(write(tmp_path / name, source))
    (tmp_path / "a.bcif.gz").rename(tmp_path / "a.pdb")
    assert open_structure(tmp_path / "a.pdb").format == "bcif"


def test_a_file_with_label_numbers_only_is_read(tmp_path: Path) -> None:
    header, _, rows = MMCIF.partition("ATOM   1 ")
    header = header.replace("_atom_site.auth_seq_id\n_atom_site.auth_asym_id\n", "")
    cut = []
    for line in ("ATOM   1 " + rows).splitlines():
        words = line.split()
        cut.append(" ".join([*words[:-3], words[-1]]))
    atoms = read_structure(write(tmp_path / "a.cif", header + "\n".join(cut) + "\n"))
    assert list(dict.fromkeys(atoms.chain_id)) == ["AAA", "BBB", "CCC", "DDD"]
    assert atoms.res_id[atoms.hetero].tolist() == [2, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"\x00\x01\x02\x03" * 99, "binary data"),
        (gzip.compress(MMCIF.encode(), mtime=0)[:80], "cut-off gzip"),
        (b"PK\x03\x04rest", "packed with zip"),
        (b"BZh91AY", "packed with bzip2"),
        (b">1UBQ\nMQIFVK\n", "no known format"),
        (b"<!DOCTYPE html><html></html>", "no known format"),
        (b"HEADER    NOTHING\nEND\n", "no ATOM or HETATM"),
        (b"data_x\n_entry.id x\n", "no atom_site"),
        (MMCIF.replace("1.460 0.000", "none 0.000").encode(), "line 32, column 36: atom_site.Cart"),
        (MMCIF.replace("1.460 0.000", "? 0.000").encode(), "Cartn_x is null, not a number"),
        (MMCIF.replace("_atom_site.Cartn_y", "_atom_site.other").encode(), "no Cartn_y"),
        (PDB.replace("   1.460", "   x.460").encode(), "line 6, columns 31 to 38: x is"),
        (PDB.replace("   1.460", "     nan").encode(), "x is 'nan', not a number"),
        (PDB.encode()[:300] + b"\x00" * 40, "line 6 has a NUL byte"),
        (MMCIF.encode()[:600] + b"\x00" * 40, "has a NUL byte, so the file is damaged"),
        (b"\x1f\x9d\x90", "packed with compress"),
        (gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "is a tar archive"),
        (b"\x81\xaadataBlocks\x91", "broken bcif"),
    ],
)
def test_a_broken_file_is_refused_by_name(content: bytes, problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "broken", content)
    with pytest.raises(InputError) as caught:
        read_structure(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_structure(tmp_path / "none.cif")
    with pytest.raises(InputError, match="is a folder"):
        read_structure(tmp_path)


def test_fasta_and_web_pages_get_a_hint_of_their_own(tmp_path: Path) -> None:
    for content, hint in (
        (">a\nMK\n", "FASTA"),
        ("<html>", "web page"),
        ('<?xml version="1.0"?>\n<PDBx:datablock/>', "PDBML"),
        ('{"data_1UBQ": {}}', "mmJSON"),
        ("@<TRIPOS>MOLECULE", "MOL2"),
    ):
        with pytest.raises(InputError) as caught:
            read_structure(write(tmp_path / "x", content))
        assert hint in caught.value.hint


def test_only_hydrogens_is_no_structure_without_them(tmp_path: Path) -> None:
    text = "ATOM      1  H   GLY A   1       0.000   0.000   0.000  1.00 10.00           H\n"
    path = write(tmp_path / "h.pdb", text)
    assert len(read_structure(path)) == 1
    with pytest.raises(InputError, match="no atom"):
        read_structure(path, hydrogens=False)


@pytest.fixture(scope="module")
def binary_content(with_water: AtomArray, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "whole.bcif"
    write_structure(path, with_water[:40])
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_never_ends_in_another_error(
    data: st.DataObject, folder: Path, binary_content: bytes
) -> None:
    content = data.draw(st.sampled_from([MMCIF.encode(), PDB.encode(), binary_content]))
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(len(content), start + 60)))
    damaged = content[:start] + data.draw(st.binary(max_size=20)) + content[stop:]
    try:
        read_structure(write(folder / "damaged", damaged))
    except ItdaError as error:
        assert "damaged" in error.problem


def test_pdb_refuses_what_it_cannot_hold(with_water: AtomArray, tmp_path: Path) -> None:
    path = tmp_path / "out.pdb"
    many = AtomArray(100_000)
    many.coord[:], many.chain_id[:] = 0.0, "A"
    changes = {
        "100000 atoms": many,
        "chain 'AB'": changed(with_water, chain_id="AB"),
        "residue name 'A1LU6'": changed(with_water, res_name="A1LU6"),
        "residue number 10000": changed(with_water, res_id=10_000),
        "residue number -1000": changed(with_water, res_id=-1000),
        "coordinate 10000": changed(with_water, coord=10_000.0),
        "B-factor 1000": changed(with_water, b_factor=1000.0),
    }
    for problem, atoms in changes.items():
        with pytest.raises(OutputError) as caught:
            write_structure(path, atoms)
        assert problem in caught.value.problem
        assert ".cif" in caught.value.hint
        assert not path.exists()


def changed(atoms: AtomArray, **values: object) -> AtomArray:
    atoms = atoms[:5].copy()
    for name, value in values.items():
        if name == "coord":
            atoms.coord[0] = value
        else:
            atoms.set_annotation(name, np.full(len(atoms), value))
    return atoms


def test_pdb_ends_each_polymer(with_water: AtomArray, tmp_path: Path) -> None:
    write_structure(tmp_path / "a.pdb", with_water)
    lines = (tmp_path / "a.pdb").read_text().splitlines()
    assert lines.count("TER") == 1
    assert "GLY A  76" in lines[lines.index("TER") - 1]
    assert "HOH" in lines[lines.index("TER") + 1]
    assert lines[-1] == "END"


def test_what_cannot_be_written_is_said(with_water: AtomArray, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not tell a structure format"):
        write_structure(tmp_path / "a.xyz", with_water)
    with pytest.raises(OutputError, match="no atom"):
        write_structure(tmp_path / "a.cif", with_water[:0])
    with pytest.raises(OutputError, match="no finite coordinates"):
        write_structure(tmp_path / "a.cif", changed(with_water, coord=np.nan))
    with pytest.raises(OutputError, match="cannot be written"):
        write_structure(tmp_path / "missing" / "a.cif", with_water)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_leave_to_write_is_said(with_water: AtomArray, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        write_structure(tmp_path / "a.cif", with_water)
    tmp_path.chmod(0o700)


def test_a_failed_write_leaves_what_was_there(
    with_water: AtomArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.cif", "before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_structure(path, with_water)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.cif"]
