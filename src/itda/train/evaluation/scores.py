"""Scores of one folded chain against the experiment, and what they come to over many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from itda.structure.lddt import lddt
from itda.structure.tm import tm_score


@dataclass(frozen=True)
class ChainScore:
    """One chain under one method.

    Attributes:
        chain: Its id.
        method: What folded it.
        residues: Residues with a CA in the experiment.
        lddt_ca: CA-lDDT, 0 to 1.
        tm_score: TM-score, normalised by the length of the experiment.
        plddt: Mean predicted lDDT, 0 to 1; NaN for methods without one.
    """

    chain: str
    method: str
    residues: int
    lddt_ca: float
    tm_score: float
    plddt: float = float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


def score_chain(
    chain: str,
    method: str,
    predicted_ca: Float[np.ndarray, "residue 3"],
    true_ca: Float[np.ndarray, "residue 3"],
    mask: Bool[np.ndarray, "residue"],
    *,
    plddt: Float[np.ndarray, "residue"] | None = None,
) -> tuple[ChainScore, Float[np.ndarray, "residue"]]:
    """Score CA atoms, residue for residue.

    Args:
        chain: Id of the chain.
        method: What folded it.
        predicted_ca: Angstrom.
        true_ca: Angstrom.
        mask: Residues that the experiment shows.
        plddt: Predicted lDDT, 0 to 100.

    Returns:
        The score, and the CA-lDDT of each residue that the mask keeps.
    """
    result = lddt(predicted_ca[mask], true_ca[mask])
    score = ChainScore(
        chain=chain,
        method=method,
        residues=int(mask.sum()),
        lddt_ca=result.score,
        tm_score=tm_score(predicted_ca, true_ca, mask=mask),
        plddt=float("nan") if plddt is None else float(plddt[mask].mean() / 100),
    )
    return score, result.per_residue


def summarise(
    scores: Sequence[ChainScore], residue_pairs: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, dict[str, float]]:
    """Give means, medians and correlations by method.

    Args:
        scores: Of all chains and methods.
        residue_pairs: By method, (predicted, true) lDDT of every residue.
    """
    summary: dict[str, dict[str, float]] = {}
    for method in dict.fromkeys(score.method for score in scores):
        own = [score for score in scores if score.method == method]
        row: dict[str, float] = {"chains": len(own)}
        for name in ("lddt_ca", "tm_score"):
            values = [getattr(score, name) for score in own]
            row[f"{name}_mean"] = float(np.mean(values))
            row[f"{name}_median"] = float(np.median(values))
        if all(np.isfinite(score.plddt) for score in own):
            row["plddt_mean"] = float(np.mean([score.plddt for score in own]))
            row["plddt_correlation_chains"] = _pearson(
                (score.plddt, score.lddt_ca) for score in own
            )
            row["plddt_correlation_residues"] = _pearson(residue_pairs.get(method, ()))
        summary[method] = row
    return summary


def _pearson(pairs: Iterable[tuple[float, float]]) -> float:
    table = np.array(list(pairs), dtype=float)
    if len(table) < 3 or (table.std(0) == 0).any():
        return float("nan")
    return float(np.corrcoef(table.T)[0, 1])
