"""What was found about one chain before it is folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from itda.search.alignments.alignment import Alignment
from itda.search.templates.template import Template


@dataclass(frozen=True)
class Evidence:
    """Alignment and templates of one chain.

    Attributes:
        alignment: Relatives of the chain; None where none were searched or given.
        templates: Best first.
        provenance: Where each came from, with digests, as it goes into the result.
    """

    alignment: Alignment | None = None
    templates: tuple[Template, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
