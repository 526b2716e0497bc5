import logging
from datetime import date
from importlib.resources import files as files_of
from pathlib import Path

import gemmi
import numpy as np
import pytest

from itda.errors import InputError
from itda.job.entities import TemplateFile
from itda.search.templates.from_file import notes_on, read_template
from itda.search.templates.selection import TemplateLimits
from itda.structure.files import read_structure, write_structure

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEV"
STRANGER = "GDSGKPLISGHWAQCTDRWLDPSTQAFNG"
UNSEEN = (0, 1, 12, 13, 14)
"""Residues of the polymer that the files give no coordinates for."""


def structure(chains: dict[str, str]) -> gemmi.Structure:
    """Extended chains; each residue's CA lies at 3.8 angstrom times its 0-based place."""
    made = gemmi.Structure()
    made.name = "made"
    model = gemmi.Model(1)
    for offset, (name, sequence) in enumerate(chains.items()):
        chain = gemmi.Chain(name)
        entity = gemmi.Entity(name)
        entity.entity_type = gemmi.EntityType.Polymer
        entity.polymer_type = gemmi.PolymerType.PeptideL
        entity.full_sequence = gemmi.expand_one_letter_sequence(sequence, gemmi.ResidueKind.AA)
        entity.subchains = [f"{name}p"]
        made.entities.append(entity)
        for place, residue_name in enumerate(entity.full_sequence):
            if place in UNSEEN:
                continue
            residue = gemmi.Residue()
            residue.name = residue_name
            residue.seqid = gemmi.SeqId(100 + place, " ")
            residue.label_seq = place + 1
            residue.subchain = f"{name}p"
            residue.entity_type = gemmi.EntityType.Polymer
            for atom_name, shift in (("N", -1.2), ("CA", 0.0), ("C", 1.3), ("O", 1.4)):
                atom = gemmi.Atom()
                atom.name = atom_name
                atom.element = gemmi.Element(atom_name[0])
                height = 1.2 if atom_name == "O" else 0.0
                atom.pos = gemmi.Position(3.8 * place + shift, 30.0 * offset, height)
                residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    made.add_model(model)
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    one, two = (
        structure({"A": SEQUENCE}),
        structure({"A": STRANGER, "B": SEQUENCE}),
    )
    paths = {name: tmp_path / f"{name}.cif" for name in ("one", "two")}
    one.make_mmcif_document().write_file(str(paths["one"]))
    two.make_mmcif_document().write_file(str(paths["two"]))
    paths["pdb"] = tmp_path / "plain.pdb"
    one.write_pdb(str(paths["pdb"]))
    return paths


def given(path: Path, **fields: object) -> TemplateFile:
    return TemplateFile(path=path, **fields)  # type: ignore[arg-type]


def places(template) -> dict[int, int]:
    """0-based place in the polymer of each query residue's partner, read off its CA atom."""
    ca = template.coordinates[template.template_index, 1, 0]
    return dict(zip(template.query_index.tolist(), np.round(ca / 3.8).astype(int), strict=True))


@pytest.mark.parametrize("kind", ["one", "pdb"])
def test_sequences_are_aligned(files: dict[str, Path], kind: str) -> None:
    query = "GGGG" + SEQUENCE
    template = read_template(given(files[kind]), query)
    assert template.sequence == "".join(
        letter for place, letter in enumerate(SEQUENCE) if place not in UNSEEN
    )
    found = places(template)
    # Next to the gap an alignment may choose either side.
    for place in (*range(3, 11), *range(17, len(SEQUENCE))):
        assert found[place + 4] == place
    assert template.identity > 0.9
    assert template.name == f"{'one' if kind == 'one' else 'plain'}_A"
    assert template.source == str(files[kind])
    assert np.isnan(template.e_value)


def test_named_chain(files: dict[str, Path]) -> None:
    template = read_template(given(files["two"], chain="B"), SEQUENCE)
    assert template.name == "two_B"
    assert template.coordinates[:, 1, 1].max() == 30.0


def test_positions_count_along_the_whole_polymer(files: dict[str, Path]) -> None:
    """In mmCIF residues without coordinates are counted, as AlphaFold 3 counts them."""
    template = read_template(
        given(
            files["one"],
            query_positions_1based=(1, 2, 5),
            template_positions_1based=(3, 4, 16),
        ),
        "TAYIK",
    )
    assert places(template) == {0: 2, 1: 3, 4: 15}
    assert template.identity == 1.0


