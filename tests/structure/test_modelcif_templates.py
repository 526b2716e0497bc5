"""The templates of a prediction that is written, read by gemmi and held against the dictionary."""

from collections.abc import Callable

import gemmi
import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.structure.files import encode_prediction
from itda.structure.prediction import Prediction
from itda.structure.used_template import UsedTemplate
from tests.structure.test_modelcif import MODELCIF_DICTIONARY, UBIQUITIN

Make = Callable[..., Prediction]


@pytest.fixture
def prediction(ubiquitin: AtomArray, make_prediction: Make) -> Prediction:
    return make_prediction(ubiquitin)


SHIFTED = np.arange(70, dtype=np.int32)


def template(**changes: object) -> UsedTemplate:
    """Residues 4 to 73 of ubiquitin paired with 2 to 71 of a chain that lacks two at its start."""
    fields: dict[str, object] = {
        "chain_ids": ("A",),
        "entry": "1abc",
        "chain": "B2",
        "sequence": f"X{UBIQUITIN[3:]}",
        "query_index": SHIFTED + 3,
        "template_index": SHIFTED + 1,
        "query": UBIQUITIN,
        "identity": 1.0,
        "e_value": 3e-9,
        "release_date": "1999-12-31",
        "is_given": False,
        "source": "pdb",
    }
    return UsedTemplate(**{**fields, **changes})  # type: ignore[arg-type]


OWN = {
    "entry": "my 'model'",
    "source": "my 'model'.pdb",
    "is_given": True,
    "release_date": "",
    "e_value": np.nan,
    "query_index": np.array([0, 1, 5, 6], np.int32),
    "template_index": np.array([3, 4, 5, 9], np.int32),
}
FOLDED_AFTER = [template(), template(**OWN), template(entry="fold 7", source="mine")]


def with_templates(prediction: Prediction, templates: list[UsedTemplate]) -> gemmi.cif.Block:
    text = encode_prediction(prediction, templates=templates).decode()
    return gemmi.cif.read_string(text).sole_block()


def words(written: gemmi.cif.Block, tag: str) -> list[str]:
    return [gemmi.cif.as_string(one) for one in written.find_values(tag)]


def test_templates_are_named_with_their_sources(prediction: Prediction) -> None:
    written = with_templates(prediction, FOLDED_AFTER)
    details = written.find(
        "_ma_template_details.", ["template_origin", "template_auth_asym_id", "target_asym_id"]
    )
    assert [list(row) for row in details] == [
        ["'reference database'", "B2", "A"],
        ["customized", "B2", "A"],
        ["customized", "B2", "A"],
    ]
    said = list(
        map(gemmi.cif.as_string, written.find_values("_ma_template_details.template_description"))
    )
    assert said[0] == (
        "found in pdb, E-value 3e-09, released 1999-12-31; 70 of 76 residues paired, 100.0% of "
        "them equal"
    )
    assert said[1].startswith("given by the user; 4 of 76 residues paired")
    known = written.find(
        "_ma_template_ref_db_details.", ["template_id", "db_name", "db_accession_code"]
    )
    assert [list(row) for row in known] == [["1", "PDB", "1ABC"]]
    own = [
        gemmi.cif.as_string(one) for one in written.find_values("_ma_template_customized.details")
    ]
    assert own == ["file my 'model'.pdb of the user", "fold 7 of the database mine"]
    assert words(written, "_ma_model_list.model_type") == ["Homology model"]
    assert words(with_templates(prediction, []), "_ma_model_list.model_type") == ["Ab initio model"]


