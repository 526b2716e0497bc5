"""What was found about one chain before it is folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from itda.search.alignments.alignment import Alignment
from itda.search.templates.selection import FoundHit
from itda.search.templates.template import Template


@dataclass(frozen=True)
class Evidence:
    """Alignment and templates of one chain.

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
