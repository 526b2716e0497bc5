"""Which of the hits become templates.

The rules are those of AlphaFold 3 (Abramson et al. 2024, supplement 2.4, and the released
`data/pipeline.py` and `data/templates.py`): hits are taken in the order of the search; released no
later than a date; 10 residues or more; more than 10 % of the query paired; a paired residue that
was seen; of hits that lay the same letters along the query the first alone; at most 4. They differ
in these points: length counts paired residues, not those of the matched stretch; a hit of unknown
date is refused, where AlphaFold 3 has none; and its rule against leakage (a hit that is a part of
the query, letter by letter, and longer than 95 % of it) stands off unless `max_identity` or
`max_subsequence` is set, since a user who folds a known protein wants its structure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date

import numpy as np
from jaxtyping import Int32

from itda.errors import InputError
from itda.language import Message
from itda.search.templates.hits import TemplateHit
from itda.search.templates.pairing import (
    FEWEST_PAIRS,
    LEAST_COVERAGE,
    align_sequences,
    settle_gaps,
)
from itda.search.templates.template import Template
from itda.structure.chains.known import KnownChains

ENOUGH = "behind as many as are taken"
"""Why the hits after the last template are none."""

CANDIDATE = "of another candidate set, whose fold is trusted less"
"""Why a hit that another set is made of is none."""

SAME_LETTERS = "the same letters along the query as a better one"

SEARCHED, GIVEN = "searched", "given"
"""Whether a template was found in a database or named by the user."""


@dataclass(frozen=True)
class TemplateLimits:
    """What is asked of a template.

    Attributes:
        count: Most templates of a query that are used together.
        candidates: Most templates of a query that are taken, for a choice among several sets;
            `count` where it is None or less.
        max_date: The latest day of release; a template of unknown date is refused.
        max_identity: The largest identity to the query, 0..1, for honest evaluation. It holds by
            two measures, so that neither a short alignment nor a wrong one hides a relative:
            identical residues over paired ones in the alignment that was found, and identical
            residues over those of the shorter sequence in the best alignment of the whole sequences
            (BLOSUM62, free ends).
        min_identity: The least identity over paired residues, 0..1.
        min_coverage: The part of the query that must be exceeded by paired residues, 0..1.
        min_pairs: Fewest paired residues.
        max_subsequence: A template is refused if its paired residues are a part of the query letter
            by letter and longer than this part of it, 0..1; AlphaFold 3 has 0.95.
        exclude_ids: Chains (`1ubq_A`) or entries (`1ubq`) that are refused; case does not matter.
        allow_unknown_dates: Whether a template of unknown date passes `max_date`.
    """

    count: int = 4
    candidates: int | None = None
    max_date: date | None = None
    max_identity: float | None = None
    min_identity: float = 0.0
    min_coverage: float = LEAST_COVERAGE
    min_pairs: int = FEWEST_PAIRS
    max_subsequence: float | None = None
    exclude_ids: frozenset[str] = frozenset()
    allow_unknown_dates: bool = False

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(
                Message("template count is {count}", count=self.count),
                hint=Message("ask for one or more, or for no templates"),
            )
        for name in ("max_identity", "min_identity", "min_coverage", "max_subsequence"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(
                    Message(
                        "template {replace} is {value:g}",
                        replace=name.replace("_", " "),
                        value=value,
                    ),
                    hint=Message("it is a fraction from 0 to 1, such as 0.3 for 30 %"),
                )

    @property
    def most(self) -> int:
        """Most templates of a query that are taken."""
        return max(self.count, self.candidates or 0)

    def key(self) -> dict[str, object]:
        """Give the limits as JSON values."""
        named = {
            **asdict(self),
            "max_date": self.max_date.isoformat() if self.max_date else None,
            "exclude_ids": sorted(name.lower() for name in self.exclude_ids),
        }
        if self.candidates is None:
            # So that what was found before there was a choice is found again.
            del named["candidates"]
        return named


@dataclass(frozen=True)
class FoundHit:
    """What is said of a hit, taken or not.

    Attributes:
        name: Entry and chain, such as `1ubq_A`.
        e_value: Expected number of chance hits as good as this one; NaN where nobody searched.
        identity: Identical residues over paired ones, 0..1.
        coverage: Part of the query that is paired, 0..1.
        pairs: How many residues are paired.
        release_date: ISO 8601, empty where unknown.
        used: Whether it became a template.
        reason: Why it did not.
        origin: `searched`, or `given` by the user.
        source: Database that was searched, or name of the user's file.
    """

    name: str
    e_value: float
    identity: float
    coverage: float
    pairs: int
    release_date: str
    used: bool
    reason: str = ""
    origin: str = SEARCHED
    source: str = ""

    @classmethod
    def of_template(
        cls, template: Template, query: str, *, origin: str = SEARCHED, source: str = ""
    ) -> FoundHit:
        """Say of a template that it was taken."""
        return cls(
            template.name,
            template.e_value,
            template.identity,
            len(template.query_index) / len(query),
            len(template.query_index),
            template.release_date,
            used=True,
            origin=origin,
            source=source,
        )


@dataclass(frozen=True)
class Selection:
    """The hits that were taken, and why others were not.

    Attributes:
        hits: Best first.
        refused: How many hits broke each rule, in words; those behind the last one taken are not
            looked at.
        seen: How many hits were looked at.
        found: What is said of every hit, in the order of the search.
    """

    hits: tuple[TemplateHit, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    seen: int = 0
    found: tuple[FoundHit, ...] = ()

    def __str__(self) -> str:
        reasons = "; ".join(f"{count} {reason}" for reason, count in self.refused.items())
        taken = f"{len(self.hits)} template{'s' * (len(self.hits) != 1)}"
        return f"{taken} of {self.seen} hits" + (f", refused: {reasons}" if reasons else "")


def select_hits(
    query: str, hits: Iterable[TemplateHit], chains: KnownChains, limits: TemplateLimits
) -> Selection:
    """Take the first hits that the limits allow.

    Args:
        query: One-letter protein sequence.
        hits: Best first.
        chains: The dataset that they are of.
        limits: What is asked of them.
    """
    excluded = {name.lower() for name in limits.exclude_ids}
    refused: Counter[str] = Counter()
    laid: set[tuple[bytes, bytes]] = set()
    taken: list[TemplateHit] = []
    found: list[FoundHit] = []
    seen = 0
    for hit in hits:
        if len(taken) == limits.most:
            found.append(_found(query, hit, chains, ENOUGH))
            continue
        seen += 1
        letters = np.frombuffer(chains.sequence(hit.chain).encode(), np.uint8)[hit.template_index]
        along_query = (hit.query_index.tobytes(), letters.tobytes())
        reason = _reason_to_refuse(query, hit, letters.tobytes().decode(), chains, limits, excluded)
        if reason is None and along_query in laid:
            reason = SAME_LETTERS
        if reason is None:
            laid.add(along_query)
            hit = _settled(query, hit, chains)
            taken.append(hit)
        else:
            refused[reason] += 1
        found.append(_found(query, hit, chains, reason))
    return Selection(tuple(taken), dict(refused), seen, tuple(found))


def _found(query: str, hit: TemplateHit, chains: KnownChains, reason: str | None) -> FoundHit:
    return FoundHit(
        hit.name,
        hit.e_value,
        hit.identity,
        hit.pairs / len(query),
        hit.pairs,
        chains.release_dates[hit.chain],
        used=reason is None,
        reason=reason or "",
    )


def _settled(query: str, hit: TemplateHit, chains: KnownChains) -> TemplateHit:
    pairs = settle_gaps(
        query,
        chains.sequence(hit.chain),
        hit.query_index,
        hit.template_index,
        chains.residue_index(hit.chain),
    )
    return replace(hit, query_index=pairs.query_index, identity=pairs.identity)


def _reason_to_refuse(
    query: str,
    hit: TemplateHit,
    letters: str,
    chains: KnownChains,
    limits: TemplateLimits,
    excluded: set[str],
) -> str | None:
    if hit.name.lower() in excluded or hit.name.lower().rpartition("_")[0] in excluded:
        return "excluded by name"
    released = chains.release_dates[hit.chain]
    if limits.max_date is not None:
        if not released and not limits.allow_unknown_dates:
            return "of unknown release date"
        if released > limits.max_date.isoformat():
            return f"released after {limits.max_date.isoformat()}"
    if hit.pairs < limits.min_pairs:
        return f"with fewer than {limits.min_pairs} paired residues"
    if hit.pairs <= limits.min_coverage * len(query):
        return f"on {limits.min_coverage:.0%} of the query or less"
    if hit.identity < limits.min_identity:
        return f"below {limits.min_identity:.0%} identity"
    if _is_too_alike(query, hit, letters, chains, limits):
        return "too much like the query"
    if not chains.has_ca(hit.chain)[hit.template_index].any():
        return "without a paired residue that was seen"
    return None


def _is_too_alike(
    query: str, hit: TemplateHit, letters: str, chains: KnownChains, limits: TemplateLimits
) -> bool:
    if (
        limits.max_subsequence is not None
        and len(letters) > limits.max_subsequence * len(query)
        and letters in query
    ):
        return True
    if limits.max_identity is None:
        return False
    if hit.identity > limits.max_identity:
        return True
    chain = chains[hit.chain]
    return whole_identity(query, chain.sequence, chain.residue_index) > limits.max_identity


def whole_identity(
    query: str, template: str, residue_index: Int32[np.ndarray, " residue"] | None = None
) -> float:
    """Return identical residues over those of the shorter one, of two whole sequences aligned."""
    pairs = align_sequences(query, template, residue_index)
    return pairs.identity * len(pairs.query_index) / min(len(query), len(template))
