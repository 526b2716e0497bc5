"""The work itself, in this process: jobs go through the engine, their files into folders.

Jobs of one family and the same settings go through the engine together, which folds small ones in
batches. What a job's owner can mend ends as `Failed`; what the machine cannot do just now, such as
write to a full disk or have memory that others hold, ends as `Stopped` and says so.
"""

from __future__ import annotations

import errno
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from itda.atomic import DiskFullError, remove_leftovers
from itda.cluster.work import Done, Event, Failed, Lost, Outcome, Stopped, Task, Work
from itda.engine.engine import Engine
from itda.engine.events import JobFailed, JobFinished, JobWarned, StageFinished
from itda.engine.lost import lost
from itda.engine.run_settings import settings_of
from itda.engine.stop import Stop
from itda.errors import ItdaError, OutputError, describe_error
from itda.job.model import Job
from itda.job.names import collision_key
from itda.job.options import RunOptions
from itda.language import Message
from itda.machine import use_cores
from itda.models import registry
from itda.models.kept_model import KeptModel
from itda.results.files import file_names, write_result
from itda.store.store import Store

if TYPE_CHECKING:
    from itda.engine.events import Event as EngineEvent
    from itda.engine.plan import Settings
    from itda.results.result import Result

WRITE_AGAIN_AFTER_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Waits between attempts to write files of a result, before the job is given back."""

_HINDRANCES = frozenset(
    (
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE,
        errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
    )
)  # fmt: skip

log = logging.getLogger("itda.cluster")


class Performer:
    """Does work, one piece after another, and keeps the model between them.

    Args:
        device: `auto` for the fastest there is, else `cpu`, `cuda:1` or `mps`.
        memory_bytes: Memory that folding may take; None for all that there is.
        threads: Processor cores to use; None for all that this process may use.
        sleep: Waits; for tests.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        memory_bytes: int | None = None,
        threads: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.device = device
        self.memory_bytes = memory_bytes
        self.threads = threads
        self.spoilt = False
        """Whether the process should end: its device is lost, or threads of stopped work go on."""
        self._sleep = sleep
        self._kept = KeptModel()
        self._engines: dict[Path | None, Engine] = {}
        if threads is not None:
            _use_threads(threads)

    def perform(
        self,
        work: Work,
        tell: Callable[[str, Sequence[Event]], None],
        end: Callable[[str, Outcome], None],
        stop: Stop,
    ) -> None:
        """Do work; each task ends exactly once.

        Args:
            work: What is to be done.
            tell: Told what happens to a task.
            end: Told what comes of a task.
            stop: Asked whether to stop.
        """
        jobs: dict[str, Job] = {}
        for task in work.tasks:
            try:
                jobs[task.key] = read_job(task)
            except ItdaError as error:
                end(task.key, failed(error, task))
        for tasks in groups([task for task in work.tasks if task.key in jobs], jobs):
            opened = {task.key: task for task in tasks}

            def end_one(key: str, outcome: Outcome, opened: dict[str, Task] = opened) -> None:
                if opened.pop(key, None) is not None:
                    end(key, outcome)

            if not stop() and not self.spoilt:
                try:
                    self._fold(work.stages, tasks, jobs, tell, end_one, stop)
                except Exception as error:
                    for key, task in list(opened.items()):
                        end_one(key, self._outcome_of(error, task))
                if not stop() and not self.spoilt:
                    # Given back it would only be lost again.
                    for key in list(opened):
                        end_one(key, _lost(opened[key], jobs[key].name))
            reason = "the device failed at another job" if self.spoilt else ""
            for key in list(opened):
                end_one(key, Stopped(hindrance=reason))
        self.spoilt = self.spoilt or _threads_go_on()

    def _fold(
        self,
        stages: Path | None,
        tasks: Sequence[Task],
        jobs: Mapping[str, Job],
        tell: Callable[[str, Sequence[Event]], None],
        end: Callable[[str, Outcome], None],
        stop: Stop,
    ) -> None:
        """Fold jobs of one family and the same settings, whose names differ."""
        by_name = {jobs[task.key].name: task for task in tasks}
        warnings: dict[str, list[str]] = {}
        engine = self._engine(stages)
        settings = self._settings(tasks[0])
        plan = engine.plan([jobs[task.key] for task in tasks], settings)
        with closing(cast("Generator[EngineEvent]", engine.run_plan(plan, stop=stop))) as events:
            for event in events:
                task = by_name[event.job]
                if isinstance(event, JobFinished):
                    end(task.key, self._write(event, task, warnings.get(event.job, []), stop))
                elif isinstance(event, JobFailed):
                    # Memory that ran out in the middle may be what the job itself took.
                    if event.refused and getattr(event.error, "passing", False):
                        end(task.key, Stopped(hindrance=describe_error(event.error)["problem"]))
                        continue
                    end(task.key, self._outcome_of(event.error, task, event.traceback))
                    if self.spoilt:
                        return
                else:
                    tell(task.key, [event.to_dict()])
                if isinstance(event, JobWarned):
                    warnings.setdefault(event.job, []).append(event.message)
                if isinstance(event, StageFinished):
                    stop.stage_ended()

    def _engine(self, stages: Path | None) -> Engine:
        if stages not in self._engines:
            store = None if stages is None else Store(stages)
            self._engines[stages] = Engine(store, self.device, memory=self.memory_bytes)
        return self._engines[stages]

    def _settings(self, task: Task) -> Settings:
        options = options_of(task)
        return settings_of(
            RunOptions.checked(**options, threads=self.threads),
            self._kept.keeping(registry.get_family(task.family)),
        )

    def _write(
        self, event: JobFinished, task: Task, warnings: Sequence[str], stop: Stop
    ) -> Done | Stopped:
        """Write a result's files, again and again for a while where that cannot be done."""
        for wait in (*WRITE_AGAIN_AFTER_SECONDS, None):
            try:
                files = _write_files(event.result, task.output)
            except OutputError as error:
                problem = error.problem
                log.warning("%s", problem)
            else:
                summary = event.to_dict()
                for field in ("event", "job", "time"):
                    summary.pop(field)
                if warnings:
                    summary["warnings"] = list(warnings)
                return Done(files=files, summary=summary)
            if wait is None or stop.asked:
                break
            self._sleep(wait)
        return Stopped(hindrance=problem)

    def _outcome_of(self, error: Exception, task: Task, trace: str = "") -> Outcome:
        hindrance = hindrance_of(error)
        if hindrance:
            return Stopped(hindrance=hindrance)
        if _device_lost(error):
            self.spoilt = True
            return Lost(log=trace or "".join(traceback.format_exception(error)))
        return failed(error, task, trace)


