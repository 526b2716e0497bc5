"""The files of one result.

- `NAME.cif`: the best prediction as mmCIF, pLDDT as B-factor and in the ModelCIF categories.
- `NAME_sample_0.cif`, `NAME_sample_1.cif`, …: every prediction by rank, where there are several.
- `NAME.confidence.json`: pLDDT of each token, pTM, geometry, ranking, provenance.
- `NAME.pae.npz`: what the family predicts of pairs of tokens, such as the aligned error.
- `NAME.a3m`, `NAME.templates.json`: what it was folded with; see `evidence_files`.
- `NAME.html`: a page that shows all of this without a network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from itda.atomic import output_error, remove_file, replacing, write_bytes, write_json
from itda.errors import OutputError
from itda.job.model import Job
from itda.job.sizes import size_of
from itda.language import Message
from itda.results.choice import choice_of
from itda.results.evidence_files import evidence_contents, evidence_names
from itda.results.folded import FoldedJob
from itda.results.pairs import has_pairs, write_pairs
from itda.results.report.page import render_page
from itda.results.used_templates import used_templates
from itda.structure.files import encode_prediction
from itda.structure.prediction import Prediction

CONFIDENCE_FORMAT = "itda-confidence"
CONFIDENCE_VERSION = 2

_BYTES_PER_RESIDUE = 1500
_BYTES_PER_ATOM = 100
_BYTES_PER_TOKEN_PAIR = 6
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
    size = size_of(job)
    predictions = len(job.seeds) * job.samples
    return (
        (predictions + 2) * max(size.residues * _BYTES_PER_RESIDUE, size.atoms * _BYTES_PER_ATOM)
        + (predictions + 1) * size.tokens**2 * _BYTES_PER_TOKEN_PAIR
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
    confidence, templates = confidence_of(result), used_templates(result)
    for kind, path in paths.items():
        if path.suffix == ".cif":
            rank = 0 if kind == "structure" else int(kind.removeprefix("sample_"))
            write_bytes(path, encode_prediction(result.predictions[rank], templates=templates))
    if not has_pairs(result.best):
        remove_file(paths.pop("pae"))
    else:
        with replacing(paths["pae"]) as waiting, waiting.open("wb") as archive:
            write_pairs(result.predictions, archive)
    evidence = evidence_contents(result.job, result.evidence, folder)
    for kind in evidence_names(result.job):
        if kind in evidence:
            write_bytes(paths[kind], evidence[kind])
        else:
            # What else has this name may be a file of the user's.
            del paths[kind]
    structure = encode_prediction(result.best, templates=templates).decode()
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

    `plddt` has one number (0 to 100) for each entry of `tokens`, and `atom_plddt` one for each atom
    of the structure, where they say more than the tokens do; `ranking` has one entry for each
    prediction, best first, `sample` and `seed` telling which it was, and `templates` what it was
    folded after where there was a choice.
    """
    names = file_names(result.job)
    several = len(result.predictions) > 1
    return {
        "format": CONFIDENCE_FORMAT,
        "version": CONFIDENCE_VERSION,
        "verdict": result.verdict.to_dict(),
        **result.best.confidence(),
        "tokens": result.best.tokens.to_dict(),
        **_atom_plddt(result.best),
        "templates": [template.to_dict() for template in used_templates(result)],
        "ranked_by": result.ranking.name,
        "ranking": [
            {
                "rank": rank,
                "file": names[f"sample_{rank}" if several else "structure"],
                "score": round(result.ranking.score(prediction), 4),
                **_scores(prediction),
                **({} if (choice := choice_of(prediction)) is None else choice.to_dict()),
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
            "iptm",
            "mean_pae_angstrom",
            "mean_pde_angstrom",
            "chain_pairs",
            "validity",
        )
    }


def _atom_plddt(prediction: Prediction) -> dict[str, list[float]]:
    tokens = prediction.tokens
    of_token = np.diff(np.append(tokens.starts, len(prediction.atoms)))
    if np.allclose(np.repeat(prediction.plddt, of_token), prediction.atom_plddt, atol=0.005):
        return {}
    return {"atom_plddt": [round(float(value), 2) for value in prediction.atom_plddt]}
