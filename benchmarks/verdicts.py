"""How often each sentence of a verdict is true, and the thresholds that this gives.

    python benchmarks/verdicts.py TABLE.json                  # prints, and writes nothing
    python benchmarks/verdicts.py TABLE.json --write          # and ships the thresholds

`--write` writes `benchmarks/results/verdicts.json` (every count) and
`src/itda/models/mini/verdicts.json` (what a verdict is made of, the part `shipped` of the former).

TABLE.json is what `verdict_scores.py` or `itda eval --out` writes, or any JSON with the keys
`weights_sha256` and `scores`, a list with an object for each fold of a test chain. `side_chains`
(`true`, `of`) beside them is handed on, and stays as it was where it is left out. Columns of
`scores`:

| key | value |
| --- | --- |
| `chain` | id of the chain; several folds of one, such as under limits of identity, share it |
| `method` | name of the way that it was folded; those that do not begin with `mini` are left out |
| `residues` | residues that the experiment shows |
| `plddt` | mean pLDDT, 0 to 1 |
| `tm_score`, `lddt_ca` | against the experiment, 0 to 1 |
| `templates` | how many it was folded with; where left out, the method's name tells (`templates`) |
| `alignment` | whether with one; where left out, the method's name tells (`profile`, `alignment`) |
| `ptm` | 0 to 1; where all rows have it, bands are parted by the mean of pLDDT and pTM |
| `template_identity`, `template_coverage` | optional, 0 to 1, of the best template; not read |
| `low`, `apart` | optional, of `columns_of`: how often places that would be named were wrong |

Folds of one chain are no independent witnesses: in each count a chain is one, of which each of its
folds there has its share.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from itda.confidence.stretches import low_stretches, parts_apart
from itda.confidence.trust import RIGHT_FOLD_TM_SCORE, Score, score_of, share_interval

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/verdicts.json"
SHIPPED = ROOT / "src/itda/models/mini/verdicts.json"

BORDERS = range(30, 95, 5)
"""Scores at which bands may begin."""

LOW_BORDERS = (35, 40, 45, 50, 55, 60)
APART_BORDERS = (6, 8, 10, 12, 15)
WRONG_LDDT = 0.5
WRONG_PLACE_ANGSTROM = 4.0

MOST_RIGHT_BELOW = 0.15
"""Share of right folds that `untrusted` may hold."""
LEAST_RIGHT_FROM = 0.9
"""Share of right folds that `trusted` and `plausible` must hold, in all and in the first step."""
LEAST_CERTAIN = 0.85
"""Lower end of the interval of that share for `trusted`; below it is `plausible`."""
LEAST_WRONG = {"low": 0.8, "apart": 0.65}
"""Share of named places that must be wrong; of parts it is said that they may be."""

STEP = 5
HALVINGS = 200


@dataclass(frozen=True)
class Fold:
    """One fold of a test chain, with its truth."""

    chain: str
    method: str
    residues: int
    score: float
    tm_score: float
    lddt_ca: float
    templates: bool
    alignment: bool
    low: Mapping[str, Sequence[int]] = field(default_factory=dict)
    apart: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether the fold is that of the experiment."""
        return self.tm_score > RIGHT_FOLD_TM_SCORE


def score_name(table: Mapping[str, Any]) -> Score:
    """Return the score that all folds of a table have."""
    return "plddt_ptm" if all("ptm" in row for row in _rows(table)) else "plddt"


def _rows(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in table["scores"] if row["method"].startswith("mini")]


def read_folds(table: Mapping[str, Any]) -> list[Fold]:
    """Read the folds of a table; equal folds of a chain count once."""
    folds: dict[tuple[Any, ...], Fold] = {}
    score = score_name(table)
    for row in _rows(table):
        method = row["method"]
        fold = Fold(
            chain=row["chain"],
            method=method,
            residues=row["residues"],
            score=score_of(score, 100 * row["plddt"], row.get("ptm")),
            tm_score=row["tm_score"],
            lddt_ca=row["lddt_ca"],
            templates=bool(row.get("templates", "templates" in method)),
            alignment=bool(row.get("alignment", "profile" in method or "alignment" in method)),
            low=row.get("low", {}),
            apart=row.get("apart", {}),
        )
        folds.setdefault((fold.chain, fold.score, fold.tm_score, fold.templates), fold)
    return list(folds.values())