def test_alignment_rows_are_the_pairs(prediction: Prediction) -> None:
    written = with_templates(prediction, FOLDED_AFTER)
    rows = written.find("_ma_alignment.", ["alignment_id", "target_template_flag", "sequence"])
    segments = written.find(
        "_ma_template_poly_segment.", ["residue_number_begin", "residue_number_end", "template_id"]
    )
    mapped = written.find(
        "_ma_target_template_poly_mapping.", ["target_seq_id_begin", "target_seq_id_end"]
    )
    for place, one in enumerate(FOLDED_AFTER):
        own, other = rows[2 * place][2], rows[2 * place + 1][2]
        assert len(own) == len(other)
        begin, end = int(segments[place][0]) - 1, int(segments[place][1])
        first, last = int(mapped[place][0]) - 1, int(mapped[place][1])
        assert other.replace("-", "") == one.sequence[begin:end]
        assert own.replace("-", "") == one.query[first:last]
        # Walking along the rows gives the pairs back.
        pairs, query, partner = [], first, begin
        for letter, opposite in zip(own, other, strict=True):
            if letter != "-" and opposite != "-":
                pairs.append((query, partner))
            query += letter != "-"
            partner += opposite != "-"
        expected = zip(one.query_index.tolist(), one.template_index.tolist(), strict=True)
        assert pairs == list(expected)


def test_scores_stand_only_where_a_search_gave_them(prediction: Prediction) -> None:
    written = with_templates(prediction, FOLDED_AFTER)
    values = written.find_values("_ma_alignment_details.score_value")
    assert list(values) == ["3e-09", "?", "3e-09"]
    alone = with_templates(prediction, [template(**OWN)])
    assert not alone.find_values("_ma_alignment_details.score_value")
    assert list(alone.find_values("_ma_alignment_details.percent_sequence_identity")) == ["100.00"]


def test_copies_share_a_template(ubiquitin: AtomArray, make_prediction: Make) -> None:
    copy = ubiquitin.copy()
    copy.chain_id[:] = "B"
    own = template(chain_ids=("A", "B"))
    written = with_templates(make_prediction(ubiquitin + copy), [own, template(**OWN)])
    used = written.find("_ma_template_details.", ["ordinal_id", "template_id", "target_asym_id"])
    assert [list(row) for row in used] == [["1", "1", "A"], ["2", "1", "B"], ["3", "2", "A"]]
    assert len(written.find_values("_ma_template_poly.template_id")) == 2
    assert list(written.find_values("_ma_alignment_details.target_asym_id")) == ["A", "B", "A"]
    assert list(written.find_values("_ma_alignment_details.alignment_id")) == ["1", "1", "2"]


@pytest.mark.skipif(not MODELCIF_DICTIONARY.exists(), reason="libcifpp-data is not installed")
def test_the_dictionary_finds_no_fault_in_templates(prediction: Prediction) -> None:
    for templates in (FOLDED_AFTER, FOLDED_AFTER[:1], FOLDED_AFTER[1:2]):
        said: list[str] = []
        dictionary = gemmi.cif.Ddl(logger=said.append)
        dictionary.read_ddl(gemmi.cif.read(str(MODELCIF_DICTIONARY)))
        said.clear()
        text = encode_prediction(prediction, templates=templates).decode()
        dictionary.validate_cif(gemmi.cif.read_string(text))
        allowed = ("chem_comp_atom.atom_id", "_atom_site.label_atom_id", "CONTRIBUTED")
        assert [line for line in said if not any(word in line for word in allowed)] == []


def test_ids_of_templates_are_those_of_their_data(prediction: Prediction) -> None:
    written = with_templates(prediction, FOLDED_AFTER)
    kinds = dict(
        zip(
            written.find_values("_ma_data.id"),
            map(gemmi.cif.as_string, written.find_values("_ma_data.content_type")),
            strict=True,
        )
    )
    structures = written.find_values("_ma_template_details.template_data_id")
    alignments = written.find_values("_ma_alignment_info.data_id")
    assert {kinds[one] for one in structures} == {"template structure"}
    assert {kinds[one] for one in alignments} == {"target-template alignment"}
    assert len({*structures, *alignments}) == 6
    given = written.find("_ma_data_group.", ["group_id", "data_id"])
    assert {*structures, *alignments} <= {row[1] for row in given if row[0] == "1"}
