"""The files of one result.

- `NAME.cif`: the best prediction as mmCIF, pLDDT as B-factor and in the ModelCIF categories.
- `NAME_sample_0.cif`, `NAME_sample_1.cif`, …: every prediction by rank, where there are several.
- `NAME.confidence.json`: pLDDT of each residue, pTM, geometry, ranking, provenance.
- `NAME.pae.npz`: the predicted aligned error, where the family predicts it.
- `NAME.a3m`, `NAME.templates.json`: what it was folded with; see `evidence_files`.
- `NAME.html`: a page that shows all of this without a network.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from biotite.structure import AtomArray, get_residue_starts

from itda.atomic import output_error, remove_file, write_bytes, write_json
from itda.errors import OutputError
from itda.job.model import Job
from itda.language import Message
from itda.results.evidence_files import evidence_contents, evidence_names
from itda.results.folded import FoldedJob
from itda.results.report.page import render_page
from itda.structure.files import encode_prediction
from itda.structure.prediction import Prediction

CONFIDENCE_FORMAT = "itda-confidence"
CONFIDENCE_VERSION = 1

_BYTES_PER_RESIDUE = 1500
_BYTES_PER_RESIDUE_PAIR = 6
_BYTES_OF_A_PAGE = 800_000


def file_names(job: Job) -> dict[str, str]:
    """Return the names that a job's files can have, by what they are."""
    stem = job.file_stem
    predictions = len(job.seeds) * job.samples
    samples = range(predictions if predictions > 1 else 0)
    return {
        "structure": f"{stem}.cif",
        **{f"sample_{rank}": f"{stem}_sample_{rank}.cif" for rank in samples},
        "confidence": f"{stem}.confidence.json",
        "pae": f"{stem}.pae.npz",
        **evidence_names(job),
        "report": f"{stem}.html",
    }


def estimated_bytes(job: Job) -> int:
    """Return about how much a job's files will take, rather too much than too little."""
    tokens = sum(getattr(entity, "length", 50) for _, entity in job.chains)
    predictions = len(job.seeds) * job.samples
    return (
        (predictions + 2) * tokens * _BYTES_PER_RESIDUE
        + (predictions + 1) * tokens**2 * _BYTES_PER_RESIDUE_PAIR
        + _BYTES_OF_A_PAGE
    )


def write_result(result: FoldedJob, folder: Path) -> dict[str, Path]:
    """Write a result's files, replacing those of the same name.

    Returns:
        The files, by what they are, as `file_names` calls them; no `pae`, alignment or templates
        where there are none.

    Raises:
        OutputError: A file cannot be written, or one that no longer belongs cannot be removed.
    """
    names = file_names(result.job)
    paths = {kind: folder / name for kind, name in names.items()}
    confidence = confidence_of(result)
    for kind, path in paths.items():
        if path.suffix == ".cif":
            rank = 0 if kind == "structure" else int(kind.removeprefix("sample_"))
            write_bytes(path, encode_prediction(result.predictions[rank]))
    if result.pae is None:
        remove_file(paths.pop("pae"))
    else:
        write_bytes(paths["pae"], pae_archive(result.predictions))
    evidence = evidence_contents(result.job, result.evidence, folder)
    for kind in evidence_names(result.job):
        if kind in evidence:
            write_bytes(paths[kind], evidence[kind])
        else:
            # What else has this name may be a file of the user's.
            del paths[kind]
    structure = encode_prediction(result.best).decode()
    write_bytes(paths["report"], render_page(result, structure, confidence).encode())
    write_json(paths["confidence"], confidence)
    return paths


def save_result(result: FoldedJob, folder: Path, *, overwrite: bool) -> dict[str, Path]:
    """Write a result's files to a folder, which is made if missing.

    Raises:
        OutputError: A file cannot be written, or holds another result and `overwrite` is not set.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    evidence = evidence_contents(result.job, result.evidence, folder)
    never = evidence_names(result.job).keys() - evidence.keys()
    names = [name for kind, name in file_names(result.job).items() if kind not in never]
    taken = [name for name in names if (folder / name).exists()]
    if taken and not overwrite and written_digest(folder, result.job) != result.digest:
        raise OutputError(
            Message("{folder}: holds another result", folder=folder / taken[0]),
            hint=Message("choose another folder, or allow it to be replaced (overwrite)"),
        )
    return write_result(result, folder)


def written_digest(folder: Path, job: Job) -> str | None:
    """Return the digest of the result of this name in a folder; None where there is none."""
    try:
        found = json.loads((folder / file_names(job)["confidence"]).read_bytes())
    except (OSError, ValueError):
        return None
    digest = found.get("request_digest") if isinstance(found, dict) else None
    return digest if isinstance(digest, str) else None


def confidence_of(result: FoldedJob) -> dict[str, Any]:
    """Return what `NAME.confidence.json` holds.

    `plddt` has one number (0 to 100) for each entry of `residues`; `ranking` has one entry for
    each prediction, best first, `sample` and `seed` telling which it was.
    """
    names = file_names(result.job)
    several = len(result.predictions) > 1
    return {
        "format": CONFIDENCE_FORMAT,
        "version": CONFIDENCE_VERSION,
        **result.best.confidence(),
        "residues": residues_of(result.atoms),
        "ranked_by": "mean_plddt",
        "ranking": [
            {
                "rank": rank,
                "file": names[f"sample_{rank}" if several else "structure"],
                **_scores(prediction),
            }
            for rank, prediction in enumerate(result.predictions)
        ],
        "request_digest": result.digest,
    }


def _scores(prediction: Prediction) -> dict[str, Any]:
    confidence = prediction.confidence()
    return {
        key: confidence[key]
        for key in (
            "seed",
            "sample",
            "mean_plddt",
            "ptm",
            "mean_pae_angstrom",
            "chain_pairs",
            "validity",
        )
    }


def residues_of(atoms: AtomArray) -> dict[str, list[Any]]:
    """Return chain, number, insertion code and name of each residue, as lists of one length."""
    first = atoms[get_residue_starts(atoms)]
    codes = first.ins_code if "ins_code" in atoms.get_annotation_categories() else [""] * len(first)
    return {
        "chain_id": [str(value) for value in first.chain_id],
        "number": [int(value) for value in first.res_id],
        "insertion_code": [str(value) for value in codes],
        "name": [str(value) for value in first.res_name],
    }


def pae_archive(predictions: Sequence[Prediction]) -> bytes:
    """Return what `NAME.pae.npz` holds.

    - `pae`, float16 [residue, residue]: expected error in Å of the column's residue when prediction
      and truth are superposed on the row's residue, for the best prediction.
    - `pae_samples`, float16 [rank, residue, residue]: the same for each, where there are several.
    - `chain_id`, `number`, `insertion_code`, `name`: the residues.

    Args:
        predictions: By rank, of a family that predicts the error.
    """
    errors = [one.pae.astype(np.float16) for one in predictions if one.pae is not None]
    arrays: dict[str, Any] = {"pae": errors[0]}
    if len(errors) > 1:
        arrays["pae_samples"] = np.stack(errors)
    for field, values in residues_of(predictions[0].atoms).items():
        arrays[field] = np.array(values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