def columns_of(
    plddt: np.ndarray,
    pae: np.ndarray,
    residue_lddt: np.ndarray,
    predicted_ca: np.ndarray,
    true_ca: np.ndarray,
) -> dict[str, dict[str, list[int]]]:
    """Return the columns `low` and `apart` of a fold.

    Args:
        plddt: Of each residue, 0 to 100.
        pae: Angstrom; row: residue aligned on.
        residue_lddt: CA-lDDT of each residue, 0 to 1; NaN where the experiment shows none.
        predicted_ca: Angstrom.
        true_ca: Angstrom; NaN where the experiment shows none.

    Returns:
        `low`: by border of pLDDT, how many residues would be named and how many of those are
        wrong, and the same of the others. `apart`: by border of PAE, how many pairs of parts would
        be named, and how many of those are wrong.
    """
    seen = np.isfinite(residue_lddt)
    low = {}
    for border in LOW_BORDERS:
        named = np.zeros(len(plddt), dtype=bool)
        for first, last in low_stretches(plddt, ["A"] * len(plddt), below=border):
            named[first : last + 1] = True
        wrong = residue_lddt < WRONG_LDDT
        low[str(border)] = [
            int(mask.sum()) for mask in (named & seen, named & wrong, ~named & seen, ~named & wrong)
        ]
    apart = {}
    for border in APART_BORDERS:
        pairs = [
            _displacement(parts.first, parts.second, predicted_ca, true_ca)
            for parts in parts_apart(plddt, pae, apart_angstrom=border)
        ]
        apart[str(border)] = [len(pairs), sum(pair > WRONG_PLACE_ANGSTROM for pair in pairs)]
    return {"low": low, "apart": apart}


def _displacement(
    first: np.ndarray, second: np.ndarray, predicted: np.ndarray, true: np.ndarray
) -> float:
    """Return how far the parts lie from their places beside each other, median, angstrom."""
    both = []
    for fixed, moved in ((first, second), (second, first)):
        fixed, moved = (
            part[np.isfinite(true[part]).all(1) & np.isfinite(predicted[part]).all(1)]
            for part in (fixed, moved)
        )
        if len(fixed) < 3 or not len(moved):
            return float("nan")
        centre, aim = predicted[fixed].mean(0), true[fixed].mean(0)
        left, _, right = np.linalg.svd((predicted[fixed] - centre).T @ (true[fixed] - aim))
        flip = np.diag([1, 1, np.sign(np.linalg.det(left @ right))])
        placed = (predicted[moved] - centre) @ (left @ flip @ right) + aim
        both.append(float(np.median(np.linalg.norm(placed - true[moved], axis=1))))
    return float(np.mean(both))


def count(folds: Iterable[Fold], true: Callable[[Fold], bool]) -> tuple[int, int]:
    """Count the chains of which something is true, and the chains.

    Of several folds of a chain, each has its share of the one.
    """
    by_chain: dict[str, list[bool]] = defaultdict(list)
    for fold in folds:
        by_chain[fold.chain].append(true(fold))
    return round(sum(float(np.mean(own)) for own in by_chain.values())), len(by_chain)


def _right(folds: Iterable[Fold], low: float, high: float) -> tuple[int, int]:
    return count((fold for fold in folds if low <= fold.score < high), lambda fold: fold.right)


def _share(right_of: tuple[int, int]) -> float:
    return right_of[0] / right_of[1] if right_of[1] else float("nan")


