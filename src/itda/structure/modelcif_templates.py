"""The templates of a prediction in ModelCIF: where each is from, and what is paired with what.

A template that a search found in the PDB is of a reference database; any other is customized. No
coordinates of templates are written, and none are moved: the matrix is that of doing nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from itda.chem.residues import RESTYPE_1_TO_3
from itda.structure.mmcif import Tables
from itda.structure.used_template import UsedTemplate

_PAIRS = "Number of aligned residue pairs (not including the gaps)"
_TARGET, _TEMPLATE = "1", "2"


def template_names(templates: Sequence[UsedTemplate]) -> list[str]:
    """Return how the file calls each template: entry and chain."""
    return [f"{one.entry}, chain {one.chain}" for one in templates]


def template_tables(
    templates: Sequence[UsedTemplate],
    asym_ids: Mapping[str, str],
    template_data: Sequence[str],
    alignment_data: Sequence[str],
) -> Tables:
    """Describe templates.

    Args:
        templates: In the order in which they were taken; none give no tables.
        asym_ids: Label chain of each polymer chain.
        template_data: Id of each template in `ma_data`.
        alignment_data: Id of each one's alignment in `ma_data`.
    """
    if not templates:
        return {}
    ids = [str(number) for number in range(1, len(templates) + 1)]
    uses = [
        (number, one, asym_ids[chain])
        for number, one in zip(ids, templates, strict=True)
        for chain in one.chain_ids
    ]
    ordinals = [str(number) for number in range(1, len(uses) + 1)]
    names = dict(zip(ids, template_names(templates), strict=True))
    data = dict(zip(ids, template_data, strict=True))
    rows = [one.aligned() for one in templates]
    return {
        "ma_template_trans_matrix": _unmoved(),
        "ma_template_details": {
            "ordinal_id": ordinals,
            "template_id": [number for number, _, _ in uses],
            "template_origin": [
                "customized" if one.pdb_code is None else "reference database" for _, one, _ in uses
            ],
            "template_entity_type": ["polymer"] * len(uses),
            "template_trans_matrix_id": ["1"] * len(uses),
            "template_data_id": [data[number] for number, _, _ in uses],
            "target_asym_id": [asym for _, _, asym in uses],
            "template_auth_asym_id": [one.chain or "." for _, one, _ in uses],
            "template_model_num": ["1"] * len(uses),
            "template_name": [names[number] for number, _, _ in uses],
            "template_description": [_described(one) for _, one, _ in uses],
        },
        "ma_template_poly": {
            "template_id": ids,
            "seq_one_letter_code": [one.sequence.replace("X", "(UNK)") for one in templates],
            "seq_one_letter_code_can": [one.sequence for one in templates],
            "details": ["residues with coordinates"] * len(templates),
        },
        "ma_template_poly_segment": {
            "id": ids,
            "template_id": ids,
            "residue_number_begin": [str(one.template_index[0] + 1) for one in templates],
            "residue_number_end": [str(one.template_index[-1] + 1) for one in templates],
            "segment_length": [
                str(one.template_index[-1] - one.template_index[0] + 1) for one in templates
            ],
            "residue_name_begin": [_residue(one, 0) for one in templates],
            "residue_name_end": [_residue(one, -1) for one in templates],
        },
        **_sources(templates, ids),
        "ma_target_template_poly_mapping": {
            "id": ordinals,
            "template_segment_id": [number for number, _, _ in uses],
            "target_asym_id": [asym for _, _, asym in uses],
            "target_seq_id_begin": [str(one.query_index[0] + 1) for _, one, _ in uses],
            "target_seq_id_end": [str(one.query_index[-1] + 1) for _, one, _ in uses],
        },
        "ma_alignment_info": {
            "alignment_id": ids,
            "data_id": list(alignment_data),
            "software_group_id": ["1"] * len(templates),
            "alignment_length": [str(len(own)) for own, _ in rows],
            "alignment_type": ["target-template pairwise alignment"] * len(templates),
            "alignment_mode": ["global" if one.is_given else "local" for one in templates],
        },
        "ma_alignment_details": {
            "ordinal_id": ordinals,
            "alignment_id": [number for number, _, _ in uses],
            "template_segment_id": [number for number, _, _ in uses],
            "target_asym_id": [asym for _, _, asym in uses],
            **_scores([one for _, one, _ in uses]),
            "percent_sequence_identity": [f"{100 * one.identity:.2f}" for _, one, _ in uses],
            "sequence_identity_denominator": [_PAIRS] * len(uses),
        },
        "ma_alignment": {
            "ordinal_id": [str(number) for number in range(1, 2 * len(rows) + 1)],
            "alignment_id": [number for number in ids for _ in range(2)],
            "target_template_flag": [_TARGET, _TEMPLATE] * len(rows),
            "sequence": [row for pair in rows for row in pair],
        },
    }


def _unmoved() -> dict[str, list[str]]:
    places = [(row, column) for column in (1, 2, 3) for row in (1, 2, 3)]
    return {
        "id": ["1"],
        **{
            f"rot_matrix[{row}][{column}]": ["1.0" if row == column else "0.0"]
            for row, column in places
        },
        **{f"tr_vector[{row}]": ["0.0"] for row in (1, 2, 3)},
    }


def _described(one: UsedTemplate) -> str:
    found = "given by the user" if one.is_given else f"found in {one.source}"
    if not math.isnan(one.e_value):
        found += f", E-value {one.e_value:.2g}"
    when = f", released {one.release_date}" if one.release_date else ""
    covered = f"{len(one.query_index)} of {len(one.query)} residues paired"
    return f"{found}{when}; {covered}, {one.identity:.1%} of them equal"


def _residue(one: UsedTemplate, place: int) -> str:
    return RESTYPE_1_TO_3.get(one.sequence[one.template_index[place]], "UNK")


def _sources(templates: Sequence[UsedTemplate], ids: Sequence[str]) -> Tables:
    known = [(number, one) for number, one in zip(ids, templates, strict=True) if one.pdb_code]
    own = [(number, one) for number, one in zip(ids, templates, strict=True) if not one.pdb_code]
    tables: Tables = {}
    if known:
        tables["ma_template_ref_db_details"] = {
            "template_id": [number for number, _ in known],
            "db_name": ["PDB"] * len(known),
            "db_accession_code": [one.pdb_code for _, one in known],
            "db_version_date": [one.release_date or None for _, one in known],
        }
    if own:
        tables["ma_template_customized"] = {
            "template_id": [number for number, _ in own],
            "details": [
                f"file {one.source} of the user"
                if one.is_given
                else f"{one.entry} of the database {one.source}"
                for _, one in own
            ],
        }
    return tables


def _scores(used: Sequence[UsedTemplate]) -> dict[str, list[str | None]]:
    """Give E-values, in the columns that hold any score, where there are some."""
    if all(math.isnan(one.e_value) for one in used):
        return {}
    known = [not math.isnan(one.e_value) for one in used]
    return {
        "score_type": ["Other" if there else None for there in known],
        "score_type_other_details": [
            "E-value of the template search" if there else None for there in known
        ],
        "score_value": [
            f"{one.e_value:.3g}" if there else None for one, there in zip(used, known, strict=True)
        ],
    }
