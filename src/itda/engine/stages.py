"""One stage of a job: found again by what goes into it, or computed and kept."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from itda.engine.events import Event, JobWarned, StageFinished, StageProgress, StageStarted
from itda.engine.worker import with_progress
from itda.progress import Progress
from itda.storage import OtherFormatError
from itda.store.store import DamagedEntryError, Store
from itda.store.workplace import Workplace, workplace

Value = TypeVar("Value")

SYNCED_FROM_SECONDS = 1.0
"""A result that took less is not worth waiting for the disk: a power cut may cost it."""


class Stage(NamedTuple):
    """A kind of stage.

    Attributes:
        name: As events and progress call it.
        version: Raised when the same inputs give another result.
    """

    name: str
    version: int


@dataclass(frozen=True)
class Codec(Generic[Value]):
    """A stage's result as files and back.

    Attributes:
        encode: Gives the content of each file by its name.
        decode: The other way; raises `OtherFormatError` for files of another format. Any other
            error is a fault of its own: it is given what `encode` gave, to the byte.
        describe: The result in a few words, for people.
    """

    encode: Callable[[Value], Mapping[str, bytes]]
    decode: Callable[[Mapping[str, bytes]], Value]
    describe: Callable[[Value], str] = lambda _value: ""


class Stages:
    """Runs stages and tells what happens.

    Args:
        store: Where results are kept; None keeps nothing.
        check: Called several times a second while a stage works; may raise to stop it.
    """

    def __init__(self, store: Store | None, check: Callable[[], None] = lambda: None) -> None:
        self.store = store
        self._check = check
        self._used: dict[str, set[str]] = {}
        self._seconds: dict[str, float] = {}
        self._waited: dict[str, float] = {}
        self._lock = threading.Lock()

    def release(self, job: str) -> None:
        """Say that a job is done: what it took from the store or put there may go from it.

        Without it all that a run used stays until the process ends, however much that is.
        """
        with self._lock:
            used = self._used.pop(job, set()).difference(*self._used.values())
        if self.store is not None and used:
            self.store.release(used)

    def compute(
        self,
        job: str,
        stage: Stage,
        compute: Callable[[Progress], Value],
        describe: Callable[[Value], str] = lambda _value: "",
    ) -> Generator[Event, None, Value]:
        """Run a stage whose result is not worth keeping."""
        began = time.perf_counter()
        yield StageStarted(job=job, stage=stage.name)
        value = yield from self._work(job, stage, compute)
        seconds = time.perf_counter() - began
        yield _finished(job, stage, describe(value), cached=False, seconds=seconds)
        return value

    def find_or_compute(
        self,
        job: str,
        stage: Stage,
        inputs: Mapping[str, object],
        compute: Callable[[Progress], Value],
        codec: Codec[Value],
    ) -> Generator[Event, None, tuple[Value, bool]]:
        """Run a stage unless the store has its result.

        Args:
            job: The job's name.
            stage: What is run.
            inputs: Everything that the result depends on, as JSON values.
            compute: Gives the result.
            codec: How it is kept.

        Returns:
            The result, and whether it was found.
        """

        def work(progress: Progress) -> tuple[Value, str]:
            began = time.perf_counter()
            value = compute(progress)
            seconds = time.perf_counter() - began
            return value, self.keep(job, stage, inputs, value, codec, seconds=seconds)

        return (yield from self._find_or(job, stage, inputs, work, codec))

    def find_or_compute_each(
        self,
        job: str,
        stage: Stage,
        inputs: Sequence[Mapping[str, object]],
        compute: Callable[[int], Value],
        codec: Codec[Value],
    ) -> Generator[Event, None, list[Value]]:
        """Run a stage that has a result of its own for each of several inputs.

        Args:
            job: The job's name.
            stage: What is run.
            inputs: Everything that each result depends on, as JSON values.
            compute: Gives the result for the inputs at a place.
            codec: How one is kept.
        """
        values: list[Value] = []
        problems: dict[str, None] = {}
        cached = True

        def work(progress: Progress) -> None:
            nonlocal cached
            for place, one in enumerate(inputs):
                progress(place / len(inputs), "")
                found, problem = self.find(job, stage, one, codec)
                problems[problem] = None
                if found is None:
                    cached = False
                    began = time.perf_counter()
                    value = compute(place)
                    taken = time.perf_counter() - began
                    problems[self.keep(job, stage, one, value, codec, seconds=taken)] = None
                else:
                    (value,) = found
                values.append(value)

        began = time.perf_counter()
        yield StageStarted(job=job, stage=stage.name)
        yield from self._work(job, stage, work)
        for problem in filter(None, problems):
            yield JobWarned(job=job, message=problem)
        yield _finished(job, stage, "", cached=cached, seconds=time.perf_counter() - began)
        return values

    def find_or_search(
        self,
        job: str,
        stage: Stage,
        inputs: Mapping[str, object],
        search: Callable[[Path, Progress], Value],
        codec: Codec[Value],
    ) -> Generator[Event, None, tuple[Value, bool]]:
        """Run a stage that goes on where a killed run left it, unless the store has its result.

        `search` gets a folder that is empty or as the killed run left it; one process at a time has
        it, and others that want the same result wait and take it.
        """
        key = self._key(stage, inputs)
        warnings: queue.SimpleQueue[str] = queue.SimpleQueue()

        def work(progress: Progress) -> tuple[Value, str]:
            with workplace(self.store, key, progress) as place:
                with self._lock:
                    self._waited[key] = place.waited_seconds
                if place.problem:
                    # At once: whoever stops the search is to know what that costs.
                    warnings.put(place.problem)
                    progress(0.0, "")
                # Another process may have finished it while this one waited for the folder.
                found, _ = self.find(job, stage, inputs, codec)
                if found is not None:
                    place.finish()
                    return found[0], ""
                value = search(place.folder, progress)
                problem = self.keep(job, stage, inputs, value, codec)
                if not problem:
                    place.finish()
                return value, problem

        return (yield from self._find_or(job, stage, inputs, work, codec, warnings))

    def has(self, stage: Stage, inputs: Mapping[str, object]) -> bool:
        """Whether the store has a result, without reading it."""
        return self.store is not None and self.store.has(self._key(stage, inputs))

    def place(
        self, stage: Stage, inputs: Mapping[str, object], progress: Progress
    ) -> AbstractContextManager[Workplace]:
        """Give the folder in which `find_or_search` computes a result; see `workplace`."""
        return workplace(self.store, self._key(stage, inputs), progress)

    def note_computed(self, stage: Stage, inputs: Mapping[str, object], seconds: float) -> None:
        """Say that a result was computed in this run, together with those of other jobs.

        The job that finds it next does not say that it was there before.

        Args:
            stage: What was run.
            inputs: As for `find_or_search`.
            seconds: Its share of the time.
        """
        with self._lock:
            self._seconds[self._key(stage, inputs)] = seconds

    def find(
        self, job: str, stage: Stage, inputs: Mapping[str, object], codec: Codec[Value]
    ) -> tuple[tuple[Value] | None, str]:
        """Look a result up.

        An error of the codec's own goes on to the caller, and what is stored stays.

        Returns:
            What the store has in a tuple, None where it has nothing to use; and a warning, empty
            where there is nothing to warn of.
        """
        if self.store is None:
            return None, ""
        key = self._use(job, stage, inputs)
        try:
            files = self.store.get(key)
        except (DamagedEntryError, OSError) as damage:
            warning = f"a stored result is damaged and is computed anew: {damage}"
        else:
            try:
                return (None if files is None else (codec.decode(files),)), ""
            except OtherFormatError as other:
                warning = f"a stored result cannot be used and is computed anew: {other}"
        try:
            self.store.discard(key)
        except OSError as error:
            warning += f"; the damaged one cannot be removed: {error}"
        return None, warning

    def keep(
        self,
        job: str,
        stage: Stage,
        inputs: Mapping[str, object],
        value: Value,
        codec: Codec[Value],
        *,
        seconds: float = SYNCED_FROM_SECONDS,
    ) -> str:
        """Put a result, which took so many seconds, in the store.

        Returns:
            A warning where that cannot be done; else nothing.
        """
        if self.store is None:
            return ""
        files = codec.encode(value)
        try:
            self.store.put(
                self._use(job, stage, inputs),
                files,
                stage=stage.name,
                version=stage.version,
                sync=seconds >= SYNCED_FROM_SECONDS,
            )
        except OSError as error:
            return (
                "the result cannot be kept for later runs: "
                f"{error.strerror or error} ({self.store.folder})"
            )
        return ""

    @staticmethod
    def _key(stage: Stage, inputs: Mapping[str, object]) -> str:
        return Store.key(stage.name, stage.version, inputs)

    def _use(self, job: str, stage: Stage, inputs: Mapping[str, object]) -> str:
        key = self._key(stage, inputs)
        with self._lock:
            self._used.setdefault(job, set()).add(key)
        return key

    def _find_or(
        self,
        job: str,
        stage: Stage,
        inputs: Mapping[str, object],
        work: Callable[[Progress], tuple[Value, str]],
        codec: Codec[Value],
        warnings: queue.SimpleQueue[str] | None = None,
    ) -> Generator[Event, None, tuple[Value, bool]]:
        began = time.perf_counter()
        yield StageStarted(job=job, stage=stage.name)
        found, problem = self.find(job, stage, inputs, codec)
        if problem:
            yield JobWarned(job=job, message=problem)
        if found is not None:
            (value,) = found
        else:
            value, problem = yield from self._work(job, stage, work, warnings)
            if problem:
                yield JobWarned(job=job, message=problem)
        with self._lock:
            share = self._seconds.pop(self._key(stage, inputs), None)
            waited = self._waited.pop(self._key(stage, inputs), 0.0)
        cached = found is not None and share is None
        seconds = time.perf_counter() - began - waited if share is None else share
        yield _finished(job, stage, codec.describe(value), cached=cached, seconds=seconds)
        return value, cached

    def _work(
        self,
        job: str,
        stage: Stage,
        compute: Callable[[Progress], Value],
        warnings: queue.SimpleQueue[str] | None = None,
    ) -> Generator[Event, None, Value]:
        work = with_progress(compute, self._check)
        try:
            while True:
                fraction, message = next(work)
                while warnings is not None and not warnings.empty():
                    yield JobWarned(job=job, message=warnings.get())
                yield StageProgress(job=job, stage=stage.name, fraction=fraction, message=message)
        except StopIteration as finished:
            value: Value = finished.value
            return value
        finally:
            work.close()


def _finished(
    job: str, stage: Stage, message: str, *, cached: bool, seconds: float
) -> StageFinished:
    return StageFinished(
        job=job,
        stage=stage.name,
        cached=cached,
        seconds=seconds,
        message=message,
    )