def choose_bands(folds: Sequence[Fold]) -> list[dict[str, Any]]:
    """Part folds of one kind of evidence by score, from the lowest band to the highest."""
    high = 101
    untrusted = min(BORDERS)
    for border in BORDERS:
        if _share(_right(folds, border - STEP, border)) > 2 * MOST_RIGHT_BELOW:
            break
        if _share(_right(folds, 0, border)) <= MOST_RIGHT_BELOW:
            untrusted = border
    sure = next(
        (
            border
            for border in BORDERS
            if border >= untrusted
            and _share(_right(folds, border, high)) >= LEAST_RIGHT_FROM
            and not _share(_right(folds, border, border + STEP)) < LEAST_RIGHT_FROM
        ),
        high,
    )
    bands = []
    borders = [(0, untrusted, "untrusted"), (untrusted, sure, "doubtful"), (sure, high, "trusted")]
    for first, last, level in borders:
        right, of = _right(folds, first, last)
        if first == last:
            continue
        if level == "trusted" and share_interval(right, of)[0] < LEAST_CERTAIN:
            level = "plausible"
        bands.append(
            {"level": level, "from_score": first, "below_score": last, "right": right, "of": of}
        )
    return bands


def _named(folds: Iterable[Fold], column: str, border: int) -> tuple[int, int]:
    """Return how many named places were wrong, and how many were named."""
    rows = [getattr(fold, column)[str(border)] for fold in folds if getattr(fold, column)]
    return sum(row[1] for row in rows), sum(row[0] for row in rows)


def choose_border(folds: Sequence[Fold], column: str) -> tuple[int, tuple[int, int]]:
    """Choose the border that names the most places, of those where enough of them are wrong."""
    borders = LOW_BORDERS if column == "low" else tuple(reversed(APART_BORDERS))
    found = {border: _named(folds, column, border) for border in borders}
    enough = [
        border
        for border, counts in found.items()
        if counts[1] and _share(counts) >= LEAST_WRONG[column]
    ]
    chosen = enough[-1] if enough else borders[0]
    return chosen, found[chosen]


def judged(folds: Sequence[Fold], bands: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Fold]:
    """Return the folds of which places are named: those that are not wrong as a whole."""
    return [
        fold
        for fold in folds
        if not any(
            band["level"] == "untrusted" and fold.score < band["below_score"]
            for band in bands[_evidence(fold)]
        )
    ]


def _evidence(fold: Fold) -> str:
    return "templates" if fold.templates else "no templates"


def choose(folds: Sequence[Fold]) -> dict[str, Any]:
    """Choose all thresholds."""
    bands = {
        evidence: choose_bands([fold for fold in folds if _evidence(fold) == evidence])
        for evidence in ("templates", "no templates")
    }
    told = judged(folds, bands)
    low, low_counts = choose_border(told, "low")
    apart, apart_counts = choose_border(told, "apart")
    return {
        "shortest": min(fold.residues for fold in folds),
        "longest": max(fold.residues for fold in folds),
        "bands": bands,
        "low_plddt": low,
        "low_residues": {"true": low_counts[0], "of": low_counts[1]},
        "apart_angstrom": apart,
        "apart": {"true": apart_counts[0], "of": apart_counts[1]},
    }


