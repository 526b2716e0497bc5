"""Which of several predictions is the best: rules, each with the name that a result carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itda.structure.prediction import Prediction


@dataclass(frozen=True)
class RankingRule:
    """How a family ranks its predictions of one job.

    Attributes:
        name: As a result carries it, such as `mean_plddt`.
        title: For people, such as "mean pLDDT".
        score: Gives a prediction's score; the higher, the better.
    """

    name: str
    title: str
    score: Callable[[Prediction], float]

    def ranked(self, predictions: Iterable[Prediction]) -> tuple[Prediction, ...]:
        """Return predictions, best first; equal ones by seed and sample."""
        return tuple(sorted(predictions, key=lambda p: (-self.score(p), p.seed, p.sample)))


def interface_score(prediction: Prediction) -> float:
    """Give 0.8 ipTM + 0.2 pTM, and pTM alone where there is no interface.

    Evans et al. 2022 (AlphaFold-Multimer), section 2.6; AlphaFold 3, supplement 5.9.3, without its
    terms for disorder and clashes.

    Raises:
        ValueError: The prediction has no pTM.
    """
    if prediction.ptm is None:
        raise ValueError(f"{prediction.name}: 0.8 ipTM + 0.2 pTM of a prediction without pTM")
    if prediction.iptm is None:
        return prediction.ptm
    return 0.8 * prediction.iptm + 0.2 * prediction.ptm


MEAN_PLDDT = RankingRule("mean_plddt", "mean pLDDT", lambda prediction: prediction.mean_plddt)
INTERFACE = RankingRule("0.8_iptm_0.2_ptm", "0.8 ipTM + 0.2 pTM", interface_score)
