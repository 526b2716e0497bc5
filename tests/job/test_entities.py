from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from itda.errors import InputError
from itda.job.entities import Dna, Ion, Ligand, Modification, Protein, Rna
from itda.job.fields import NO_ALIGNMENT
from itda.job.model import Job
from itda.job.problems import explain


def _problem(model: Any, **fields: Any) -> InputError:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return explain(caught.value)


def test_entities_are_frozen_hashable_and_pickle() -> None:
    protein = Protein(id=("A",), sequence="MKT", msa=Path("a.a3m"))
    with pytest.raises(ValidationError):
        protein.sequence = "AAA"
    assert hash(protein) == hash(Protein(id=("A",), sequence="MKT", msa=Path("a.a3m")))
    assert pickle.loads(pickle.dumps(protein)) == protein


def test_id_may_be_one_or_one_for_each_copy() -> None:
    assert Protein.model_validate({"id": "H", "sequence": "M"}).ids == ("H",)
    assert Protein.model_validate({"id": ["H", "L"], "sequence": "M"}).ids == ("H", "L")
    assert Protein.model_validate({"id": 1, "sequence": "M"}).ids == ("1",)
    assert Protein.model_validate({"sequence": "M"}).ids == ()
    assert "'A' stands twice" in str(_problem(Protein, id=["A", "A"], sequence="M"))
    assert "must be a list, not True" in str(_problem(Protein, id=True, sequence="M"))


@pytest.mark.parametrize(("sequence", "said"), [("", "empty"), ("MkT", "'k' at position 2")])
def test_the_model_takes_clean_sequences_only(sequence: str, said: str) -> None:
    assert said in str(_problem(Protein, sequence=sequence))


@pytest.mark.parametrize(
    ("modification", "said"),
    [
        ({"position_1based": 5, "ccd": "SEP"}, "the sequence has 4 residues"),
        ({"position_1based": 0, "ccd": "SEP"}, "greater than or equal to 1"),
        ({"position_1based": "2", "ccd": "SEP"}, "must be a whole number"),
        ({"position_1based": 2, "ccd": "sep"}, "write SEP"),
        ({"position_1based": 2, "ccd": "CCD_SEP"}, "write SEP"),
        ({"position_1based": 2, "ccd": False}, "put it in quotes"),
        ({"position": 2, "ccd": "SEP"}, "write `position_1based: 5`"),
        ({"ptmPosition": 2, "ptmType": "SEP"}, "position_1based"),
        ({"ccd": "SEP"}, "position_1based: is missing"),
    ],
)
def test_wrong_modifications_are_named(modification: dict[str, Any], said: str) -> None:
    error = _problem(Protein, sequence="MKTS", modifications=[modification])
    assert "modification" in error.problem
    assert said in str(error)


def test_two_modifications_of_one_residue_are_refused() -> None:
    twice = [{"position_1based": 4, "ccd": code} for code in ("SEP", "OSE")]
    error = _problem(Protein, sequence="MKTS", modifications=twice)
    assert "two modifications at position 4" in str(error)


def test_numbers_come_out_as_they_went_in() -> None:
    listed = Protein(id="H", sequence="WINPY", numbering=(51, 52, "52A", "52B", -3))
    assert [tuple(n) for n in listed.residue_numbers()] == [
        (51, ""), (52, ""), (52, "A"), (52, "B"), (-3, "")
    ]  # fmt: skip
    assert [n.number for n in Dna(sequence="ACGT", numbering=-2).residue_numbers()] == [
        -2,
        -1,
        0,
        1,
    ]
    assert [n.number for n in Protein(sequence="MK").residue_numbers()] == [1, 2]


@pytest.mark.parametrize(
    ("numbering", "said"),
    [
        ([1, 2, 3], "3 numbers for 4 residues"),
        ([1, 2, 2, 3], "2 twice"),
        ([1, 2, "2A", "2A"], "2A twice"),
        ([1, 2, 3, "4AB"], "'4AB' is not a residue number"),
        ("24", "must be a whole number or a list"),
        (True, "must be a whole number or a list"),
        (1.5, "must be a whole number or a list"),
        ([1, 2, 3, None], "must be a whole number or a list"),
    ],
)
def test_wrong_numbering_is_refused(numbering: Any, said: str) -> None:
    assert said in str(_problem(Protein, sequence="MKTS", numbering=numbering))


