"""What templates bring: the best one copied, and folds with them, at several limits of identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from itda.features import Features, TemplateFeatures
from itda.models.mini.predict import MOST_TEMPLATES
from itda.search.templates.selection import TemplateLimits, select_hits
from itda.search.templates.template import Template
from itda.structure.chains.chain import CA_INDEX, Chain
from itda.train.evaluation.scores import ChainScore, score_chain
from itda.train.template_table import TemplateTable

IDENTITY_LIMITS = {"below 30 %": 0.2999, "below 50 %": 0.4999, "any": None}
"""The largest identity of a template by both measures of `TemplateLimits.max_identity`."""

COPIED = "best template copied"
WITH_TEMPLATES = "mini, sequence + profile + templates"

Fold = Callable[[Features], tuple[np.ndarray, np.ndarray]]
"""From features to CA positions (angstrom) and pLDDT (0 to 100)."""


@dataclass(frozen=True)
class TemplateEvaluation:
    """Offers each chain its templates, as `itda fold` would choose them.

    Templates of the chain's own PDB entry are never offered.

    Attributes:
        table: Hits of each chain.
    """

    table: TemplateTable

    def scores(
        self, chain: Chain, features: Features, fold: Fold
    ) -> Iterator[tuple[ChainScore, list[tuple[float, float]]]]:
        """Score the copied template and the fold at each limit where there is a template.

        Args:
            chain: With the experiment's coordinates.
            features: Of the chain, without templates.
            fold: The network.

        Yields:
            A score, and (predicted, true) lDDT of each residue where there is a prediction.
        """
        true_ca, mask = chain.coordinates[:, CA_INDEX], chain.atom_mask[:, CA_INDEX]
        folded: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}
        for label, limit in IDENTITY_LIMITS.items():
            templates = self._templates(chain, limit)
            if not templates:
                continue
            copied = templates[0].ca_along(len(chain))
            yield score_chain(chain.id, f"{COPIED}, {label}", copied, true_ca, mask)[0], []
            names = tuple(template.name for template in templates)
            if names not in folded:
                laid = TemplateFeatures.from_templates(templates, tokens=len(chain))
                folded[names] = fold(replace(features, templates=laid))
            ca, plddt = folded[names]
            method = f"{WITH_TEMPLATES}, {label}"
            score, per_residue = score_chain(chain.id, method, ca, true_ca, mask, plddt=plddt)
            yield score, list(zip((plddt[mask] / 100).tolist(), per_residue.tolist(), strict=True))

    def _templates(self, chain: Chain, max_identity: float | None) -> list[Template]:
        limits = TemplateLimits(
            count=MOST_TEMPLATES,
            max_identity=max_identity,
            exclude_ids=frozenset([_entry(chain.id)]),
        )
        hits = self.table.hits(chain.id, chain.sequence)
        selection = select_hits(chain.sequence, hits, self.table.database, limits)
        return [self.table.template(hit) for hit in selection.hits]


def summarise_templates(
    scores: Sequence[ChainScore], *, sequence_only: str, with_profile: str
) -> dict[str, dict[str, float]]:
    """Compare the methods on the chains that have a template, for each limit of identity.

    Args:
        scores: Of all chains and methods.
        sequence_only: The method's name.
        with_profile: The method's name.

    Returns:
        By limit: how many chains have a template; mean CA-lDDT and TM-score of each method on them;
        the mean gain of templates over the copy and over no templates, each with its standard
        error; and the share of chains on which templates are at least as good as the copy.
    """
    by_method: dict[str, dict[str, ChainScore]] = {}
    for score in scores:
        by_method.setdefault(score.method, {})[score.chain] = score
    summary = {}
    for label in IDENTITY_LIMITS:
        methods = {
            "copied": by_method.get(f"{COPIED}, {label}", {}),
            "sequence": by_method.get(sequence_only, {}),
            "profile": by_method.get(with_profile, {}),
            "templates": by_method.get(f"{WITH_TEMPLATES}, {label}", {}),
        }
        chains = sorted(set.intersection(*(set(own) for own in methods.values())))
        row: dict[str, float] = {"chains": len(chains)}
        if chains:
            for measure in ("lddt_ca", "tm_score"):
                values = {
                    name: np.array([getattr(own[chain], measure) for chain in chains])
                    for name, own in methods.items()
                }
                row |= {f"{name}_{measure}": float(value.mean()) for name, value in values.items()}
                for rival in ("copied", "profile"):
                    gain = values["templates"] - values[rival]
                    row[f"gain_over_{rival}_{measure}"] = float(gain.mean())
                    row[f"gain_over_{rival}_{measure}_error"] = float(
                        gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
                    )
                row[f"at_least_copied_{measure}"] = float(
                    (values["templates"] >= values["copied"]).mean()
                )
        summary[label] = row
    return summary


def _entry(chain_id: str) -> str:
    """Give the PDB entry of a chain id such as `1ubq_A`."""
    return chain_id.partition("_")[0].lower()