def cross_validate(folds: Sequence[Fold], *, halvings: int = HALVINGS) -> dict[str, Any]:
    """Choose thresholds on a half of the chains and count on the other, many times.

    Returns:
        For each sentence its mean share as chosen and as found on the other half, and the standard
        deviation of the difference.
    """
    chains = sorted({fold.chain for fold in folds})
    random = np.random.default_rng(0)
    pairs: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for _ in range(halvings):
        half = set(random.permutation(chains)[: len(chains) // 2].tolist())
        seen = [fold for fold in folds if fold.chain in half]
        others = [fold for fold in folds if fold.chain not in half]
        chosen = choose(seen)
        for evidence, bands in chosen["bands"].items():
            own = [fold for fold in others if _evidence(fold) == evidence]
            for band in bands:
                found = _right(own, band["from_score"], band["below_score"])
                if band["of"] and found[1]:
                    name = f"{evidence}: {band['level']}"
                    pairs[name].append((band["right"] / band["of"], _share(found), found[1]))
        told = judged(others, chosen["bands"])
        for column, border, counts in (
            ("low", chosen["low_plddt"], chosen["low_residues"]),
            ("apart", chosen["apart_angstrom"], chosen["apart"]),
        ):
            found = _named(told, column, border)
            if counts["of"] and found[1]:
                pairs[column].append((counts["true"] / counts["of"], _share(found), found[1]))
    return {
        name: {
            "said": round(float(np.mean([one[0] for one in own])), 3),
            "found": round(float(np.mean([one[1] for one in own])), 3),
            "difference_deviation": round(float(np.std([one[1] - one[0] for one in own])), 3),
            "halvings": len(own),
            "mean_count": round(float(np.mean([one[2] for one in own])), 1),
        }
        for name, own in sorted(pairs.items())
    }


def remedies(folds: Sequence[Fold]) -> dict[str, dict[str, int]]:
    """Count the right folds before and after what a verdict proposes, on the same chains."""
    told = {}
    proposed: dict[str, tuple[Callable[[Fold], bool], Callable[[Fold], bool]]] = {
        "templates": (lambda fold: not fold.templates, lambda fold: bool(fold.templates)),
        "alignment, without templates": (
            lambda fold: not fold.templates and not fold.alignment,
            lambda fold: not fold.templates and bool(fold.alignment),
        ),
    }
    for name, (before, after) in proposed.items():
        first = [fold for fold in folds if before(fold)]
        second = [fold for fold in folds if after(fold)]
        both = {fold.chain for fold in first} & {fold.chain for fold in second}
        told[name] = {
            "right_before": count((f for f in first if f.chain in both), lambda f: f.right)[0],
            "right_after": count((f for f in second if f.chain in both), lambda f: f.right)[0],
            "of": len(both),
        }
    return told


def by_step(folds: Sequence[Fold]) -> dict[str, list[dict[str, Any]]]:
    """Count right folds for each five of the score, for people to look at."""
    told = {}
    for evidence in ("templates", "no templates"):
        own = [fold for fold in folds if _evidence(fold) == evidence]
        steps = [(low, _right(own, low, low + STEP)) for low in range(20, 100, STEP)]
        told[evidence] = [
            {"from_score": low, "right": right, "of": of} for low, (right, of) in steps if of
        ]
    return told


def measure(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Measure all that `verdicts.json` holds."""
    folds = read_folds(table)
    shipped = {
        "weights_sha256": table["weights_sha256"],
        "score": score_name(table),
        **choose(folds),
        "side_chains": table.get("side_chains") or _shipped_side_chains(),
    }
    told = judged(folds, shipped["bands"])
    sentences = {}
    for evidence, bands in shipped["bands"].items():
        for band in bands:
            ends = share_interval(band["right"], band["of"])
            sentences[f"{evidence}: {band['level']}"] = {
                "borders": [band["from_score"], band["below_score"]],
                "right": band["right"],
                "of": band["of"],
                "interval": [round(end, 3) for end in ends],
            }
    for column in ("low_residues", "apart"):
        counts = shipped[column]
        ends = share_interval(counts["true"], counts["of"])
        sentences[column] = {**counts, "interval": [round(end, 3) for end in ends]}
    others = [fold.low[str(shipped["low_plddt"])] for fold in told if fold.low]
    if others:
        sentences["other residues"] = {
            "wrong": sum(row[3] for row in others),
            "of": sum(row[2] for row in others),
        }
    return {
        "source": source,
        "chains": len({fold.chain for fold in folds}),
        "folds": len(folds),
        "shipped": shipped,
        "sentences": sentences,
        "cross_validation": cross_validate(folds),
        "borders": {
            column: {
                str(border): _named(told, column, border)
                for border in (LOW_BORDERS if column == "low" else APART_BORDERS)
            }
            for column in ("low", "apart")
        },
        "remedies": remedies(folds),
        "by_step": by_step(folds),
    }


def _shipped_side_chains() -> dict[str, int]:
    found: dict[str, int] = json.loads(SHIPPED.read_text(encoding="utf-8"))["side_chains"]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--write", action="store_true", help="write both files")
    asked = parser.parse_args(arguments)
    measured = measure(json.loads(asked.table.read_text(encoding="utf-8")), asked.table.name)
    shown = json.dumps(measured, indent=1)
    sys.stdout.write(shown + "\n")
    if asked.write:
        RESULTS.write_text(shown + "\n", encoding="utf-8")
        SHIPPED.write_text(json.dumps(measured["shipped"], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