@pytest.mark.parametrize(
    ("msa", "said"),
    [
        ("a\0b", "is not the path of a file"),
        (".", "is not the path of a file"),
        (" \n ", "nothing but blanks"),
        (5, "must be the path of a file, or the text of an alignment, not 5"),
        (True, "or the text of an alignment, not True"),
        ([">q\nMKT"], "or the text of an alignment"),
        ({"path": "a.a3m"}, "or the text of an alignment"),
    ],
)
@pytest.mark.parametrize(
    ("model", "field"), [(Protein, "msa"), (Protein, "paired_msa"), (Rna, "msa")]
)
def test_what_is_no_alignment_is_refused(model: Any, field: str, msa: Any, said: str) -> None:
    sequence = "MKT" if model is Protein else "GCU"
    assert said in str(_problem(model, sequence=sequence, **{field: msa}))


@pytest.mark.parametrize("profile", [">query\nMKT", "", "MKT\nMKS", 5])
def test_what_is_no_path_is_refused(profile: Any) -> None:
    assert "path" in str(_problem(Protein, sequence="MKT", profile=profile))


@pytest.mark.parametrize(
    ("written", "held"),
    [
        (None, None),
        ("", NO_ALIGNMENT),
        ("none", NO_ALIGNMENT),
        ("a.a3m", Path("a.a3m")),
        ("none.a3m", Path("none.a3m")),
        ("./none", Path("none")),
        (Path("none"), Path("none")),
        (">q\nMKT\n", ">q\nMKT\n"),
        ("\n> q\nMKT", "\n> q\nMKT"),
        ("# STOCKHOLM 1.0\nq MKT\n//\n", "# STOCKHOLM 1.0\nq MKT\n//\n"),
    ],
)
@pytest.mark.parametrize("field", ["msa", "paired_msa"])
def test_an_alignment_is_not_said_or_none_or_given(field: str, written: Any, held: Any) -> None:
    body = {"sequence": "MKT", field: written}
    job = Job.from_dict({"version": 1, "name": "x", "entities": [{"protein": body}]})
    (protein,) = job.entities
    assert getattr(protein, field) == held and type(getattr(protein, field)) is type(held)
    assert Job.from_dict(job.to_dict()) == job and job.replace(name="y").entities == job.entities
    assert list(protein.inputs()) == ([(field, field)] if held else [])
    assert [path for _, path in protein.files()] == ([held] if isinstance(held, Path) else [])


def test_what_is_said_of_alignments_enters_the_digest(tmp_path: Path) -> None:
    def digest(molecule: str, sequence: str, **fields: Any) -> str:
        entity = {molecule: {"sequence": sequence, **fields}}
        return Job.from_dict({"version": 1, "name": "x", "entities": [entity]}).digest()

    text = ">q\nGCA\n>r\nGAA\n"
    path = tmp_path / "a.a3m"
    path.write_text(text)
    for molecule, field in (("protein", "msa"), ("protein", "paired_msa"), ("rna", "msa")):
        digests = {
            digest(molecule, "GCA", **{field: given})
            for given in (None, "none", text, text.replace("GAA", "GGA"))
        }
        assert len(digests) == 4
        # The text of a file is the file.
        assert digest(molecule, "GCA", **{field: str(path)}) in digests


def test_an_input_of_rna_is_told_from_that_of_a_protein() -> None:
    rna = Rna.model_validate({"sequence": "GCU", "msa": "a.a3m"})
    assert list(rna.inputs()) == [("msa", "rna_msa")]
    assert list(Rna.model_validate({"sequence": "GCU", "msa": "none"}).inputs()) == []


def test_template_positions_come_in_pairs_inside_the_sequence() -> None:
    def template(**fields: Any) -> dict[str, Any]:
        return {"sequence": "MKT", "templates": [{"path": "t.cif", **fields}]}

    good = template(query_positions_1based=[1, 3], template_positions_1based=[7, 9])
    assert Protein.model_validate(good).templates[0].query_positions_1based == (1, 3)
    for wrong in (
        {"query_positions_1based": [1]},
        {"query_positions_1based": [1], "template_positions_1based": [1, 2]},
    ):
        assert "not of one length" in str(_problem(Protein, **template(**wrong)))
    beyond = template(query_positions_1based=[4], template_positions_1based=[1])
    assert "beyond the sequence's 3" in str(_problem(Protein, **beyond))


