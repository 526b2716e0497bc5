"""Keeps the worker of a server alive, and gives back what dead workers held.

The worker is a process of its own: what takes it down does not take the pages down. It reads a pipe
from the server, and when the server dies, the pipe closes and the worker leaves.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from itda.errors import InputError
from itda.language import Message
from itda.server.accounts.accounts import Accounts
from itda.server.artefacts import Artefacts
from itda.server.database.database import Database
from itda.server.queue.queue import Queue
from itda.server.settings import JOB_HOURS, ServerSettings
from itda.server.work.patience import Pause, first_line

COMMAND = (sys.executable, "-m", "itda", "worker")
LOOK_SECONDS = 0.5
GRACE_SECONDS = 20.0
LEAVE_SECONDS = 60.0
"""How long a worker that was told to stop may take: grace, the end of a stage, a slow database."""

SOUND_AFTER_SECONDS = 60.0
"""A worker that lived as long is started again at once when it dies."""

COLLECT_EVERY_SECONDS = 3600.0
COLLECT_AGE_SECONDS = 24 * 3600.0
TAIL_LINES = 60
LOG_BYTES = 10 * 2**20

log = logging.getLogger("itda.server")


class Supervisor:
    """Starts what the settings ask for, and looks after it in a thread.

    Args:
        settings: Of the server.
        command: What starts a worker; options are added.
        look_seconds: How often it looks.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        command: Sequence[str] | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._settings = settings
        options = options_of(settings.cluster_url)
        self._command = None if options is None else (*(command or COMMAND), *options)
        self._look_seconds = look_seconds
        self._database = Database(settings.database_url)
        self._queue = Queue(
            self._database,
            lease_seconds=settings.lease_seconds,
            most_crashes=settings.most_crashes,
        )
        self._artefacts = Artefacts(settings.artefact_folder, self._database)
        self._accounts = Accounts(self._database)
        self._worker: WorkerProcess | None = None
        self._pause = Pause()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="supervisor", daemon=True)
        self._reap_at = 0.0
        self._collect_at = time.monotonic() + COLLECT_EVERY_SECONDS

    def start(self) -> None:
        """Begin, without waiting for the worker to be ready."""
        self._thread.start()

    def stop(self) -> None:
        """Let the worker give back what it holds, and wait until it has left."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        worker, self._worker = self._worker, None
        if worker is not None and not worker.leave(LEAVE_SECONDS):
            self._give_back(worker)
        self._database.close()

    @property
    def process(self) -> int | None:
        """The number of the worker's process; None where there is none now."""
        worker = self._worker
        return None if worker is None or worker.ended else worker.process

    def _look_after(self) -> None:
        while not self._ended.is_set():
            for look in (self._look_at_worker, self._reap, self._collect):
                try:
                    look()
                except Exception as error:  # the database may be away; the next look comes soon
                    log.warning("%s", first_line(error))
            self._ended.wait(self._look_seconds)

    def _look_at_worker(self) -> None:
        worker = self._worker
        if worker is not None and worker.ended:
            log.warning("the worker died: %s", worker.epitaph())
            if worker.age_seconds > SOUND_AFTER_SECONDS:
                self._pause.end()
            self._pause.lengthen()
            self._give_back(worker)
            self._worker = None
        elif worker is None and self._command is not None and self._pause.over:
            self._worker = WorkerProcess(self._command, self._settings)

    def _give_back(self, worker: WorkerProcess) -> None:
        """Give back at once what a dead process held, before its leases run out."""
        mine = (socket.gethostname(), worker.process)
        for record in self._queue.workers():
            if (record.host, record.process) == mine:
                given = self._queue.worker_died(record.id, worker.epitaph())
                log.warning("%d jobs of the dead worker are given back", given)

    def _reap(self) -> None:
        if time.monotonic() >= self._reap_at:
            self._reap_at = time.monotonic() + max(1.0, self._settings.lease_seconds / 4)
            reaped = self._queue.reap()
            if reaped:
                log.warning("%d leases ran out; their jobs are given back", reaped)

    def _collect(self) -> None:
        if time.monotonic() >= self._collect_at:
            self._collect_at = time.monotonic() + COLLECT_EVERY_SECONDS
            self._artefacts.collect(COLLECT_AGE_SECONDS)
            self._accounts.forget_old(self._settings.audit_days)


class WorkerProcess:
    """`itda worker`, as the server sees it.

    Args:
        command: What starts it.
        settings: Of the server.
    """

    def __init__(self, command: Sequence[str], settings: ServerSettings) -> None:
        self._began = time.monotonic()
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._popen = subprocess.Popen(
            [
                *command,
                "--home", str(settings.home),
                "--lease", str(settings.lease_seconds),
                "--grace", str(GRACE_SECONDS),
                "--with-parent",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            # The URL may hold a password, which the arguments of a process show to everybody.
            env={
                **os.environ,
                "ITDA_DATABASE": settings.database_url,
                JOB_HOURS: str(settings.limits.job_seconds / 3600),
            },
            # Ctrl-C in a terminal goes to the server alone, which tells the worker.
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(
            target=self._read, args=(settings.home / "logs",), daemon=True
        )
        self._reader.start()

    @property
    def process(self) -> int:
        """Its number."""
        return self._popen.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    @property
    def age_seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._began

    def leave(self, seconds: float) -> bool:
        """Tell it to stop and wait for it; return whether it left by itself."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            return self._popen.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            return False
        finally:
            self._reader.join(1.0)

    def epitaph(self) -> str:
        """Say how it ended and what it last wrote."""
        self._reader.join(1.0)
        code = self._popen.poll()
        if code is None:
            return "the worker does not answer"
        how = f"signal {-code} ended it" if code < 0 else f"it ended with status {code}"
        return "\n".join([f"worker process {self.process}: {how}", *self._tail])

    def _read(self, folder: Path) -> None:
        """Keep what it writes: all of it in a file, the last lines for `epitaph`."""
        handler: logging.Handler = logging.NullHandler()
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(
                folder / "worker.log", maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8"
            )
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            text = line.rstrip("\n")
            self._tail.append(text[:1000])
            handler.handle(logging.makeLogRecord({"msg": text}))
        handler.close()


def options_of(cluster_url: str) -> list[str] | None:
    """Return the options of `itda worker` for where work is to be done; None for no worker.

    Raises:
        InputError: It names no such place.

    >>> options_of("local:4"), options_of("ray"), options_of("none")
    (['--jobs', '4'], ['--ray', 'local'], None)
    """
    kind, _, rest = cluster_url.partition(":")
    if cluster_url == "none":
        return None
    if cluster_url == "local":
        return ["--jobs", "1"]
    if kind == "local" and rest.isdecimal() and int(rest) > 0:
        return ["--jobs", rest]
    if cluster_url == "ray":
        return ["--ray", "local"]
    if cluster_url == "auto" or (kind not in ("", "local") and rest):
        return ["--ray", cluster_url]
    raise InputError(
        Message("cluster {cluster_url!r}: there is no such place", cluster_url=cluster_url),
        hint=Message("local, local:4, ray, ray://HOST:PORT, HOST:PORT or none"),
    )
