"""A prediction as ModelCIF: coordinates, confidence and provenance in one mmCIF file.

Categories follow the ModelCIF dictionary 1.4.9 (Vallat et al. 2023, J. Mol. Biol. 435, 168021),
kept readable for 1.4.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from itda.structure.labels import Layout
from itda.structure.mmcif import (
    Column,
    Decimals,
    Table,
    Tables,
    lay_out_atoms,
    safe_word,
    structure_tables,
)
from itda.structure.modelcif_templates import template_names, template_tables
from itda.structure.prediction import Prediction, Provenance
from itda.structure.used_template import UsedTemplate

DICTIONARY_VERSION = "1.4.9"
_DICTIONARY_LOCATION = (
    "https://raw.githubusercontent.com/ihmwg/ModelCIF/master/archive/mmcif_ma-v1.4.9.dic"
)
DISCLAIMER = (
    "Predicted by computation, not determined by experiment. Confidence is itself a prediction; "
    "weigh it before drawing conclusions."
)

_TARGET_DATA, _MODEL_DATA = "1", "2"
_FIRST_INPUT_DATA = 3
_DOI = re.compile(r"\b10\.\d{4,9}/\S+")
_PLDDT_GLOBAL, _PLDDT_LOCAL, _PTM_GLOBAL = "1", "2", "3"


def prediction_tables(
    prediction: Prediction, templates: Sequence[UsedTemplate] = ()
) -> tuple[str, Tables]:
    """Describe a prediction.

    Args:
        prediction: What to describe. Chain, residue and atom names stay as they are.
        templates: What it was folded after.

    Returns:
        The name of the data block, and the tables in file order. There is no `exptl`: nothing was
        measured.
    """
    layout = lay_out_atoms(prediction.atoms)
    entry = safe_word(prediction.name)
    coordinates = structure_tables(layout)
    coordinates["chem_comp"] = _with_column(coordinates["chem_comp"], "ma_provenance", "CCD Core")
    if "pdbx_entity_nonpoly" in coordinates:
        explicit = _with_column(coordinates["pdbx_entity_nonpoly"], "ma_model_mode", "explicit")
        coordinates["pdbx_entity_nonpoly"] = explicit
    atom_site = coordinates.pop("atom_site")
    tables: Tables = {
        "entry": {"id": [entry]},
        "struct": {
            "entry_id": [entry],
            "title": [f"Predicted structure of {prediction.name}"],
            "pdbx_model_details": [_model_details(prediction)],
        },
        "audit_conform": {
            "dict_name": ["mmcif_ma.dic"],
            "dict_version": [DICTIONARY_VERSION],
            "dict_location": [_DICTIONARY_LOCATION],
        },
        "pdbx_data_usage": _usage_table(prediction.provenance),
        **_citation_table(prediction.provenance),
        **_software_tables(prediction),
        **coordinates,
        **_target_tables(layout),
        **_data_tables(prediction, templates),
        **template_tables(
            templates,
            _asym_ids(layout),
            *_template_data(prediction, len(templates)),
        ),
        "ma_model_list": {
            "ordinal_id": ["1"],
            "model_id": ["1"],
            "model_name": [f"seed {prediction.seed}, sample {prediction.sample}"],
            "data_id": [_MODEL_DATA],
            "model_type": ["Homology model" if templates else "Ab initio model"],
        },
        **_quality_tables(prediction, layout),
        "atom_site": atom_site,
    }
    return entry, tables


def _with_column(table: Table, item: str, value: str) -> Table:
    length = len(next(iter(table.values())))
    return {**table, item: [value] * length}


def _model_details(prediction: Prediction) -> str:
    made = prediction.provenance
    weights = f"{made.weights_set or 'weights'} ({made.weights_source}, {made.weights_digest})"
    return (
        f"{made.family} of Itda {made.itda_version}, {weights}, "
        f"seed {prediction.seed}, sample {prediction.sample}, made {made.created}"
    )


def _usage_table(made: Provenance) -> Table:
    return {
        "id": ["1", "2"],
        "type": ["license", "disclaimer"],
        "details": [made.terms, DISCLAIMER],
        "url": [None, None],
        "name": [made.weights_licence, None],
    }


def _citation_table(made: Provenance) -> Tables:
    if not made.citations:
        return {}
    found = [_DOI.search(citation) for citation in made.citations]
    return {
        "citation": {
            "id": [str(number) for number in range(1, len(found) + 1)],
            "title": [" ".join(citation.split()) for citation in made.citations],
            "pdbx_database_id_DOI": [doi and doi[0].rstrip(".,;)") for doi in found],
        }
    }


def _software_tables(prediction: Prediction) -> Tables:
    """Name the program, its libraries and every setting that shaped the result."""
    made = prediction.provenance
    libraries = sorted(made.versions.items())
    settings: list[tuple[str, str, str]] = [
        ("string", "family", made.family),
        *([] if made.weights_set is None else [("string", "weights_set", made.weights_set)]),
        ("string", "weights_source", made.weights_source),
        ("string", "weights_digest", made.weights_digest),
        ("string", "weights_licence", made.weights_licence),
        ("string", "weights_non_commercial", "yes" if made.non_commercial else "no"),
        *(
            []
            if made.licence_acknowledged is None
            else [("string", "weights_licence_acknowledged", made.licence_acknowledged)]
        ),
        ("integer", "seed", str(prediction.seed)),
        ("integer", "sample", str(prediction.sample)),
        ("integer", "recycles", str(made.recycles)),
        *(("string", f"parameter {name}", str(one)) for name, one in made.parameters.items()),
        ("string", "device", made.device),
        *(("string", name, dtype) for name, dtype in _dtypes(made)),
        ("string", "created", made.created),
        *(("string", f"kernel {name}", kernel) for name, kernel in sorted(made.kernels.items())),
        *(("string", f"input {name}", digest) for name, digest in sorted(made.inputs.items())),
    ]
    weights = made.weights_set or f"{made.family} weights"
    names = ["Itda", weights, *(name for name, _ in libraries)]
    return {
        "software": {
            "pdbx_ordinal": [str(ordinal) for ordinal in range(1, len(names) + 1)],
            "name": names,
            "classification": ["model building"] * len(names),
            "version": [
                made.itda_version,
                made.weights_source,
                *(version for _, version in libraries),
            ],
            "type": ["package", "other", *(["library"] * len(libraries))],
            "description": [
                "Structure prediction",
                f"Weights of the model family {made.family}, {made.weights_licence}",
                *([None] * len(libraries)),
            ],
            "citation_id": [None, "1" if made.citations else None, *([None] * len(libraries))],
        },
        "ma_software_parameter": {
            "parameter_id": [str(ordinal) for ordinal in range(1, len(settings) + 1)],
            "group_id": ["1"] * len(settings),
            "data_type": [kind for kind, _, _ in settings],
            "name": [name for _, name, _ in settings],
            "value": [value for _, _, value in settings],
        },
        "ma_software_group": {
            "ordinal_id": [str(ordinal) for ordinal in range(1, len(names) + 1)],
            "group_id": ["1"] * len(names),
            "software_id": [str(ordinal) for ordinal in range(1, len(names) + 1)],
            "parameter_group_id": ["1", *([None] * (len(names) - 1))],
        },
    }


def _dtypes(made: Provenance) -> list[tuple[str, str]]:
    if isinstance(made.dtype, str):
        return [("dtype", made.dtype)]
    return [(f"dtype {part}", dtype) for part, dtype in sorted(made.dtype.items())]


def _target_tables(layout: Layout) -> Tables:
    instances = [(asym, entity.id) for entity in layout.entities for asym in entity.asym_ids]
    return {
        "ma_target_entity": {
            "entity_id": [entity.id for entity in layout.entities],
            "data_id": [_TARGET_DATA] * len(layout.entities),
            "origin": ["designed"] * len(layout.entities),
        },
        "ma_target_entity_instance": {
            "asym_id": [asym for asym, _ in instances],
            "entity_id": [entity for _, entity in instances],
            "details": [None] * len(instances),
        },
    }


def _asym_ids(layout: Layout) -> dict[str, str]:
    """Return the label chain of each polymer chain."""
    return {
        str(chain): asym
        for chain, asym, place in zip(
            layout.residues.chain_ids, layout.asym_ids, layout.sequence_ids, strict=True
        )
        if place
    }


def _inputs(prediction: Prediction) -> list[str]:
    return sorted(name for name in prediction.provenance.inputs if name != "sequence")


def _template_data(prediction: Prediction, count: int) -> tuple[list[str], list[str]]:
    """Return the ids of templates and of their alignments in `ma_data`, behind the inputs."""
    first = _FIRST_INPUT_DATA + len(_inputs(prediction))
    ids = [str(first + index) for index in range(2 * count)]
    return ids[:count], ids[count:]


def _data_tables(prediction: Prediction, templates: Sequence[UsedTemplate]) -> Tables:
    """Tell what went in, what came out, and the step between."""
    inputs = _inputs(prediction)
    ids = [str(_FIRST_INPUT_DATA + index) for index in range(len(inputs))]
    kinds = ["coevolution MSA" if name in ("msa", "alignment") else "other" for name in inputs]
    details = [None if kind != "other" else name for kind, name in zip(kinds, inputs, strict=True)]
    names = template_names(templates)
    structures, alignments = _template_data(prediction, len(templates))
    given = [_TARGET_DATA, *ids, *structures, *alignments]
    return {
        "ma_data": {
            "id": [_TARGET_DATA, _MODEL_DATA, *ids, *structures, *alignments],
            "name": [
                *("target sequence", "model", *inputs, *names),
                *(f"alignment with {name}" for name in names),
            ],
            "content_type": [
                *("target", "model coordinates", *kinds),
                *["template structure"] * len(names),
                *["target-template alignment"] * len(names),
            ],
            "content_type_other_details": [None, None, *details, *[None] * (2 * len(names))],
        },
        "ma_data_group": {
            "ordinal_id": [str(ordinal) for ordinal in range(1, len(given) + 2)],
            "group_id": [*(["1"] * len(given)), "2"],
            "data_id": [*given, _MODEL_DATA],
        },
        "ma_protocol_step": {
            "ordinal_id": ["1"],
            "protocol_id": ["1"],
            "step_id": ["1"],
            "method_type": ["modeling"],
            "step_name": ["prediction"],
            "details": [_model_details(prediction)],
            "software_group_id": ["1"],
            "input_data_group_id": ["1"],
            "output_data_group_id": ["2"],
        },
    }


def _quality_tables(prediction: Prediction, layout: Layout) -> Tables:
    places: Column = [str(place) if place else "." for place in layout.sequence_ids]
    count = prediction.residue_count
    metrics = [
        (_PLDDT_GLOBAL, "mean pLDDT", "Mean predicted lDDT-CA over residues", "pLDDT", "global"),
        (_PLDDT_LOCAL, "pLDDT", "Predicted lDDT-CA", "pLDDT", "local"),
    ]
    overall = [(_PLDDT_GLOBAL, f"{prediction.mean_plddt:.2f}")]
    if prediction.ptm is not None:
        metrics.append((_PTM_GLOBAL, "pTM", "Predicted TM-score", "pTM", "global"))
        overall.append((_PTM_GLOBAL, f"{prediction.ptm:.4f}"))
    return {
        "ma_qa_metric": {
            "id": [metric for metric, _, _, _, _ in metrics],
            "name": [name for _, name, _, _, _ in metrics],
            "description": [description for _, _, description, _, _ in metrics],
            "type": [kind for _, _, _, kind, _ in metrics],
            "mode": [mode for _, _, _, _, mode in metrics],
            "software_group_id": ["1"] * len(metrics),
        },
        "ma_qa_metric_global": {
            "ordinal_id": [str(ordinal) for ordinal in range(1, len(overall) + 1)],
            "model_id": ["1"] * len(overall),
            "metric_id": [metric for metric, _ in overall],
            "metric_value": [value for _, value in overall],
        },
        "ma_qa_metric_local": {
            "ordinal_id": np.arange(1, count + 1),
            "model_id": ["1"] * count,
            "label_asym_id": list(layout.asym_ids),
            "label_seq_id": places,
            "label_comp_id": list(layout.residues.names),
            "metric_id": [_PLDDT_LOCAL] * count,
            "metric_value": Decimals(prediction.residue_plddt, 2),
        },
    }
