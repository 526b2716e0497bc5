"""What every source of alignments offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from itda.search.alignments.alignment import Alignment

Progress = Callable[[float, str], None]
"""Told the fraction done, 0 to 1, and what is being done; raises where the user stops the work."""


class Source(Protocol):
    """Finds the relatives of a protein sequence."""

    @property
    def title(self) -> str:
        """What is searched and with what, for people: `mmseqs in uniref (1,234,567 sequences)`."""
        ...

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query, as JSON values.

        Program and its version, parameters, and the digest of each database: two searches of one
        query with equal keys give equal alignments.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        ...

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Search.

        Args:
            query: One-letter protein sequence.
            work: An empty folder, or the one that a killed search of the same query and key left
                behind: steps that it finished may be taken from there, half ones never.
            progress: Called as the search goes on.

        Returns:
            The alignment; row 0 is the query, alone where nothing was found.

        Raises:
            ItdaError: The search failed; the message says whose fault it is and what would work.
        """
        ...
