"""What `itda worker` does once its options are read."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sqlalchemy import select

from itda.cluster.processes import Processes
from itda.cluster.work import Executor
from itda.errors import DataError, OutputError
from itda.language import Message
from itda.server.artefacts import Artefacts
from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.database.tables import artefacts as artefacts_table
from itda.server.queue.queue import Queue
from itda.server.settings import ServerSettings
from itda.server.work.patience import insist
from itda.server.work.worker import Worker

log = logging.getLogger("itda.worker")

CHILD: Sequence[str] | None = None
"""What starts a process that folds; None for the usual one."""

RAY_SETUP: Callable[[], None] | None = None
"""Called in each process of a Ray cluster before its first work."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a worker is told.

    Attributes:
        jobs: Pieces of work at a time; None for what the executor finds right.
        device: `auto`, `cpu`, `cuda:1`, …
        memory_bytes: Memory that work may take; None for all.
        threads: Processor cores of each piece of work; None shares them out.
        ray: The Ray cluster; None for processes of this machine.
        batch: Most small jobs that share a process at a time.
        grace_seconds: How long a stage may go on once the worker is told to stop.
        with_parent: Whether it leaves when its standard input closes.
        leave_after_seconds: Without anything to do for as long it leaves; None for never.
    """

    jobs: int | None = None
    device: str = "auto"
    memory_bytes: int | None = None
    threads: int | None = None
    ray: str | None = None
    batch: int = 16
    grace_seconds: float = 20.0
    with_parent: bool = False
    leave_after_seconds: float | None = None


def work(settings: ServerSettings, options: Options) -> None:
    """Work until SIGTERM, SIGINT, or the end of the parent.

    Raises:
        ItdaError: The database or the folder is not the server's, or nothing can fold here.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = _Stop()
    if options.with_parent:
        threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
    database = Database(settings.database_url)
    folder = _folder(settings)
    try:
        insist(lambda: migrate.upgrade(database), "opening the database", give_up=lambda: stop.told)
        artefacts = Artefacts(settings.artefact_folder, database)
        check_folder(artefacts, database)
        executor = _executor(settings, options)
        worker = Worker(
            Queue(
                database,
                lease_seconds=settings.lease_seconds,
                most_crashes=settings.most_crashes,
            ),
            artefacts,
            executor,
            folder=folder,
            stages=settings.stage_folder,
            lease_seconds=settings.lease_seconds,
            batch=options.batch,
            grace_seconds=options.grace_seconds,
            job_seconds=settings.limits.job_seconds,
            leave_after_seconds=options.leave_after_seconds,
        )
        stop.attach(worker)
        worker.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        database.close()


def check_folder(artefacts: Artefacts, database: Database) -> None:
    """Refuse a folder of files that is not the one that the database speaks of.

    Raises:
        DataError: It lacks the newest file.
    """
    newest = select(artefacts_table.c.digest).order_by(artefacts_table.c.created_at.desc()).limit(1)
    with database.read() as connection:
        digest = connection.execute(newest).scalar()
    if digest is not None and not (artefacts.folder / digest[:2] / digest[2:]).exists():
        raise DataError(
            Message("{folder}: lacks files that the database names", folder=artefacts.folder),
            hint=Message("{--home} has to be the server's folder, shared over the network"),
        )


def _folder(settings: ServerSettings) -> Path:
    """Make a folder of its own for jobs under way, on the disk of the artefacts for links."""
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
    try:
        parent = settings.home / "work"
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f"{host}-*-*"):
            if not _is_alive(left.name.removeprefix(f"{host}-").partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{host}-{os.getpid()}-", dir=parent))
    except OSError as error:
        raise OutputError(
            Message(
                "{home}: cannot be written: {strerror}", home=settings.home, strerror=error.strerror
            ),
            hint=Message(
                "{--home} has to be the server's folder, and this account must write there"
            ),
        ) from error


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _executor(settings: ServerSettings, options: Options) -> Executor:
    if options.ray is not None:
        from itda.cluster.ray import RayExecutor

        return RayExecutor(
            options.ray,
            home=settings.home,
            slots=options.jobs,
            cores=options.threads or 1,
            setup=RAY_SETUP,
        )
    return Processes(
        options.jobs,
        device=options.device,
        memory_bytes=options.memory_bytes,
        threads=options.threads,
        command=CHILD,
    )


class _Stop:
    """Signals, which may come before there is a worker."""

    def __init__(self) -> None:
        self.told = False
        self._worker: Worker | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def attach(self, worker: Worker) -> None:
        """Tell this worker from now on."""
        self._worker = worker
        if self.told:
            worker.stop()

    def tell(self) -> None:
        """Let it stop."""
        self.told = True
        if self._worker is not None:
            self._worker.stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.tell()


def _watch_parent(stop: _Stop) -> None:
    """Leave when the parent is gone: the pipe from it closes."""
    # Not by `sys.stdin`, whose lock this thread would still hold when the interpreter ends.
    while os.read(0, 4096):
        pass
    log.warning("the server is gone")
    stop.tell()
