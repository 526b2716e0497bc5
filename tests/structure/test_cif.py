"""mmCIF as programs write it: the whole grammar, and nothing beside the atoms can lose them."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray
from biotite.structure.io import pdbx

from itda.errors import InputError
from itda.structure.files import StructureFile, open_structure, write_structure
from tests.structure.texts import Change, atom_rows, cells, site_items, text_of


@pytest.fixture
def plain(ubiquitin: AtomArray, tmp_path: Path) -> str:
    return text_of(ubiquitin, tmp_path, ".cif")


def opened(text: str, folder: Path) -> StructureFile:
    path = folder / "changed.cif"
    path.write_text(text)
    return open_structure(path)


def assert_same(found: AtomArray, wanted: AtomArray) -> None:
    for name in ("chain_id", "res_id", "ins_code", "res_name", "atom_name", "element", "hetero"):
        assert found.get_annotation(name).tolist() == wanted.get_annotation(name).tolist(), name
    np.testing.assert_allclose(found.coord, wanted.coord, atol=1e-3)


def with_item(item: str) -> Change:
    """Put an item before the atoms."""
    return lambda text: text.replace("loop_\n_atom_site.", f"{item}\nloop_\n_atom_site.", 1)


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def one_word_a_line(text: str) -> str:
    return "\n\t".join(text.split())


def capitals(text: str) -> str:
    return "\n".join(
        line.upper() if line.startswith(("_atom_site.", "loop_", "data_")) else line
        for line in text.splitlines()
    )


GRAMMAR: dict[str, Change] = {
    "indented": lambda text: text.replace("\n", "\n  "),
    "tabs": lambda text: text.replace("\n", "\n\t"),
    "capital names": capitals,
    "capital names of the first letters": lambda text: text.replace("_atom_site.", "_Atom_Site."),
    "quotes in a word": with_item("_struct.title 'complex with the 5'-end'"),
    "double quotes in a word": with_item('_struct.title "a "B"-form helix"'),
    "an unquoted quote in a word": with_item("_struct.title 5'-end"),
    "a text field": with_item("_refine.details\n;riding\n_b were 'isotropic\nloop_ data_x\n;"),
    "a text field of a table": with_item("loop_\n_a.b\n_a.c\n1\n;x\n _atom_site.id 1\n;\n2 '3'"),
    "several items a line": with_item("_a.b 1 _a.c 'x y' _a.d ."),
    "a table in a line": with_item("loop_ _a.b _a.c 1 2 3 4"),
    "comments": lambda text: text.replace("\n", " # it's a \"comment\n"),
    "a save frame": with_item("save_x\n_a.b 1\nsave_"),
    "stop_": lambda text: text.replace("\nATOM", "\n\nATOM", 1) + "stop_\n",
    "global_": lambda text: "global_\n_a.b 1\n" + text,
    "null items": with_item("_a.b ?\n_a.c ."),
    "an item twice": with_item("_a.b 1\n_a.b 2"),
    "a block of the same name twice": lambda text: text + text.split("\n")[0] + "\n_a.b 1\n",
    "an item without a value": with_item("_a.b"),
    "an empty table": with_item("loop_\n_a.b\n_a.c"),
    "a long quoted line": with_item("_a.b '" + "don't " * 30_000 + "'"),
    "a long line of quotes": with_item("loop_ _a.b " + "'1' " * 100_000),
    "accents": with_item("_a.b 'caf\u00e9'\n# \u03b2"),
    "no empty line at the end": str.strip,
}  # fmt: skip


@pytest.mark.parametrize("kind", GRAMMAR)
def test_the_whole_grammar_is_read(
    kind: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    found = opened(GRAMMAR[kind](plain), tmp_path)
    assert_same(found.atoms, ubiquitin)
    assert found.notes == ()


@pytest.mark.parametrize("kind", ["one line", "one word a line"])
def test_lines_do_not_matter(kind: str, ubiquitin: AtomArray, tmp_path: Path) -> None:
    change = {"one line": in_one_line, "one word a line": one_word_a_line}[kind]
    text = text_of(ubiquitin, tmp_path, ".cif")
    table = text[text.index("loop_\n_atom_site.") :].partition("#")[0]
    assert_same(opened("data_x\n" + change(table), tmp_path).atoms, ubiquitin)


BROKEN: dict[str, Change] = {
    "words without quotes": with_item("_struct.title a title of words"),
    "a quote that never ends": with_item("_struct.title 'it never ends"),
    "a table with a value too many": with_item("loop_\n_a.b\n_a.c\n1 2 3"),
    "a reserved character": with_item("_a.b $x"),
    "accents without quotes": with_item("_a.b caf\u00e9"),
    "a control character": with_item("_a.b \x01"),
    "a text field that never ends": lambda text: text + "\n_a.b\n;text\n",
    "a table cut off behind the atoms": lambda text: text + "\nloop_\n_a.b\n_a.c\n1 2 3",
    "words before the block": lambda text: "Downloaded by a program\n\n" + text,
    "no block": lambda text: "\n".join(text.splitlines()[1:]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_elsewhere_loses_no_atom(
    kind: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    found = opened(BROKEN[kind](plain), tmp_path)
    assert_same(found.atoms, ubiquitin)
    if kind != "no block":
        assert any("is not CIF throughout (line " in note for note in found.notes)


def test_a_table_of_atoms_that_is_cut_off_names_the_line(plain: str, tmp_path: Path) -> None:
    last = next(
        number for number, line in enumerate(plain.splitlines(), 1) if line.startswith("ATOM 300 ")
    )
    cut = "\n".join([*plain.splitlines()[: last - 1], "ATOM 300 N N"])
    with pytest.raises(InputError, match=f"line {last}: 4 values stand there, and _atom_site has"):
        opened(cut, tmp_path)


def test_a_row_of_atoms_with_a_word_too_many_names_the_line(plain: str, tmp_path: Path) -> None:
    lines = plain.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("ATOM 30 "))
    lines[row] += " extra"
    with pytest.raises(InputError, match=f"line {row + 1}: "):
        opened("\n".join(lines), tmp_path)


@pytest.mark.parametrize("word", ["none", "*****", "?", ".", "nan", "inf", "1,5", "''"])
def test_a_coordinate_that_is_no_number_is_named(word: str, plain: str, tmp_path: Path) -> None:
    place = site_items(plain).index("Cartn_y")
    lines = plain.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("ATOM 2 "))
    words = lines[row].split()
    words[place] = word
    lines[row] = " ".join(words)
    column = len(" ".join(words[:place])) + 2
    with pytest.raises(InputError) as caught:
        opened("\n".join(lines), tmp_path)
    assert f"line {row + 1}, column {column}: atom_site.Cartn_y is " in caught.value.problem


def test_the_line_is_named_in_other_layouts(plain: str, tmp_path: Path) -> None:
    table = plain[plain.index("loop_\n_atom_site.") :].partition("#")[0].replace("26.266", "none")
    assert "none" in table
    words = table.split()
    with pytest.raises(InputError, match=rf"line {words.index('none') + 2}, column 1: "):
        opened("data_x\n" + "\n".join(words), tmp_path)
    items = [word for word in words if word.startswith("_")]
    row = words[words.index("none") - 10 :][:21]
    assert row[0] == "ATOM"
    pairs = "\n".join(f" {item} {word}" for item, word in zip(items, row, strict=True))
    with pytest.raises(InputError, match=r"line 12, column 21: atom_site.Cartn_x is 'none'"):
        opened("data_x\n" + pairs, tmp_path)


def test_one_atom_may_stand_without_a_table(plain: str, tmp_path: Path) -> None:
    items = site_items(plain)
    row = next(line for line in plain.splitlines() if line.startswith("ATOM")).split()
    pairs = "\n".join(f"_atom_site.{item} {word}" for item, word in zip(items, row, strict=True))
    assert opened(f"data_x\n{pairs}\n", tmp_path).atoms.atom_name.tolist() == ["N"]


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"occupancy": "?"}, "the occupancy of all atoms is not told: 1.00 taken"),
        ({"occupancy": "full"}, "the occupancy of all atoms is no number (line "),
        ({"B_iso_or_equiv": "."}, "the B-factor of all atoms is not told: 0.00 taken"),
        ({"B_iso_or_equiv": "******"}, "'******'): 0.00 taken"),
        ({"B_iso_or_equiv": "12.5(3)"}, ""),
        ({"id": "A1"}, "some atoms have no whole number (line "),
        ({"pdbx_formal_charge": "1+"}, ""),
        ({"pdbx_formal_charge": "-1"}, ""),
        ({"pdbx_formal_charge": "2.0"}, ""),
        ({"pdbx_formal_charge": "plus"}, "the charge of all atoms is no number (line "),
        ({"type_symbol": "?"}, ""),
        ({"type_symbol": "Xx"}, "602 atoms have no true element ('Xx')"),
        ({"auth_atom_id": "?"}, ""),
        ({"auth_comp_id": "."}, ""),
        ({"auth_asym_id": "?"}, ""),
        ({"auth_seq_id": "."}, ""),
        ({"label_asym_id": "?"}, ""),
        ({"label_comp_id": "?"}, ""),
        ({"label_atom_id": "."}, ""),
        ({"label_seq_id": "one"}, "the place in the sequence of all atoms is no number"),
        ({"label_entity_id": "?"}, ""),
        ({"auth_seq_id": "five"}, "the residue number of 602 atoms is no number (line "),
        ({"pdbx_PDB_model_num": "?"}, ""),
        ({"pdbx_PDB_model_num": "first"}, ""),
        ({"group_PDB": "atom"}, ""),
    ],
)
def test_values_that_nobody_needs_do_not_matter(
    values: dict[str, str], note: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    found = opened(cells(plain, values), tmp_path)
    assert_same(found.atoms, ubiquitin)
    if note:
        assert any(note in one for one in found.notes), found.notes
    else:
        assert found.notes == ()


NEEDED = ("Cartn_x", "Cartn_y", "Cartn_z", "label_atom_id", "label_comp_id")


@pytest.mark.parametrize(
    "item", ["auth_asym_id", "auth_seq_id", "auth_comp_id", "auth_atom_id", "id", "occupancy",
             "B_iso_or_equiv", "type_symbol", "group_PDB", "pdbx_PDB_ins_code", "label_alt_id",
             "pdbx_PDB_model_num", "label_asym_id", "label_entity_id", "label_seq_id",
             "pdbx_formal_charge"]
)  # fmt: skip
def test_columns_that_nobody_needs_may_be_missing(
    item: str, plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    place = site_items(plain).index(item)
    text = atom_rows(lambda words: words[:place] + words[place + 1 :])(plain)
    text = text.replace(f"_atom_site.{item}\n", "")
    assert_same(opened(text, tmp_path).atoms, ubiquitin)


def test_with_no_names_but_labels_all_is_there(
    plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    items = site_items(plain)
    places = [place for place, item in enumerate(items) if not item.startswith("auth_")]
    text = atom_rows(lambda words: [words[place] for place in places])(plain)
    for item in items:
        text = text.replace(f"_atom_site.auth{item[4:]}\n", "")
    assert_same(opened(text, tmp_path).atoms, ubiquitin)


def test_null_names_fall_back_one_by_one(plain: str, tmp_path: Path) -> None:
    """Half of the author's names are null: those rows take the label's, as in gemmi."""
    text = cells(plain, {"label_asym_id": "L", "auth_asym_id": "X"})
    text = cells(text, {"auth_asym_id": "?", "auth_atom_id": "."}, only="LYS")
    atoms = opened(text, tmp_path).atoms
    assert set(atoms.chain_id[atoms.res_name == "LYS"]) == {"L"}
    assert set(atoms.chain_id[atoms.res_name != "LYS"]) == {"X"}
    assert "CE" in atoms.atom_name[atoms.res_name == "LYS"]


def test_binary_cif_is_read_by_the_same_rules(ubiquitin: AtomArray, tmp_path: Path) -> None:
    write_structure(tmp_path / "a.bcif", ubiquitin)
    file = pdbx.BinaryCIFFile.read(tmp_path / "a.bcif")
    site = file.block["atom_site"]
    null = np.arange(len(ubiquitin)) % 2
    for item, label in (("auth_asym_id", "label_asym_id"), ("auth_seq_id", "label_seq_id")):
        data = site[item].data.array
        shown = np.where(null, site[label].as_array(data.dtype), data)
        site[item] = pdbx.BinaryCIFColumn(np.where(null, data[0], data), null.astype(np.uint8))
        assert (shown == data).all()
    for item, word in (("B_iso_or_equiv", "*****"), ("id", "A1"), ("pdbx_formal_charge", "1+")):
        site[item] = pdbx.BinaryCIFColumn(np.full(len(ubiquitin), word))
    file.write(tmp_path / "b.bcif")
    found = open_structure(tmp_path / "b.bcif")
    assert_same(found.atoms, ubiquitin)
    assert set(found.atoms.charge) == {1}
    assert "the B-factor of all atoms is no number (row 1: '*****'): 0.00 taken" in found.notes
    site["Cartn_z"] = pdbx.BinaryCIFColumn(np.full(len(ubiquitin), np.nan))
    file.write(tmp_path / "b.bcif")
    with pytest.raises(InputError, match=r"row 1: atom_site\.Cartn_z is "):
        open_structure(tmp_path / "b.bcif")


def test_deuterium_and_elements_with_charges(plain: str, tmp_path: Path) -> None:
    for told, element in (("D", "D"), ("d", "D"), ("C2+", "C"), ("Zn2+", "ZN"), ("O1-", "O")):
        text = cells(plain, {"type_symbol": told, "auth_comp_id": "LIG", "label_comp_id": "LIG"})
        assert set(opened(text, tmp_path).atoms.element) == {element}


def test_numbers_with_an_insertion_code_in_them(plain: str, tmp_path: Path) -> None:
    found = opened(cells(plain, {"auth_seq_id": "52A"}), tmp_path)
    assert set(found.atoms.res_id) == {52}
    assert set(found.atoms.ins_code) == {"A"}


def test_quoted_null_is_a_name(plain: str, tmp_path: Path) -> None:
    atoms = opened(cells(plain, {"auth_asym_id": "'?'", "label_asym_id": '"."'}), tmp_path).atoms
    assert (set(atoms.chain_id), set(atoms.label_asym_id)) == ({"?"}, {"."})
    assert gemmi.read_structure(str(tmp_path / "changed.cif"))[0][0].name == "?"


def test_the_first_block_with_atoms_is_read(
    plain: str, ubiquitin: AtomArray, tmp_path: Path
) -> None:
    text = "data_sf\n_refln.index_h 1\n" + plain + "\ndata_more\n_atom_site.Cartn_x 1\n"
    found = opened(text, tmp_path)
    assert_same(found.atoms, ubiquitin)
    assert any(note.endswith("read, 1 more left out") for note in found.notes)


def test_models_may_be_named_and_mixed(plain: str, ubiquitin: AtomArray, tmp_path: Path) -> None:
    place = site_items(plain).index("pdbx_PDB_model_num")
    names = iter("ba" * 301)
    text = atom_rows(lambda words: [*words[:place], next(names), *words[place + 1 :]])(plain)
    (tmp_path / "a.cif").write_text(text)
    second = open_structure(tmp_path / "a.cif", model=2)
    assert second.model_count == 2
    np.testing.assert_allclose(second.atoms.coord, ubiquitin.coord[1::2], atol=1e-3)


@pytest.mark.parametrize(
    ("content", "held"),
    [
        ("_refln.index_h 1", "structure factors"),
        ("_chem_comp_atom.comp_id ATP", "a definition of a component"),
        ("_ihm_sphere_obj_site.id 1", "a coarse model of spheres"),
        ("_entity_poly.entity_id 1", "structure factors and sequence files have none"),
    ],
)
def test_a_file_without_atoms_says_what_it_holds(content: str, held: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        opened(f"data_x\n{content}\n", tmp_path)
    assert "has no atom_site" in caught.value.problem
    assert held in caught.value.hint


@pytest.mark.parametrize("item", NEEDED)
def test_what_an_atom_needs_is_asked_for(item: str, plain: str, tmp_path: Path) -> None:
    text = plain.replace(f"_atom_site.{item}\n", "_atom_site.other\n")
    if item.startswith("label"):
        text = text.replace(f"_atom_site.auth{item[5:]}\n", "_atom_site.another\n")
    with pytest.raises(InputError, match=r"atom_site has no \w+"):
        opened(text, tmp_path)


def test_a_value_too_long_is_refused_and_no_memory_spent(plain: str, tmp_path: Path) -> None:
    text = cells(plain, {"auth_atom_id": "C" * 5000}, only="MET")
    with pytest.raises(InputError, match="has 5000 characters"):
        opened(text, tmp_path)