def test_files_are_listed_with_their_fields() -> None:
    protein = Protein.model_validate(
        {
            "sequence": "M",
            "msa": "a",
            "paired_msa": "b",
            "profile": "c",
            "templates": [{"path": "d"}],
        }
    )
    assert list(protein.files()) == [
        ("msa", Path("a")),
        ("paired_msa", Path("b")),
        ("profile", Path("c")),
        ("template 1, path", Path("d")),
    ]


def test_a_ligand_has_one_definition() -> None:
    assert Ligand.model_validate({"ccd": "ATP"}).ccd == ("ATP",)
    assert Ligand.model_validate({"ccd": ["NAG", "NAG"]}).ccd == ("NAG", "NAG")
    assert "neither ccd nor smiles" in str(_problem(Ligand))
    assert "both ccd and smiles" in str(_problem(Ligand, ccd="ATP", smiles="C"))


@pytest.mark.parametrize("smiles", ["", "C C", "C(C", "[Na", "C\n", "é"])
def test_text_that_is_no_smiles_is_refused(smiles: str) -> None:
    assert "smiles" in str(_problem(Ligand, smiles=smiles))


@pytest.mark.parametrize(
    "smiles",
    ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O", "F/C=C\\F", "C%12CC%12",
     "[13CH4]", "*C", "C#N", "[Cu$]", "c1ccc2c(c1)ncn2~C"],
)  # fmt: skip
def test_smiles_of_all_kinds_are_kept(smiles: str) -> None:
    assert Ligand.model_validate({"smiles": smiles}).smiles == smiles


def test_entities_serialise_under_their_molecule_with_the_id_first() -> None:
    ion = Ion(id=("X", "Y"), ccd="MG")
    assert ion.model_dump(mode="json", by_alias=True) == {"ion": {"id": ["X", "Y"], "ccd": "MG"}}
    protein = Protein(
        id="A", sequence="MS", modifications=(Modification(position_1based=2, ccd="SEP"),)
    )
    dumped = protein.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert list(dumped["protein"]) == ["id", "sequence", "modifications"]


def test_replace_checks_the_copy() -> None:
    protein = Protein(id="A", sequence="MKT")
    assert protein.replace(msa=Path("a.a3m")).msa == Path("a.a3m")
    assert protein.replace(id=("B",)).ids == ("B",)
    with pytest.raises(InputError, match="'z'"):
        protein.replace(sequence="Mz")
    with pytest.raises(InputError, match="did you mean `sequence`"):
        protein.replace(sequencex="M")


def test_a_path_alone_is_a_template_of_that_file(job_dict, tmp_path) -> None:
    (tmp_path / "x.pdb").touch()

    def templates(value: object) -> list[str]:
        job = Job.from_dict(
            job_dict({"protein": {"sequence": "MKTC", "templates": value}}), folder=tmp_path
        )
        return [str(template.path.name) for template in job.entities[0].templates]

    for value in ("x.pdb", ["x.pdb"], {"path": "x.pdb"}, [{"path": "x.pdb", "chain": "A"}]):
        assert templates(value) == ["x.pdb"]
    assert templates(["x.pdb", {"path": "x.pdb"}]) == ["x.pdb", "x.pdb"]
    assert templates([]) == []


@pytest.mark.parametrize(
    ("field", "value", "problem", "hint"),
    [
        ("templates", [5], "template 1: must have fields, not 5", "{path: 5}"),
        ("templates", [["x.pdb"]], "template 1: must have fields, not ['x.pdb']", "path must be"),
        ("templates", 5, "templates: must be a list, not 5", "in square brackets"),
        ("modifications", ["SEP"], "modification 1: must have fields, not 'SEP'", "and ccd must"),
        ("modifications", "SEP", "modifications: must be a list, not 'SEP'", "begin each"),
    ],
)
def test_what_should_have_fields_says_which(job_dict, field, value, problem, hint) -> None:
    with pytest.raises(InputError) as refused:
        Job.from_dict(job_dict({"protein": {"sequence": "MKTC", field: value}}))
    assert problem in refused.value.problem and hint in refused.value.hint