def test_positions_in_pdb_count_what_is_there(files: dict[str, Path]) -> None:
    template = read_template(
        given(files["pdb"], query_positions_1based=(1, 2, 5), template_positions_1based=(1, 2, 11)),
        "TAYIK",
    )
    assert places(template) == {0: 2, 1: 3, 4: 15}


def test_unseen_positions_are_told(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        template = read_template(
            given(
                files["one"],
                query_positions_1based=(1, 2, 3),
                template_positions_1based=(13, 14, 16),
            ),
            "SFK",
        )
    assert places(template) == {2: 15}
    assert "2 of 3 template positions have no coordinates, such as 13" in caplog.text


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
@pytest.mark.parametrize("cut", [(2,), (38,), (75,), (7, 8), (2, 9), (68, 75), (28, 33)])
def test_residues_beside_a_gap_lie_where_they_were_seen(
    suffix: str, cut: tuple[int, ...], tmp_path: Path
) -> None:
    atoms = read_structure(Path(str(files_of("itda"))) / "data" / "examples" / "1ubq.cif")
    atoms = atoms[~atoms.hetero]
    whole = atoms[atoms.atom_name == "CA"]
    atoms = atoms[(atoms.res_id < cut[0]) | (atoms.res_id > cut[-1])]
    write_structure(tmp_path / f"cut.{suffix}", atoms)
    sequence = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
    template = read_template(given(tmp_path / f"cut.{suffix}"), sequence)
    assert template.identity == 1.0
    expected = whole.coord[template.query_index]
    assert np.allclose(template.coordinates[template.template_index, 1], expected, atol=2e-3)
    assert len(template.query_index) == 76 - (cut[-1] - cut[0] + 1)


def test_stranger_is_told(files: dict[str, Path]) -> None:
    template = read_template(given(files["two"], chain="A"), SEQUENCE)
    (note,) = notes_on(template, SEQUENCE, None, aligned=True)
    assert "paired residues are equal; is it the right chain?" in note
    # What a job pairs itself is meant so.
    assert notes_on(template, SEQUENCE, None, aligned=False) == []


def test_unknown_date_is_told_where_dates_are_limited(files: dict[str, Path]) -> None:
    template = read_template(given(files["pdb"]), SEQUENCE)
    (note,) = notes_on(template, SEQUENCE, TemplateLimits(max_date=date(2021, 9, 30)), aligned=True)
    assert "of unknown release date" in note
    assert notes_on(template, SEQUENCE, TemplateLimits(), aligned=True) == []


@pytest.mark.parametrize(
    ("fields", "problem", "hint"),
    [
        ({}, "several protein chains: A, B", "chain: A"),
        ({"chain": "C"}, "no protein chain 'C'", "A, B"),
        (
            {"chain": "B", "query_positions_1based": (3, 2), "template_positions_1based": (5, 6)},
            "chain B: template position 5 stands with or after 6",
            "second template",
        ),
        (
            {"chain": "B", "query_positions_1based": (3, 3), "template_positions_1based": (5, 6)},
            "query position 3 stands with or after 3",
            "second template",
        ),
        (
            {"chain": "B", "query_positions_1based": (40,), "template_positions_1based": (5,)},
            "query position 40 is not in the sequence of 32 residues",
            "count from 1",
        ),
        (
            {"chain": "B", "query_positions_1based": (4,), "template_positions_1based": (13,)},
            "no residue of it with coordinates",
            "positions",
        ),
    ],
)
def test_refused(
    files: dict[str, Path], fields: dict[str, object], problem: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_template(given(files["two"], **fields), SEQUENCE)
    assert problem in caught.value.problem
    assert str(files["two"]) in caught.value.problem
    assert hint in caught.value.hint


def test_position_beyond_a_pdb_chain(files: dict[str, Path]) -> None:
    file = given(files["pdb"], query_positions_1based=(1,), template_positions_1based=(28,))
    with pytest.raises(InputError, match="template position 28 is not in the chain of 27"):
        read_template(file, SEQUENCE)


def test_files_that_are_no_structure(tmp_path: Path) -> None:
    text = tmp_path / "text.cif"
    text.write_text("this is no structure\n")
    for path in (text, tmp_path / "missing.cif"):
        with pytest.raises(InputError, match=str(path)):
            read_template(given(path), SEQUENCE)
