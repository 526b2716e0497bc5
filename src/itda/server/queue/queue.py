"""The queue: jobs, their leases, who is next, and the books, in one database.

It is above every executor: what runs a job knows nothing of it, and whatever dies, the books tell
what each job's state is. Every method is one transaction, or nothing happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from itda.language import Message
from itda.server.database.database import Database
from itda.server.database.tables import leases as lease_table
from itda.server.database.tables import projects, state, workers
from itda.server.errors import NotFoundError, QuotaError
from itda.server.queue import (
    claims,
    control,
    history,
    leases,
    ledger,
    quotas,
    staff,
    submission,
    waiting,
)
from itda.server.queue.records import (
    Beat,
    Capacity,
    Claim,
    EventRecord,
    FileRecord,
    JobRecord,
    NewJob,
    NewWorker,
    Page,
    Priority,
    Quota,
    QuotaStatus,
    StageRecord,
    State,
    UsageLine,
    WorkerRecord,
)
from itda.server.queue.rows import DRAIN, find_job, insert_new
from itda.server.queue.shares import Owner
from itda.server.queue.waiting import is_draining

_BEAT = update(workers).where(workers.c.id == bindparam("worker_id"))


class Queue:
    """The queue of a server.

    Args:
        database: Where it is written down.
        clock: Seconds since 1970.
        lease_seconds: How long a worker may be silent before its jobs are given to others.
        most_crashes: Deaths of workers after which a job is set aside.
        most_queued: Most jobs of a project that wait at once.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        lease_seconds: float = 60.0,
        most_crashes: int = 3,
        most_queued: int = 100_000,
    ) -> None:
        self.lease_seconds = lease_seconds
        self._database = database
        self._clock = clock
        self._most_crashes = most_crashes
        self._most_queued = most_queued

    def submit(
        self,
        new: Sequence[NewJob],
        *,
        organisation_id: str,
        project_id: str,
        user_id: str,
        priority: Priority = Priority.NORMAL,
        idempotency_key: str | None = None,
        request_digest: str = "",
        also: Callable[[Connection, list[JobRecord]], None] | None = None,
    ) -> list[JobRecord]:
        """Queue jobs, all or none; the same request under the same key gives the same jobs.

        By `request_digest` two requests are the same; by what the jobs ask for where it is left
        out. `also` is done in the transaction of new jobs alone.

        Raises:
            ConflictError: Another request was made under the key.
            QuotaError: A quota is used up, or too many jobs of the project wait.
            InputError: There is no job, or the key is too long.
        """
        submission.check_request(new, idempotency_key)
        digest = request_digest or submission.request_digest(new, priority)
        owner = Owner(organisation_id, project_id, user_id)

        def known(connection: Connection) -> list[JobRecord]:
            return submission.submitted_under(connection, project_id, idempotency_key, digest)

        try:
            # What a client was told of is not lost, not even to a power cut.
            with self._database.write(durable=True) as connection:
                if found := known(connection):
                    return found
                made = submission.insert_jobs(
                    connection, new, owner, priority, key=idempotency_key, digest=digest,
                    most_queued=self._most_queued, now=self._clock(),
                )  # fmt: skip
                if also is not None:
                    also(connection, made)
                return made
        except (IntegrityError, QuotaError):  # perhaps the same key came twice at the same time
            with self._database.read() as connection:
                found = known(connection)
            if not found:
                raise
            return found

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job: at once where it waits, at its next report where it runs.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended otherwise.
        """
        with self._database.write() as connection:
            return control.cancel_job(connection, job_id, self._clock())

    def retry(self, job_id: str) -> JobRecord:
        """Queue a job again that failed or was cancelled; finished stages are found again.

        Raises:
            NotFoundError: There is none.
            ConflictError: It waits, runs, or is done.
            QuotaError: A quota is used up.
        """
        with self._database.write() as connection:
            return control.retry_job(connection, job_id, self._clock())

    def remove(self, job_id: str) -> None:
        """Remove a job that has ended, with its events and files; the ledger keeps its lines.

        Raises:
            NotFoundError: There is none.
            ConflictError: It waits or runs.
        """
        with self._database.write() as connection:
            control.remove_job(connection, job_id)

    def register(self, worker: NewWorker) -> str:
        """Write down a worker that begins, and return its key."""
        with self._database.write() as connection:
            return staff.add_worker(connection, worker, self._clock())

    def leave(self, worker_id: str) -> None:
        """Write down that a worker has ended; what it still holds goes back when it is reaped."""
        with self._database.write() as connection:
            staff.gone(connection, worker_id)

    def workers(self) -> list[WorkerRecord]:
        """Return the workers that are there, oldest first."""
        with self._database.read() as connection:
            return staff.those_there(connection)

    def claim(self, worker_id: str, capacity: Capacity) -> list[Claim]:
        """Give a worker jobs under a lease; none where none is for it or the queue is drained.

        The class comes first (urgent, normal, background), then the fair share of organisation,
        project and user, then age. Several jobs are of one owner, one family and equal settings.
        """
        with self._database.write() as connection:
            return claims.claim_jobs(
                connection,
                worker_id,
                capacity,
                lease_seconds=self.lease_seconds,
                now=self._clock(),
            )

    def beat(self, worker_id: str, lease_ids: Sequence[str]) -> Beat:
        """Renew a worker's leases, and tell it which it has lost and which jobs to stop."""
        with self._database.write() as connection:
            now = self._clock()
            draining = is_draining(connection)
            said = {"heartbeat_at": now, "state": "draining" if draining else "active"}
            connection.execute(_BEAT, {"worker_id": worker_id, **said})
            kept, cancelled = leases.renew(
                connection, worker_id, lease_ids, now + self.lease_seconds, now
            )
        lost = frozenset(lease_ids) - kept
        return Beat(kept=kept, lost=lost, cancelled=cancelled, draining=draining)

    def record(self, claim: Claim, told: Sequence[Mapping[str, Any]]) -> bool:
        """Write down what happened to a job; False, and nothing, where the lease is lost."""
        return self._with_lease(
            claim.lease_id, lambda c, held, now: leases.write_events(c, held, told, now)
        )

    def finish(
        self,
        claim: Claim,
        files: Sequence[FileRecord],
        summary: Mapping[str, Any],
        *,
        device_seconds: float | None = None,
    ) -> bool:
        """End a job with its result; False, and nothing, where the lease is lost.

        Args:
            claim: Under which it was done.
            files: Of the result; they are in the artefact folder already.
            summary: `residues`, `mean_plddt`, `ptm`, `verdict`, `samples`, `cached`, `seconds`.
            device_seconds: How long the device worked for it, where several jobs shared it; None
                for as long as the lease was held. The same in `fail`, `stopped` and `crashed`.
        """
        return self._with_lease(
            claim.lease_id,
            lambda c, held, now: leases.end_done(c, held, files, summary, now),
            device_seconds,
        )

    def fail(
        self, claim: Claim, error: Mapping[str, str], *, device_seconds: float | None = None
    ) -> bool:
        """End a job with `kind`, `problem` and `hint`; False where the lease is lost."""
        return self._with_lease(
            claim.lease_id,
            lambda c, held, now: leases.end_failed(c, held, error, now),
            device_seconds,
        )

    def stopped(
        self,
        claim: Claim,
        *,
        wait_seconds: float = 0.0,
        reason: str = "",
        device_seconds: float | None = None,
    ) -> bool:
        """Give a job back that was stopped, or end it where it was to be cancelled.

        Args:
            claim: Under which it ran.
            wait_seconds: How long nobody is to take it.
            reason: Why, for people.
            device_seconds: See `finish`.
        """

        def end(connection: Connection, held: leases.Held, now: float) -> None:
            leases.give_back(connection, held, now, wait_seconds=wait_seconds, reason=reason)

        return self._with_lease(claim.lease_id, end, device_seconds)

    def crashed(self, claim: Claim, log: str, *, device_seconds: float | None = None) -> bool:
        """Give a job back whose worker died, or set it aside after too many deaths."""

        def end(connection: Connection, held: leases.Held, now: float) -> None:
            leases.end_crashed(
                connection, held, log, now, most_crashes=self._most_crashes, until=now
            )

        return self._with_lease(claim.lease_id, end, device_seconds)

    def reap(self) -> int:
        """Give back the jobs of workers that fell silent, and return how many there were."""
        now = self._clock()
        since = now - self.lease_seconds
        with self._database.read() as connection:
            late = leases.expired(connection, now)
            silent = staff.silent_since(connection, since)
        for worker_id in silent:
            with self._database.write() as connection:
                staff.gone_if_silent(connection, worker_id, since)
        # What a frozen worker has locked must not keep the jobs of others: its turn comes again.
        return sum(self._with_lease(one, self._reap_one, wait=False) for one in late)

    def worker_died(self, worker_id: str, log: str) -> int:
        """Give back at once what a worker held that is known to be dead; return how many jobs."""
        with self._database.write() as connection:
            mine = lease_table.c.worker_id == worker_id
            held = list(connection.execute(select(lease_table.c.lease_id).where(mine)).scalars())
            staff.gone(connection, worker_id)

        def end(connection: Connection, one: leases.Held, now: float) -> None:
            leases.end_crashed(
                connection, one, log, now, most_crashes=self._most_crashes, until=now
            )

        return sum(self._with_lease(one, end) for one in held)

    def _reap_one(self, connection: Connection, held: leases.Held, now: float) -> bool:
        if held.lease.expires_at >= now:  # it was renewed meanwhile
            return False
        silent = now - held.lease.heartbeat_at
        leases.end_crashed(
            connection,
            held,
            f"worker {held.lease.worker_id} was not heard of for {silent:.0f} s",
            now,
            most_crashes=self._most_crashes,
            until=held.lease.heartbeat_at,
        )
        return True

    def _with_lease(
        self,
        lease_id: str,
        do: Callable[[Connection, leases.Held, float], bool | None],
        device_seconds: float | None = None,
        *,
        wait: bool = True,
    ) -> bool:
        with self._database.write() as connection:
            held = leases.hold(connection, lease_id, wait=wait)
            if held is None:
                return False
            held = replace(held, device_seconds=device_seconds)
            return do(connection, held, self._clock()) is not False

    def job(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            NotFoundError: There is none.
        """
        with self._database.read() as connection:
            return find_job(connection, job_id)

    def jobs(
        self,
        project_ids: Sequence[str] | None,
        *,
        states: Sequence[State] = (),
        text: str = "",
        before: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return some jobs of projects (None for all), newest first.

        Args:
            project_ids: Of these.
            states: In one of these; any for none.
            text: Part of the name, whole family or whole key; capitals do not matter.
            before: Only those older than this key.
            limit: As many at most.
        """
        with self._database.read() as connection:
            return history.page_of_jobs(
                connection, project_ids, states=states, text=text, before=before, limit=limit
            )

    def stages(self, job_id: str) -> list[StageRecord]:
        """Return the stages of a job in their order."""
        with self._database.read() as connection:
            return history.stages_of(connection, job_id)

    def events(self, job_id: str, after: int = 0, limit: int = 500) -> list[EventRecord]:
        """Return what happened to a job after an event, oldest first."""
        with self._database.read() as connection:
            return history.events_of(connection, job_id, after, limit)

    def files(self, job_id: str, direction: str = "output") -> list[FileRecord]:
        """Return the files of a job's result, or with `input` those that came with it."""
        with self._database.read() as connection:
            return history.files_of(connection, job_id, direction)

    def position(self, job_id: str) -> tuple[int, float | None]:
        """Return how many jobs wait before one, and in how many seconds it would start.

        The seconds are None where no worker is there, or where a quota holds it back (`held_by`).
        Fair shares can put it earlier or later: this counts by class and age.
        """
        now = self._clock()
        with self._database.read() as connection:
            job = find_job(connection, job_id)
            ahead, seconds = waiting.work_ahead(connection, job)
            if waiting.holding_quota(connection, job, now):
                return ahead, None
            return ahead, self._starts_in(connection, job.device_kind, seconds, now)

    def held_by(self, job_id: str) -> QuotaStatus | None:
        """Return the quota that holds a waiting job back until it renews; None where none does."""
        with self._database.read() as connection:
            return waiting.holding_quota(connection, find_job(connection, job_id), self._clock())

    def start_estimate(self, device_kind: str, seconds: float = 0.0) -> float | None:
        """Return in how many seconds a job that came now would start; None without a worker."""
        with self._database.read() as connection:
            _, ahead = waiting.work_ahead(connection, None)
            return self._starts_in(connection, device_kind, ahead, self._clock())

    def _starts_in(
        self, connection: Connection, device_kind: str, seconds: float, now: float
    ) -> float | None:
        alive_since = now - self.lease_seconds
        return waiting.starts_in(connection, device_kind, seconds, now=now, alive_since=alive_since)

    def drain(self, on: bool) -> None:
        """Give out no more jobs, or give them out again; what runs goes on."""
        with self._database.write() as connection:
            insert_new(connection, state, [{"key": DRAIN, "value": on}])
            connection.execute(update(state).where(state.c.key == DRAIN).values(value=on))

    def draining(self) -> bool:
        """Return whether no more jobs are given out."""
        with self._database.read() as connection:
            return is_draining(connection)

    def usage(self, project_ids: Sequence[str] | None, start: float, end: float) -> list[UsageLine]:
        """Return what projects (None for all) used from one time to another, by month."""
        with self._database.read() as connection:
            return ledger.usage(connection, project_ids, start, end)

    def usage_csv(self, project_ids: Sequence[str] | None, start: float, end: float) -> str:
        """Return the same as CSV, for a grant report."""
        return ledger.usage_csv(self.usage(project_ids, start, end))

    def set_quota(
        self,
        level: str,
        owner_id: str,
        device_kind: str,
        device_seconds: float | None,
        period: str,
    ) -> None:
        """Set how much an organisation, project or user may use in a period; None lifts it.

        Raises:
            InputError: There is no such level, device or period, or the seconds are negative.
        """
        with self._database.write() as connection:
            quotas.set_quota(connection, level, owner_id, device_kind, device_seconds, period)

    def quotas(self) -> list[Quota]:
        """Return every quota."""
        with self._database.read() as connection:
            return quotas.all_quotas(connection)

    def quota_status(self, project_id: str, user_id: str) -> list[QuotaStatus]:
        """Return the quotas that hold for a user in a project, with what is used of them."""
        with self._database.read() as connection:
            query = select(projects.c.organisation_id)
            found = connection.execute(query.where(projects.c.id == project_id))
            organisation_id = found.scalar_one_or_none()
            if organisation_id is None:
                raise NotFoundError(
                    Message("project {project_id!r}: there is none", project_id=project_id[:80])
                )
            owner = Owner(organisation_id, project_id, user_id)
            return quotas.statuses(connection, owner, self._clock())