def read_job(task: Task) -> Job:
    """Read a task's job, which may name only files that came with it.

    Raises:
        InputError: A field is wrong, or a file did not come.
    """
    files = set() if task.inputs is None else {path.name for path in task.inputs.iterdir()}
    return Job.from_dict(task.document, folder=task.inputs, files=files)


def options_of(task: Task) -> dict[str, Any]:
    """Return how a task is to be run, as fields of `RunOptions`.

    Raises:
        WeightsError: The weights are no published set; a path would be one of this machine's.
    """
    from itda.hub.registry import get_weight_set

    told = dict(task.settings)
    if told.get("weights") is not None:
        told["weights"] = get_weight_set(str(told["weights"])).name
    return {**told, "family": task.family}


def groups(tasks: Iterable[Task], jobs: Mapping[str, Job]) -> list[list[Task]]:
    """Put tasks together that the engine can run at once: one family, same settings, other names.

    Files of a result are named after the job, so that two of one name cannot be in one run.
    """
    found: dict[tuple[str, str, int], list[Task]] = {}
    names: dict[tuple[str, str, str], int] = {}
    for task in tasks:
        kind = task.family, json.dumps(task.settings, sort_keys=True, default=str)
        named = (*kind, collision_key(jobs[task.key].name))
        names[named] = names.get(named, -1) + 1
        found.setdefault((*kind, names[named]), []).append(task)
    return list(found.values())


def _lost(task: Task, name: str) -> Failed:
    failure = lost(name)
    return failed(failure.error, task, failure.traceback)


def failed(error: Exception, task: Task, trace: str = "") -> Failed:
    """Return an error as the outcome of a task; folders of this machine are left out of it."""
    inside = f"{task.inputs}/" if task.inputs is not None else ""
    if inside and isinstance(error, ItdaError):
        error = error.mapped(lambda text: text.replace(inside, ""))
    described = describe_error(error)
    if inside:
        described["problem"] = described["problem"].replace(inside, "")
    if not trace and not isinstance(error, ItdaError):
        trace = "".join(traceback.format_exception(error))
    return Failed(error=described, traceback=trace)


def hindrance_of(error: BaseException) -> str:
    """Say what the machine could not do just now; empty where the error is another one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DiskFullError):
            return seen.problem
        if isinstance(seen, OSError) and seen.errno in _HINDRANCES:
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    return ""


def _write_files(result: Result, folder: Path) -> dict[str, Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            Message("{folder}: cannot be made: {strerror}", folder=folder, strerror=error.strerror)
        ) from error
    remove_leftovers(folder, set(file_names(result.job).values()))
    return write_result(result, folder)


def _device_lost(error: BaseException) -> bool:
    """Whether nothing more can be computed in this process, as after a fault in a kernel."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


def _threads_go_on() -> bool:
    return any(thread.name.startswith("itda-") for thread in threading.enumerate())


def _use_threads(threads: int) -> None:
    import torch

    # The one holds for a computation, the other for how many go on side by side.
    torch.set_num_threads(threads)
    use_cores(threads)
