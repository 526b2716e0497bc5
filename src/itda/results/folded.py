"""A folded job: its predictions, best first, and what they were made from."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from itda.confidence.ranking import MEAN_PLDDT, RankingRule
from itda.job.model import Job
from itda.results.verdict import Verdict, verdict_of
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance

if TYPE_CHECKING:
    from biotite.structure import AtomArray


@dataclass(frozen=True)
class FoldedJob:
    """What came of a job; its files and its page are made from this.

    Attributes:
        job: What was folded.
        predictions: One for each seed and sample, ranked by the family's rule, best first.
        digest: Hash of all that was asked for: job, files it names, family, weights, settings.
        evidence: Alignments and templates that it was folded with.
        ranking: The rule that the predictions are ranked by.
    """

    job: Job
    predictions: tuple[Prediction, ...]
    digest: str
    evidence: Evidence = field(default_factory=Evidence, repr=False)
    ranking: RankingRule = MEAN_PLDDT

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.name

    @property
    def best(self) -> Prediction:
        """The prediction that is ranked first."""
        return self.predictions[0]

    @property
    def plddt(self) -> Float[np.ndarray, " token"]:
        """Confidence of each token of the best prediction, 0 to 100."""
        return self.best.plddt

    @property
    def mean_plddt(self) -> float:
        """Mean pLDDT of the best prediction, 0 to 100."""
        return self.best.mean_plddt

    @property
    def pae(self) -> Float[np.ndarray, "token token"] | None:
        """Predicted aligned error of the best prediction, Å; row: aligned on, column: scored.

        None where the family predicts none.
        """
        return self.best.pae

    @property
    def ptm(self) -> float | None:
        """Predicted TM-score of the best prediction, 0 to 1; None where the family has none."""
        return self.best.ptm

    @property
    def atoms(self) -> AtomArray:
        """Every atom of the best prediction, pLDDT as its B-factor."""
        return self.best.atoms

    @functools.cached_property
    def verdict(self) -> Verdict:
        """How far to trust it, where not, what it rests on and what to try next, in words."""
        return verdict_of(self)

    @property
    def provenance(self) -> Provenance:
        """Where the best prediction came from: weights, seed, versions, device."""
        return self.best.provenance
