"""Why a chain or a file did not enter a dataset."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REJECTED_TABLE = "rejected.tsv"


@dataclass(frozen=True)
class Rejection:
    """One chain, or a whole file, that was left out.

    Attributes:
        id: The chain's id; empty where the whole file was rejected.
        source: The file, or the place in it.
        reason: What was found and the rule it breaks.
        kind: The rule alone, the same text for each chain that breaks it.
    """

    id: str
    source: str
    reason: str
    kind: str = ""


def write_rejections(folder: Path, rejections: Sequence[Rejection]) -> None:
    """Write `rejected.tsv` into a folder: id, source and reason of each."""
    with (folder / REJECTED_TABLE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(("id", "source", "reason"))
        for rejection in rejections:
            texts = (rejection.id, rejection.source, rejection.reason)
            table.writerow([" ".join(text.split()) for text in texts])


def summarise_rejections(rejections: Sequence[Rejection]) -> dict[str, int]:
    """Count rejections by rule, the commonest first."""
    counts = Counter(rejection.kind or rejection.reason for rejection in rejections)
    return dict(counts.most_common())
