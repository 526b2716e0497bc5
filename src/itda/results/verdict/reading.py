"""What pLDDT says of side chains, which differs from family to family."""

from __future__ import annotations

from itda.language import Message
from itda.results.verdict.whole import trust_of


def side_chains(family: str) -> Message:
    """Say whether a high pLDDT holds for side chains as well."""
    trust = trust_of(family)
    if trust is None or not trust.side_chains.of:
        return Message(
            "Above 90, side chains are usually right too, as pLDDT is commonly read; of {family} "
            "this was not measured here.",
            family=family,
        )
    return Message(
        "Side chains of {family} are not reliable, whatever the pLDDT says: from 80 on, {share} in "
        "100 were turned right about their first bond (chi1 within 40°).",
        family=family,
        share=100 * trust.side_chains.true // trust.side_chains.of,
    )
