"""No search: the sequence alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from itda.progress import Progress
from itda.search.alignments.alignment import Alignment


@dataclass(frozen=True)
class NoSource:
    """Gives the query back as an alignment of one row."""

    @property
    def title(self) -> str:
        """What is searched, for people."""
        return "none"

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query."""
        return {"source": "none"}

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Return the query alone; nothing is read or written."""
        return Alignment.from_aligned(query)
