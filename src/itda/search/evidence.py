"""What was found for a job before it is folded: of each chain, and of its chains together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itda.search.alignments.alignment import Alignment
from itda.search.templates.selection import FoundHit
from itda.search.templates.template import Template

if TYPE_CHECKING:
    from itda.search.alignments.pairing import PairedAlignment


@dataclass(frozen=True)
class ChainEvidence:
    """Alignment and templates of one chain of protein or RNA.

    Attributes:
        alignment: Relatives of the chain; None where none were searched or given.
        templates: Best first.
        hits: What is said of all that was found in the search for templates, the best first; of
            templates that were given, that they are used.
        provenance: Where each came from, with digests, as it goes into the result.
    """

    alignment: Alignment | None = None
    templates: tuple[Template, ...] = ()
    hits: tuple[FoundHit, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


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
