"""What every source of alignments offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from itda.errors import ItdaError
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment


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


@runtime_checkable
class ManySource(Source, Protocol):
    """A source that searches with many queries for little more than the cost of one."""

    @property
    def most_at_once(self) -> int:
        """Queries beyond which more at once save nothing."""
        ...

    def search_many(
        self, queries: Sequence[str], *, works: Sequence[Path], progress: Progress
    ) -> Iterator[tuple[int, Alignment | ItdaError]]:
        """Search with several queries; each gets what `search` would give it.

        Args:
            queries: One-letter protein sequences, all different.
            works: Of each query, as for `search`: either may go on where the other was killed.
            progress: Called as the search goes on.

        Yields:
            Place of each query, in order and without exception, and its alignment, or why it has
            none; that of one says nothing of the others. Nothing is searched after the first.

        Raises:
            ItdaError: No query can be searched.
        """
        ...
