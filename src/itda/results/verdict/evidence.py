"""What of a result a verdict is made of."""

from __future__ import annotations

from typing import Protocol

from itda.job.model import Job
from itda.search.evidence import Evidence
from itda.structure.prediction import Prediction, Provenance


class Folded(Protocol):
    """A job with its best prediction, as `itda.results.folded.FoldedJob` is."""

    @property
    def job(self) -> Job:
        """What was folded."""
        ...

    @property
    def best(self) -> Prediction:
        """The prediction that is ranked first."""
        ...

    @property
    def evidence(self) -> Evidence:
        """What it was folded with."""
        ...

    @property
    def mean_plddt(self) -> float:
        """Of the best prediction, 0 to 100."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Where the best prediction came from."""
        ...
