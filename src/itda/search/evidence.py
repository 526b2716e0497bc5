"""What was found for a job before it is folded: of each chain, and of its chains together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from itda.search.alignments.alignment import Alignment
from itda.search.templates.codec import templates_digest
from itda.search.templates.selection import CANDIDATE, ENOUGH, FoundHit
from itda.search.templates.template import Template

if TYPE_CHECKING:
    from itda.search.alignments.pairing import PairedAlignment

TEMPLATE_SET = "template_set"
"""Name under which provenance says which candidate set a sample was folded after: `2 of 5`."""


@dataclass(frozen=True)
class ChainEvidence:
    """Alignment and templates of one chain of protein or RNA.

    Attributes:
        alignment: Relatives of the chain; None where none were searched or given.
        templates: Those that were given, then those that were found, the best first.
        template_sets: Places in `templates` of those that are used together: candidates, of which
            confidence chooses; the first is what is folded without a choice. None stand here where
            all templates are used together.
        hits: What is said of all that was found in the search for templates, the best first; of
            templates that were given, that they are used.
        provenance: Where each came from, with digests, as it goes into the result.
    """

    alignment: Alignment | None = None
    templates: tuple[Template, ...] = ()
    hits: tuple[FoundHit, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    template_sets: tuple[tuple[int, ...], ...] = ()

    def with_set(self, number: int) -> ChainEvidence:
        """Give the evidence with the templates of one candidate set, and no others."""
        if not self.template_sets:
            return self
        places = self.template_sets[min(number, len(self.template_sets) - 1)]
        templates = tuple(self.templates[place] for place in places)
        provenance = dict(self.provenance)
        if "templates" in provenance:
            provenance |= templates_provenance(templates)
        hits = _marked(self.hits, places, len(self.templates), CANDIDATE if number else ENOUGH)
        return replace(
            self, templates=templates, hits=hits, provenance=provenance, template_sets=()
        )


def templates_provenance(templates: Sequence[Template]) -> dict[str, str]:
    """Say which templates were used, as it goes into the provenance of a result."""
    return {
        "templates": ", ".join(template.name for template in templates),
        "templates_digest": templates_digest(templates),
    }


def _marked(
    hits: Sequence[FoundHit], places: Sequence[int], templates: int, reason: str
) -> tuple[FoundHit, ...]:
    """Say of the hits that became templates which of them are in a set; they stand in one order."""
    used = [number for number, hit in enumerate(hits) if hit.used]
    if len(used) != templates:
        return tuple(hits)
    left = {number for place, number in enumerate(used) if place not in places}
    return tuple(
        replace(hit, used=False, reason=reason) if number in left else hit
        for number, hit in enumerate(hits)
    )


@dataclass(frozen=True)
class Evidence:
    """What is known of a job.

    Attributes:
        chains: Of each chain of protein and RNA by its id; copies share it.
        paired: Rows that belong together across chains; None where the family takes none, none were
            given, or none can be made.
        provenance: Where the paired rows came from; what each chain has says its own.
    """

    chains: Mapping[str, ChainEvidence] = field(default_factory=dict)
    paired: PairedAlignment | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def sets(self) -> int:
        """Candidate sets of templates that there are; 1 where nothing can be chosen."""
        return max([1, *(len(one.template_sets) for one in self.chains.values())])

    def with_set(self, number: int) -> Evidence:
        """Give the evidence with the templates of one candidate set, and no others."""
        known = {id(one): one.with_set(number) for one in self.chains.values()}
        chains = {chain_id: known[id(one)] for chain_id, one in self.chains.items()}
        return replace(self, chains=chains)

    @property
    def most_templates(self) -> int:
        """Most templates of a chain."""
        return max((len(one.templates) for one in self.chains.values()), default=0)

    @property
    def most_rows(self) -> int:
        """Most rows of the alignment of a chain, and those that are paired; 0 where none is."""
        alignments = [one.alignment for one in self.chains.values() if one.alignment is not None]
        return max(map(len, alignments), default=0) + (len(self.paired) if self.paired else 0)

    def chain(self, chain_id: str) -> ChainEvidence:
        """What is known of one chain; nothing where it is none of `chains`."""
        return self.chains.get(chain_id, ChainEvidence())
