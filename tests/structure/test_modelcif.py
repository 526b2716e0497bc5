"""A written prediction: opened in gemmi and biotite, and held against the ModelCIF dictionary."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray, get_residue_count, spread_residue_wise
from biotite.structure.io import pdbx

from itda.errors import OutputError
from itda.structure.files import encode_prediction, open_structure, write_prediction
from itda.structure.prediction import Prediction, Provenance

Make = Callable[..., Prediction]

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
MODELCIF_DICTIONARY = Path("/usr/share/libcifpp/mmcif_ma.dic")

# What the dictionary marks as mandatory in the categories that are written.
MANDATORY = {
    "ma_data": {"id", "name", "content_type"},
    "ma_data_group": {"ordinal_id", "group_id", "data_id"},
    "ma_model_list": {"ordinal_id", "model_id", "model_type", "data_id"},
    "ma_protocol_step": {"ordinal_id", "protocol_id", "step_id", "method_type"},
    "ma_qa_metric": {"id", "name", "type", "mode"},
    "ma_qa_metric_global": {"ordinal_id", "model_id", "metric_id", "metric_value"},
    "ma_qa_metric_local": {
        *("ordinal_id", "model_id", "label_asym_id", "label_seq_id", "label_comp_id"),
        *("metric_id", "metric_value"),
    },
    "ma_software_group": {"ordinal_id", "group_id", "software_id"},
    "ma_software_parameter": {"parameter_id", "group_id", "name", "value", "data_type"},
    "ma_target_entity": {"entity_id", "data_id", "origin"},
    "ma_target_entity_instance": {"asym_id", "entity_id"},
    "software": {"pdbx_ordinal", "name", "classification"},
    "audit_conform": {"dict_name", "dict_version"},
    "pdbx_data_usage": {"id", "type", "details"},
    "struct": {"entry_id"},
    "entry": {"id"},
    "chem_comp": {"id", "type", "ma_provenance"},
    "entity": {"id", "type"},
    "entity_poly": {"entity_id", "type", "pdbx_seq_one_letter_code"},
    "entity_poly_seq": {"entity_id", "num", "mon_id"},
    "struct_asym": {"id", "entity_id"},
    "pdbx_poly_seq_scheme": {"asym_id", "entity_id", "seq_id", "mon_id"},
    "atom_type": {"symbol"},
}


@pytest.fixture
def prediction(ubiquitin: AtomArray, make_prediction: Make) -> Prediction:
    return make_prediction(ubiquitin)


@pytest.fixture
def complex_prediction(mixed: AtomArray, make_prediction: Make) -> Prediction:
    return make_prediction(mixed, name='복합체 #1: A\'s "best"')


def block(prediction: Prediction) -> gemmi.cif.Block:
    return gemmi.cif.read_string(encode_prediction(prediction).decode()).sole_block()


def test_gemmi_reads_residues_sequence_and_plddt(prediction: Prediction) -> None:
    structure = gemmi.make_structure_from_block(block(prediction))
    chain = structure[0]["A"]
    assert len(structure) == len(structure[0]) == 1
    assert gemmi.one_letter_code([residue.name for residue in chain]) == UBIQUITIN
    assert gemmi.one_letter_code(structure.entities[0].full_sequence) == UBIQUITIN
    for residue, plddt in zip(chain, prediction.plddt, strict=True):
        assert {round(atom.b_iso, 2) for atom in residue} == {plddt}
    positions = [atom.pos.tolist() for residue in chain for atom in residue]
    np.testing.assert_allclose(positions, prediction.atoms.coord, atol=1e-3)


@pytest.mark.parametrize("suffix", [".cif", ".bcif", ".cif.gz", ".bcif.gz"])
def test_biotite_reads_the_same(suffix: str, prediction: Prediction, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    write_prediction(path, prediction)
    atoms = open_structure(path).atoms
    assert get_residue_count(atoms) == 76
    np.testing.assert_allclose(atoms.b_factor, prediction.atoms.b_factor, atol=1e-3)
    if suffix == ".cif":
        file = pdbx.CIFFile.read(path)
    elif suffix == ".bcif":
        file = pdbx.BinaryCIFFile.read(path)
    else:
        return
    theirs = pdbx.get_structure(file, model=1, extra_fields=["b_factor"])
    np.testing.assert_allclose(theirs.b_factor, prediction.atoms.b_factor, atol=1e-3)
    assert str(pdbx.get_sequence(file)["A"]) == UBIQUITIN


def test_mandatory_items_are_there(prediction: Prediction) -> None:
    written = block(prediction)
    for category, items in MANDATORY.items():
        table = written.find_mmcif_category(f"_{category}.")
        tags = {tag.split(".")[1] for tag in table.tags}
        assert len(table) and items <= tags, category
        for item in items:
            assert "?" not in written.find_values(f"_{category}.{item}"), (category, item)


@pytest.mark.skipif(not MODELCIF_DICTIONARY.exists(), reason="libcifpp-data is not installed")
def test_the_dictionary_finds_no_fault(
    prediction: Prediction, complex_prediction: Prediction
) -> None:
    for one in (prediction, complex_prediction):
        said: list[str] = []
        # Groups of items link ligands to polymer sequences, which no ligand has.
        dictionary = gemmi.cif.Ddl(logger=said.append, use_linked_groups=False)
        dictionary.read_ddl(gemmi.cif.read(str(MODELCIF_DICTIONARY)))
        said.clear()
        dictionary.validate_cif(gemmi.cif.read_string(encode_prediction(one).decode()))
        # CCD atoms are not copied into the file, and the title is in the user's script.
        allowed = ("chem_comp_atom.atom_id", "_atom_site.label_atom_id", "CONTRIBUTED", "복합체")
        assert [line for line in said if not any(word in line for word in allowed)] == []


def test_ids_point_to_each_other(complex_prediction: Prediction) -> None:
    written = block(complex_prediction)

    def values(tag: str) -> set[str]:
        return set(written.find_values(tag))

    for child, parent in (
        ("_ma_data_group.data_id", "_ma_data.id"),
        ("_ma_model_list.data_id", "_ma_data.id"),
        ("_ma_target_entity.data_id", "_ma_data.id"),
        ("_ma_target_entity.entity_id", "_entity.id"),
        ("_ma_target_entity_instance.asym_id", "_struct_asym.id"),
        ("_ma_protocol_step.input_data_group_id", "_ma_data_group.group_id"),
        ("_ma_protocol_step.output_data_group_id", "_ma_data_group.group_id"),
        ("_ma_protocol_step.software_group_id", "_ma_software_group.group_id"),
        ("_ma_software_group.software_id", "_software.pdbx_ordinal"),
        ("_ma_qa_metric_local.metric_id", "_ma_qa_metric.id"),
        ("_ma_qa_metric_global.metric_id", "_ma_qa_metric.id"),
        ("_ma_qa_metric_local.label_asym_id", "_struct_asym.id"),
        ("_atom_site.label_asym_id", "_struct_asym.id"),
        ("_atom_site.label_entity_id", "_entity.id"),
        ("_atom_site.label_comp_id", "_chem_comp.id"),
        ("_atom_site.type_symbol", "_atom_type.symbol"),
        ("_entity_poly.entity_id", "_entity.id"),
        ("_struct_asym.entity_id", "_entity.id"),
    ):
        assert values(child) <= values(parent), child


def test_confidence_and_provenance_are_told(prediction: Prediction) -> None:
    written = block(prediction)
    local = written.find(
        "_ma_qa_metric_local.", ["label_asym_id", "label_seq_id", "label_comp_id", "metric_value"]
    )
    assert [float(row[3]) for row in local] == prediction.plddt.tolist()
    assert [int(row[1]) for row in local] == list(range(1, 77))
    overall = dict(
        zip(
            written.find_values("_ma_qa_metric_global.metric_id"),
            written.find_values("_ma_qa_metric_global.metric_value"),
            strict=True,
        )
    )
    assert float(overall["1"]) == pytest.approx(prediction.mean_plddt, abs=0.01)
    assert float(overall["3"]) == pytest.approx(prediction.ptm)
    names = [gemmi.cif.as_string(one) for one in written.find_values("_ma_software_parameter.name")]
    told = dict(zip(names, written.find_values("_ma_software_parameter.value"), strict=True))
    assert told["weights_digest"] == "sha256:0123"
    assert told["input profile"] == "sha256:89ab"
    assert told["kernel attention"] == "reference"
    assert told["seed"] == "7"
    assert not written.find_mmcif_category("_exptl.")
    usage = [gemmi.cif.as_string(one) for one in written.find_values("_pdbx_data_usage.details")]
    assert "Apache-2.0" in usage[0]
    assert "not determined by experiment" in usage[1]


def test_names_and_numbers_stay(complex_prediction: Prediction) -> None:
    structure = gemmi.make_structure_from_block(block(complex_prediction))
    assert [chain.name for chain in structure[0]] == ["A", "Zn"]
    assert [str(residue.seqid) for residue in structure[0]["A"]] == ["-1", "0", "301", "401", "402"]
    assert structure[0]["A"]["301"][0]["O5'"][0].element.name == "O"
    assert [one.name for one in structure[0]["A"].get_polymer()] == ["GLY", "MSE"]
    sequence = block(complex_prediction).find_value("_entity_poly.pdbx_seq_one_letter_code")
    assert sequence == "G(MSE)"
    title = gemmi.cif.as_string(block(complex_prediction).find_value("_struct.title"))
    assert title == 'Predicted structure of 복합체 #1: A\'s "best"'


def test_equal_predictions_give_equal_bytes(ubiquitin: AtomArray, make_prediction: Make) -> None:
    for binary in (False, True):
        first = encode_prediction(make_prediction(ubiquitin), binary=binary)
        assert first == encode_prediction(make_prediction(ubiquitin.copy()), binary=binary)
        other = make_prediction(ubiquitin, seed=8)
        assert first != encode_prediction(other, binary=binary)


def test_a_long_sequence_is_written_over_several_lines(
    ubiquitin: AtomArray, make_prediction: Make
) -> None:
    second = ubiquitin.copy()
    second.res_id += 76
    long = ubiquitin + second
    plddt = np.full(152, 50.0)
    long.set_annotation("b_factor", spread_residue_wise(long, plddt))
    written = block(make_prediction(long))
    sequence = gemmi.cif.as_string(written.find_value("_entity_poly.pdbx_seq_one_letter_code_can"))
    assert sequence.replace("\n", "") == UBIQUITIN * 2


def test_names_in_any_script_survive_binary(complex_prediction: Prediction, tmp_path: Path) -> None:
    write_prediction(tmp_path / "a.bcif", complex_prediction)
    found = open_structure(tmp_path / "a.bcif")
    assert found.metadata.title == 'Predicted structure of 복합체 #1: A\'s "best"'
    assert found.atoms.atom_name.tolist() == complex_prediction.atoms.atom_name.tolist()


def test_pdb_is_refused(prediction: Prediction, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="PDB cannot hold the confidence"):
        write_prediction(tmp_path / "a.pdb", prediction)


def test_the_modelcif_library_reads_it(prediction: Prediction, tmp_path: Path) -> None:
    reader = pytest.importorskip("modelcif.reader")
    write_prediction(tmp_path / "a.cif", prediction)
    with (tmp_path / "a.cif").open() as file:
        (system,) = reader.read(file)
    assert len(system.entities[0].sequence) == 76
    (model,) = [one for group in system.model_groups for one in group]
    assert len(model.qa_metrics) == 76 + 2
    assert system.protocols[0].steps[0].method_type == "modeling"


def test_what_is_not_predicted_is_not_in_the_file(
    ubiquitin: AtomArray, make_prediction: Make
) -> None:
    written = block(make_prediction(ubiquitin, ptm=None, pae=None))
    assert list(written.find_values("_ma_qa_metric.id")) == ["1", "2"]
    assert list(written.find_values("_ma_qa_metric_global.metric_id")) == ["1"]


def test_weights_are_named_with_source_terms_and_formats(
    ubiquitin: AtomArray, make_prediction: Make
) -> None:
    made = dataclasses.replace(
        make_prediction(ubiquitin).provenance,
        weights_set="lab_v1",
        weights_source="lab/model@0123",
        weights_licence="CC-BY-NC-4.0",
        non_commercial=True,
        licence_acknowledged="2026-01-01T00:00:00+00:00",
        citations=("Kim et al. (2026): A model. Journal 1, doi 10.1234/abc.5.", "A note"),
        dtype={"trunk": "float32", "language_model": "bfloat16"},
    )
    written = block(make_prediction(ubiquitin, provenance=made))

    def values(tag: str) -> list[str]:
        return [gemmi.cif.as_string(one) for one in written.find_values(tag)]

    told = dict(
        zip(
            values("_ma_software_parameter.name"),
            values("_ma_software_parameter.value"),
            strict=True,
        )
    )
    assert told["weights_set"] == "lab_v1" and told["weights_source"] == "lab/model@0123"
    assert told["weights_non_commercial"] == "yes"
    assert told["weights_licence_acknowledged"] == "2026-01-01T00:00:00+00:00"
    assert told["dtype language_model"] == "bfloat16" and told["dtype trunk"] == "float32"
    software = dict(zip(values("_software.name"), values("_software.version"), strict=True))
    assert software["lab_v1"] == "lab/model@0123" and software["Itda"] == "0.1.0"
    assert "forbids commercial use" in values("_pdbx_data_usage.details")[0]
    assert values("_citation.title") == list(made.citations)
    assert values("_citation.pdbx_database_id_DOI")[0] == "10.1234/abc.5"
    cited = dict(zip(values("_software.name"), values("_software.citation_id"), strict=True))
    assert cited["lab_v1"] == "1" and set(values("_citation.id")) == {"1", "2"}
    assert Provenance.from_dict(made.to_dict()) == made
