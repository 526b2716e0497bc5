"""Sources that search nothing: what they find is made of the query, and they count their calls."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from itda.engine.searches import FoundTemplates
from itda.errors import DataError
from itda.search.alignments.alignment import Alignment
from itda.search.templates.selection import FoundHit
from itda.search.templates.template import Template

STEPS = 4
_LATE = "released after 2021-09-30"


class FakeSource:
    """Finds a row in each of four steps, and keeps each finished step in the work folder.

    Args:
        database: Digest of what it pretends to search.
        log: A file that gets a line for each search and each step; None for none.
        step_seconds: How long a step takes.
    """

    def __init__(
        self, database: str = "one", log: Path | None = None, step_seconds: float = 0.0
    ) -> None:
        self.database = database
        self.log = log
        self.step_seconds = step_seconds
        self.queries: list[str] = []
        self.steps: list[int] = []
        self.works: list[Path] = []
        self.error: Exception | None = None

    @property
    def title(self) -> str:
        return f"fake in {self.database}"

    def key(self) -> Mapping[str, object]:
        return {"source": "fake", "database": self.database}

    def search(self, query, *, work, progress) -> Alignment:
        self.queries.append(query)
        self.works.append(work)
        self._say("search")
        if self.error is not None:
            raise self.error
        rows = []
        for step in range(STEPS):
            progress(step / STEPS, f"step {step + 1} of {STEPS}")
            kept = work / f"step_{step}.json"
            if not kept.exists():
                self.steps.append(step)
                self._say(f"step {step} began")
                half = work / f"step_{step}.half"
                half.write_text("[")
                time.sleep(self.step_seconds)
                half.write_text(json.dumps(self._row(query, step)))
                half.replace(kept)
                self._say(f"step {step} done")
            rows.append(json.loads(kept.read_text()))
        return Alignment.from_aligned(
            query, [f"relative_{step}" for step in range(STEPS)], rows, source=self.database
        )

    def _row(self, query: str, step: int) -> str:
        letter = "W" if self.database == "one" else "Y"
        return query[:step] + letter + "gg" + "-" * (len(query) - step - 1)

    def _say(self, line: str) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{os.getpid()} {line}\n")


class FakeManySource(FakeSource):
    """Searches many queries at once; those in `failing` fail, each for itself."""

    def __init__(self, most_at_once: int = 1000, **told: object) -> None:
        super().__init__(**told)
        self.most_at_once = most_at_once
        self.calls: list[list[str]] = []
        self.failing: set[str] = set()

    def search_many(self, queries, *, works, progress):
        self.calls.append(list(queries))
        for number, (query, work) in enumerate(zip(queries, works, strict=True)):
            if query in self.failing:
                yield number, DataError(f"cannot search {query}")
                continue
            yield number, self.search(query, work=work, progress=progress)


class FakeTemplates:
    """Finds a helix along the whole query, or nothing where `count` is 0."""

    def __init__(self, database: str = "structures", count: int = 1) -> None:
        self.database = database
        self.count = count
        self.alignments: list[Alignment | None] = []

    @property
    def title(self) -> str:
        return f"fake templates in {self.database}"

    @property
    def most(self) -> int:
        return 4

    def key(self) -> Mapping[str, object]:
        return {"source": "fake", "database": self.database, "count": self.count}

    def search(self, query, *, alignment, work, progress) -> FoundTemplates:
        self.alignments.append(alignment)
        progress(0.5, "halfway")
        templates = tuple(template(f"{number}abc_A", query) for number in range(self.count))
        used = [FoundHit.of_template(template, query) for template in templates]
        late = FoundHit("9xyz_B", 0.01, 0.25, 0.5, len(query) // 2, "", False, _LATE)
        return FoundTemplates(templates, f"2 {_LATE}", (*used, late))


class FakeManyTemplates(FakeTemplates):
    """Searches for many queries at once; those in `failing` fail, each for itself."""

    most_at_once = 1000

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.searched: dict[str, Alignment | None] = {}
        self.failing: set[str] = set()

    def search_many(self, queries, *, alignments, work, progress):
        self.calls.append(list(queries))
        for number, (query, alignment) in enumerate(zip(queries, alignments, strict=True)):
            self.searched[query] = alignment
            if query in self.failing:
                yield number, DataError(f"no templates of {query}")
                continue
            yield number, self.search(query, alignment=alignment, work=work, progress=progress)


class ChangingSource(FakeSource):
    """A source whose database is replaced while it is searched."""

    def search(self, query, *, work, progress) -> Alignment:
        found = super().search(query, work=work, progress=progress)
        self.database = "another"
        return found


class BrokenSource(FakeSource):
    def key(self) -> Mapping[str, object]:
        raise DataError("database one is damaged", hint="add it again")


def template(name: str, query: str) -> Template:
    index = np.arange(len(query), dtype=np.int32)
    mask = np.zeros((len(query), 37), bool)
    mask[:, :3] = True
    coordinates = np.zeros((len(query), 37, 3), np.float32)
    coordinates[:, :3, 2] = 1.5 * index[:, None]
    return Template(
        name=name,
        sequence=query,
        coordinates=coordinates,
        atom_mask=mask,
        query_index=index,
        template_index=index,
        identity=1.0,
        release_date="2001-02-03",
        e_value=1e-9,
        source="structures",
    )
