"""How often folds of a family were right, measured on chains that it had never seen.

A file `verdicts.json` beside the family holds the counts and thresholds; `benchmarks/verdicts.py`
writes them. What is not measured there is not claimed anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["trusted", "plausible", "doubtful", "untrusted"]
"""`trusted`: nearly always right. `plausible`: it looks right, but too few like it were tested, or
none. `doubtful`: right about as often as not. `untrusted`: nearly always wrong."""

Score = Literal["plddt", "plddt_ptm"]
Evidence = Literal["templates", "no templates"]

RIGHT_FOLD_TM_SCORE = 0.5
"""Above it two structures have the same fold (Xu and Zhang 2010, Bioinformatics 26, 889)."""


@dataclass(frozen=True)
class Band:
    """Test chains of one kind of evidence, within two borders of the score.

    Attributes:
        level: What it means for a fold to be one of them.
        from_score: Least score, 0 to 100.
        below_score: What the score stays below; above 100 in the last band.
        right: How many had the right fold.
        of: How many there were.
    """

    level: Level
    from_score: float
    below_score: float
    right: int
    of: int

    @property
    def right_in_100(self) -> int:
        """How many in a hundred had the right fold, rounded down so that no more is promised."""
        return 100 * self.right // self.of if self.of else 0


@dataclass(frozen=True)
class Counted:
    """How often a sentence was true.

    Attributes:
        true: How often it was.
        of: How often it was said.
    """

    true: int
    of: int


@dataclass(frozen=True)
class Trust:
    """What was measured of a family.

    Attributes:
        weights_sha256: The weights that it was measured with; of others nothing is known.
        score: What bands are parted by: `plddt`, the mean pLDDT, or `plddt_ptm`, the mean of that
            and 100 pTM.
        shortest: Residues of the shortest chain that was tested.
        longest: Of the longest.
        bands: By evidence, from the lowest score to the highest.
        low_plddt: Residues below it are named as uncertain.
        low_residues: How often a residue that was named was wrong (CA-lDDT below 0.5).
        apart_angstrom: Parts whose mean PAE to one another is above it are named.
        apart: How often such parts were wrong to one another by more than 4 angstrom.
        side_chains: Of residues of pLDDT 80 or more with a chi1, how many had it within 40 degrees
            of the experiment.
    """

    weights_sha256: str
    score: Score
    shortest: int
    longest: int
    bands: Mapping[Evidence, Sequence[Band]]
    low_plddt: float
    low_residues: Counted
    apart_angstrom: float
    apart: Counted
    side_chains: Counted

    def band(self, mean_plddt: float, ptm: float | None, *, templates: bool) -> Band:
        """Return the band that a fold falls into."""
        score = score_of(self.score, mean_plddt, ptm)
        bands = self.bands["templates" if templates else "no templates"]
        return next(band for band in reversed(bands) if score >= band.from_score)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trust:
        """Read what stands in the family's file."""
        return cls(
            weights_sha256=data["weights_sha256"],
            score=data["score"],
            shortest=data["shortest"],
            longest=data["longest"],
            bands={
                evidence: tuple(Band(**band) for band in bands)
                for evidence, bands in data["bands"].items()
            },
            low_plddt=data["low_plddt"],
            low_residues=Counted(**data["low_residues"]),
            apart_angstrom=data["apart_angstrom"],
            apart=Counted(**data["apart"]),
            side_chains=Counted(**data["side_chains"]),
        )


def score_of(score: Score, mean_plddt: float, ptm: float | None) -> float:
    """Return the score of a fold, 0 to 100.

    >>> score_of("plddt_ptm", 60.0, 0.5), score_of("plddt", 60.0, None)
    (55.0, 60.0)
    """
    if score == "plddt":
        return mean_plddt
    if ptm is None:
        raise ValueError("a fold without pTM has no score of pLDDT and pTM")
    return (mean_plddt + 100 * ptm) / 2


def share_interval(true: int, of: int, *, deviations: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share, which holds for few counts too (1927, JASA 22, 209).

    Args:
        true: How often something was so.
        of: How often it could have been.
        deviations: Half its width in standard deviations of the normal distribution.

    >>> [round(end, 3) for end in share_interval(0, 10)], share_interval(0, 0)
    ([0.0, 0.278], (0.0, 1.0))
    """
    if not of:
        return 0.0, 1.0
    share, square = true / of, deviations**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    width = math.sqrt(share * (1 - share) / of + square / (4 * of**2)) * deviations
    half = width / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)
