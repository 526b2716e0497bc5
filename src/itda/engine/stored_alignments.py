"""Alignments alone, searched and kept as those of a fold: each finds what the other searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from itda.engine.ahead import AlignmentsAhead, Wanted
from itda.engine.events import JobWarned, StageFinished, StageProgress
from itda.engine.gather import search_alignment
from itda.engine.stages import Stages

if TYPE_CHECKING:
    from itda.progress import Progress
    from itda.search.alignments.alignment import Alignment
    from itda.search.sources.source import Source
    from itda.store.store import Store


class StoredAlignments:
    """A source that takes from the store what is there, and searches several queries at once.

    Args:
        source: What searches.
        store: Where alignments are kept; None keeps none.
        warn: Told what the user should know.

    Raises:
        DataError: As `Source.key`.
    """

    def __init__(
        self,
        source: Source,
        store: Store | None,
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._stages = Stages(store)
        self._key = source.key()
        self._ahead = AlignmentsAhead(source, self._key, self._stages)
        self._warn = warn
        self.finished: dict[str, StageFinished] = {}
        """How the search of each query ended."""

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        return self._ahead.title

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside the query; see `Source.key`."""
        return self._ahead.key()

    def expect(self, wanted: Iterable[Wanted]) -> None:
        """Say which queries will be asked, in their order, so that several are searched at once."""
        self._ahead.expect(wanted)

    def search(self, query: str, *, work: Path, progress: Progress) -> Alignment:
        """Find or search an alignment; see `Source.search`.

        Args:
            query: One-letter protein sequence.
            work: Unused: steps are kept beside the store, where a fold finds them too.
            progress: Called as the search goes on.
        """
        job = f"search {query}"
        searching = search_alignment(job, query, self._ahead, self._key, self._stages)
        with closing(searching):
            try:
                while True:
                    event = next(searching)
                    if isinstance(event, StageProgress):
                        progress(event.fraction, event.message)
                    elif isinstance(event, JobWarned):
                        self._warn(event.message)
                    elif isinstance(event, StageFinished):
                        self.finished[query] = event
            except StopIteration as ended:
                alignment: Alignment = ended.value[0]
                return alignment
            finally:
                self._stages.release(job)
