"""A worker: takes jobs from the queue, lets an executor fold them, and writes down what comes.

It is given a lease with each job and renews it. Whoever has lost a lease writes nothing: the queue
refuses it. Nothing that the machine cannot do just now, such as reach the database or write to a
disk, ends the worker or a job; it tries again, and says so in its log.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from itda.cluster.work import Done, Executor, Failed, Lost, Outcome, Stopped, Work
from itda.errors import ItdaError, describe_error
from itda.server.artefacts import Artefacts
from itda.server.errors import NotFoundError
from itda.server.queue.leases import wait_before
from itda.server.queue.queue import Queue
from itda.server.queue.records import Beat, Capacity, FileRecord, NewWorker
from itda.server.settings import hours_shown
from itda.server.work.heartbeat import Heartbeat
from itda.server.work.held import Held, Run
from itda.server.work.patience import PASSING, Pause, first_line, insist
from itda.server.work.records import Records

SMALL_SECONDS = 5.0
"""Jobs that are predicted to take no more share a process and the time to start one."""

TURN_SECONDS = 0.2

WRITE_EVENTS_EVERY_SECONDS = 0.5
WRITE_EACH_EVENT_SECONDS = 0.1
"""With many jobs at once each is written less often: at most ten writes a second in all."""

GIVE_UP_SECONDS = 30.0
"""How long after its end a worker tries to give back what it holds."""

log = logging.getLogger("itda.worker")


class Worker:
    """Works until it is told to stop.

    Args:
        queue: Gives jobs and takes what comes of them.
        artefacts: Keeps files of results.
        executor: Folds; closed at the end.
        folder: Of its own, for files of jobs under way.
        stages: The folder of finished stages.
        lease_seconds: How long a lease lasts without a heartbeat.
        batch: Most small jobs that share a process at a time.
        grace_seconds: How long stages may go on once it is told to stop.
        idle_seconds: How often it looks for jobs where there are none.
        pause_seconds: How long it takes nothing after it could not work, and nobody takes what it
            gave back; longer each time.
        job_seconds: Longest that an attempt at a job may run.
        leave_after_seconds: Without anything to do for as long it stops; None for never.
    """

    def __init__(
        self,
        queue: Queue,
        artefacts: Artefacts,
        executor: Executor,
        *,
        folder: Path,
        stages: Path,
        lease_seconds: float = 60.0,
        batch: int = 16,
        grace_seconds: float = 20.0,
        idle_seconds: float = 0.5,
        pause_seconds: float = 1.0,
        job_seconds: float = 24 * 3600.0,
        leave_after_seconds: float | None = None,
    ) -> None:
        self.queue = queue
        self.artefacts = artefacts
        self.executor = executor
        self.folder = folder
        self.stages = stages
        self.grace_seconds = grace_seconds
        self._batch = batch
        self._idle_seconds = idle_seconds
        self._worker_id = ""
        self._held: dict[str, Held] = {}
        self._parked: list[Held] = []
        self._runs: list[Run] = []
        self._draining = False
        self._look_at = 0.0
        self._leave_after_seconds = leave_after_seconds
        self._busy_at = time.monotonic()
        self._pause_seconds = pause_seconds
        self._job_seconds = job_seconds
        self._pause = Pause(pause_seconds)
        self._records = Records(queue, artefacts)
        self._wake = threading.Event()
        self._heartbeat = Heartbeat(queue, lease_seconds)
        # Plain values: a signal may come while the main thread holds the lock of an event.
        self._stop_asked_at: float | None = None
        self._grace = grace_seconds

    def stop(self) -> None:
        """Take nothing new, let stages end within the grace, give back the rest, and leave.

        May be called from a signal handler; the second time there is no grace.
        """
        if self._stop_asked_at is None:
            self._stop_asked_at = time.monotonic()
        else:
            self._grace = 0.0

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop_asked_at is not None

    def run(self) -> None:
        """Work until `stop`."""
        try:
            self._worker_id = self._insist(self._register, "registering")
            log.info("worker %s: %s", self._worker_id, self._described())
            self._heartbeat.start(self._worker_id, lambda: list(self._held))
            while not (self.stopping and not self._held):
                self._turn()
                self._wake.wait(TURN_SECONDS)
                self._wake.clear()
        except PASSING as error:
            # Told to stop, and the database stays away: leases run out by themselves.
            log.error("leaving without giving back: %s", first_line(error))
        finally:
            self._heartbeat.end()
            self.executor.close()
            self._records.close()
            self._leave()

    def _turn(self) -> None:
        if self.stopping:
            self._stop_all()
        for run in list(self._runs):
            self._settle_run(run)
        for beat in self._heartbeat.take_beats():
            self._heed(beat)
        self._write_events()
        if not self.stopping:
            self._take()
            self._leave_when_idle()

    def _leave_when_idle(self) -> None:
        now, most = time.monotonic(), self._leave_after_seconds
        if self._held:
            self._busy_at = now
        elif most is not None and now - self._busy_at >= most:
            log.info("nothing to do for %.0f s", now - self._busy_at)
            self.stop()

    # Jobs come ------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Start what is parked, then take jobs for slots that are free."""
        if not self._pause.over:
            return
        while self._parked and self._free_slots:
            self._start([self._parked.pop(0)])
        if self._draining or time.monotonic() < self._look_at or not self._free_slots:
            return
        groups: list[list[Held]] = []
        try:
            free_bytes = self.executor.free_bytes()
            while len(groups) < self._free_slots:
                claimed = self._claim(free_bytes, whole_bytes=self.executor.memory_bytes)
                if not claimed:
                    self._look_at = time.monotonic() + self._idle_seconds
                    break
                groups.append(claimed)
                free_bytes -= claimed[0].claim.job.need_bytes
            else:
                self._take_more(groups)
        except PASSING as error:
            self._hindered(f"claiming: {first_line(error)}")
        for group in groups:
            self._start(group)

    def _take_more(self, groups: Sequence[list[Held]]) -> None:
        """Add small jobs to small ones: there are more than slots."""
        small = [group for group in groups if self._is_small(group[0])]
        if not small or self._batch < 2:
            return
        # The work needs as much memory as the largest of its jobs.
        most = min(group[0].claim.job.need_bytes for group in small)
        more = self._claim(most, jobs=len(small) * (self._batch - 1), seconds=SMALL_SECONDS)
        for index, held in enumerate(more):
            if held.alone:
                self._parked.append(held)
            else:
                small[index % len(small)].append(held)

    def _claim(self, memory_bytes: int, **limits: Any) -> list[Held]:
        capacity = Capacity(
            device_kind=self.executor.device_kind, memory_bytes=max(0, memory_bytes), **limits
        )
        claims = self.queue.claim(self._worker_id, capacity)
        held = [Held(claim, self.folder / claim.lease_id) for claim in claims]
        self._held.update({one.lease_id: one for one in held})
        return held

    def _is_small(self, held: Held) -> bool:
        return held.claim.job.need_seconds <= SMALL_SECONDS and not held.alone

    @property
    def _free_slots(self) -> int:
        return self.executor.slots - len(self._runs)

    def _start(self, group: Sequence[Held]) -> None:
        """Start jobs together; what cannot be started is given back or fails."""
        tasks, ready = [], []
        for held in group:
            held.stage = ""
            try:
                tasks.append(held.task(self.artefacts))
                ready.append(held)
            except OSError as error:
                self._give_back(held, f"{self.folder}: {first_line(error)}")
            except NotFoundError as error:
                # Perhaps only not here; after a few times it is set aside.
                self._end(held, Lost(log=str(error)))
            except ItdaError as error:
                self._end(held, Failed(error=describe_error(error)))
        if not tasks:
            return
        jobs = [held.claim.job for held in ready]
        work = Work(
            tasks=tuple(tasks),
            stages=self.stages,
            need_bytes=max(job.need_bytes for job in jobs),
            device_kind="gpu" if any(job.device_kind == "gpu" for job in jobs) else "cpu",
        )
        run = Run(ready)
        try:
            run.running = self.executor.start(work, self._report)
        except OSError as error:
            for held in ready:
                self._give_back(held, f"no process can be started: {first_line(error)}")
        else:
            self._runs.append(run)

    # What happens to them -------------------------------------------------------------------------

    def _report(self, lease_id: str, events: Sequence[Mapping[str, Any]]) -> None:
        held = self._held.get(lease_id)
        if held is not None:
            held.note(events)
        if not events:
            self._wake.set()

    def _write_events(self) -> None:
        every = max(WRITE_EVENTS_EVERY_SECONDS, WRITE_EACH_EVENT_SECONDS * len(self._held))
        for held in list(self._held.values()):
            if time.monotonic() - held.written_at >= every:
                try:
                    self._write_events_of(held)
                except PASSING as error:
                    log.warning("writing events: %s", first_line(error))
                    return

    def _write_events_of(self, held: Held) -> None:
        if not self._records.write_events(held):
            self._lose(held)

    def _heed(self, beat: Beat) -> None:
        if beat.draining != self._draining:
            self._draining = beat.draining
            log.info("draining: takes nothing new" if beat.draining else "takes jobs again")
        for lease_id in beat.lost & self._held.keys():
            self._lose(self._held[lease_id])
        for lease_id in beat.cancelled & self._held.keys():
            held = self._held[lease_id]
            if not held.cancelled:
                log.info("job %s is cancelled", held.claim.job.id)
                held.cancelled = True
                self._stop_run_of(held)

    def _lose(self, held: Held) -> None:
        """Drop a job whose lease went to others."""
        if not held.lost:
            log.warning("job %s: the lease is lost", held.claim.job.id)
            held.lost = True
            self._stop_run_of(held)

    def _stop_run_of(self, held: Held) -> None:
        """Stop the work that a job is part of; the others of it are started again."""
        if held in self._parked:
            self._parked.remove(held)
            self._settle(held, Stopped())
        for run in self._runs:
            if held.lease_id in run.open and run.running is not None:
                run.running.stop()

    def _stop_all(self) -> None:
        while self._parked:
            self._settle(self._parked.pop(), Stopped())
        for run in self._runs:
            if run.running is not None and (not run.stopping or self._grace == 0.0):
                run.stopping = True
                run.running.stop(self._grace)
                log.info("told to stop: %d jobs under way are told", len(run.open))

    # What comes of them ---------------------------------------------------------------------------

    def _settle_run(self, run: Run) -> None:
        assert run.running is not None
        run.charge()
        outcomes = run.running.poll()
        for lease_id, outcome in outcomes:
            if isinstance(outcome, Lost):
                run.suspects = run.suspects or len(run.open)
            held = run.open.pop(lease_id)
            if lease_id in run.late and (outcome == Stopped() or isinstance(outcome, Lost)):
                self._settle_late(run, held)
            elif isinstance(outcome, Lost) and run.suspects > 1 and not held.cancelled:
                # Each is tried alone: only the one that it dies of is to blame.
                held.alone = True
                self._parked.append(held)
            elif outcome == Stopped() and not (self.stopping or held.cancelled or held.lost):
                self._parked.append(held)  # it was another of this work that had to stop
            else:
                self._settle(held, outcome)
        if run.running.ended:
            self._runs.remove(run)
            # Held for ever otherwise, with its lease renewed.
            for held in run.open.values():
                self._settle(held, Lost(log="the work ended without a word of what came of it"))
        elif run.watch(self._job_seconds, ended=bool(outcomes)):
            names = ", ".join(held.claim.job.id for held in run.late.values())
            log.warning(
                "stopped after %.0f s, the longest a job may run: %s", run.late_seconds, names
            )
            run.running.stop(self.grace_seconds)

    def _settle_late(self, run: Run, held: Held) -> None:
        """End a job that ran too long; of several each is tried alone, and only one is to blame."""
        if held.cancelled or held.lost:
            self._settle(held, Stopped())
        elif len(run.late) > 1:
            held.alone = True
            self._parked.append(held)
        else:
            self._settle(held, Failed(error=held.overran(run.late_seconds, self._job_seconds)))

    def _settle(self, held: Held, outcome: Outcome) -> None:
        """Write down what came of a job, and let it go."""
        if held.lost:
            self._end(held, outcome)
            return
        if isinstance(outcome, Stopped) and outcome.hindrance:
            self._give_back(held, outcome.hindrance)
            return
        if isinstance(outcome, Lost):
            log.warning("job %s lost its process: %s", held.claim.job.id, outcome.log[:2000])
            if held.cancelled:
                outcome = Stopped()
            elif self.stopping:
                # Whoever ends this worker ends what is around it too, such as a node.
                outcome = Stopped(hindrance="its process was ended with the worker")
        if isinstance(outcome, Failed) and outcome.traceback:
            log.error("job %s: %s", held.claim.job.id, outcome.traceback)
        if isinstance(outcome, Done):
            try:
                files = self._records.keep_files(outcome, give_up=lambda: self.stopping)
            except PASSING as error:
                self._give_back(held, first_line(error))
                return
            self._end(held, outcome, files)
            self._pause.end()
        else:
            self._end(held, outcome)

    def _give_back(self, held: Held, hindrance: str) -> None:
        """Give a job back through no fault of its own, and wait before taking another."""
        self._hindered(f"job {held.claim.job.id} is given back: {hindrance}")
        times = held.claim.attempt
        held.waits = wait_before(times, self._pause_seconds)
        if held.waits >= 1.0:
            hindrance += f" (attempt {times}; the next comes after {hours_shown(held.waits)})"
        self._end(held, Stopped(hindrance=hindrance))

    def _hindered(self, problem: str) -> None:
        log.warning("%s; takes jobs again in %.1f s", problem, self._pause.lengthen())

    def _end(self, held: Held, outcome: Outcome, files: Sequence[FileRecord] = ()) -> None:
        try:
            if not held.lost:
                self._insist(lambda: self._write_events_of(held), "writing events")
            if not held.lost and not self._insist(
                lambda: self._records.write_outcome(held, outcome, files), "writing an outcome"
            ):
                log.warning("job %s: the lease was lost before its end", held.claim.job.id)
        except PASSING:
            raise
        except Exception:
            # The lease runs out, and the job is tried again, or set aside after a few times.
            log.exception("job %s: its outcome cannot be written", held.claim.job.id)
        del self._held[held.lease_id]
        self._records.clear(held)

    # The worker itself ----------------------------------------------------------------------------

    def _register(self) -> str:
        executor = self.executor
        return self.queue.register(
            NewWorker(
                host=socket.gethostname(),
                process=os.getpid(),
                executor=executor.name,
                device_kind=executor.device_kind,
                device=executor.device,
                memory_bytes=executor.memory_bytes,
            )
        )

    def _leave(self) -> None:
        if not self._worker_id:
            return
        try:
            self.queue.leave(self._worker_id)
            log.info("worker %s left", self._worker_id)
        except Exception as error:
            log.warning("leaving: %s", first_line(error))

    def _described(self) -> str:
        one = self.executor
        return f"process {os.getpid()}, {one.name}, {one.slots} at once, {one.device}"

    def _insist(self, call: Callable[[], Any], what: str) -> Any:
        return insist(call, what, give_up=self._gives_up)

    def _gives_up(self) -> bool:
        """Whether it was told to stop long enough ago to leave things to the reaper."""
        asked = self._stop_asked_at
        return asked is not None and time.monotonic() > asked + self._grace + GIVE_UP_SECONDS
