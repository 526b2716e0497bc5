"""Weighted fair share: whose job is next.

At each level, organisation, project and user, the one comes first that has used least for its
weight. Use is what the ledger says, halved with every half-life that has passed since, and what is
predicted for the jobs that run now, so that claims made at the same time spread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Double, Row, bindparam, select, text

from itda.server.database.tables import leases
from itda.server.queue.records import JobRecord

HALF_LIFE_SECONDS = 7 * 86400.0
# PostgreSQL refuses powers that are too small for its numbers.
FORGOTTEN_SECONDS = 500 * HALF_LIFE_SECONDS

LEVELS = ("organisation", "project", "user")

# One step down the index for each class and owner, however many jobs the owner has waiting: a line
# has an owner and the first job of the one after it. The steps are written out (next user, next
# project, next class) since SQLite uses the index for no more than the first part of a comparison
# of rows, and nothing is looked up in `jobs` afterwards since PostgreSQL, which cannot tell how few
# owners there are, would read all of it.
_OWNERS = text("""
WITH RECURSIVE steps(priority, project_id, user_id, following) AS (
    SELECT * FROM (
        SELECT -1, '', '', id FROM jobs WHERE state = 'queued' AND device_kind = :kind
        ORDER BY priority, project_id, user_id LIMIT 1
    ) AS before_the_first
    UNION ALL
    SELECT this.priority, this.project_id, this.user_id, COALESCE(
        (
            SELECT id FROM jobs WHERE state = 'queued' AND device_kind = :kind
            AND priority = this.priority AND project_id = this.project_id
            AND user_id > this.user_id
            ORDER BY user_id LIMIT 1
        ), (
            SELECT id FROM jobs WHERE state = 'queued' AND device_kind = :kind
            AND priority = this.priority AND project_id > this.project_id
            ORDER BY project_id, user_id LIMIT 1
        ), (
            SELECT id FROM jobs WHERE state = 'queued' AND device_kind = :kind
            AND priority > this.priority
            ORDER BY priority, project_id, user_id LIMIT 1
        )
    )
    FROM steps JOIN jobs AS this ON this.id = steps.following
)
SELECT
    steps.priority, steps.project_id, steps.user_id, projects.organisation_id,
    organisations.weight AS weight_0, projects.weight AS weight_1, members.weight AS weight_2,
    share_0.usage AS usage_0, share_1.usage AS usage_1, share_2.usage AS usage_2,
    share_0.updated_at AS updated_0, share_1.updated_at AS updated_1,
    share_2.updated_at AS updated_2,
    EXISTS (SELECT 1 FROM quotas) AS are_quotas,
    EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND held_for IS NOT NULL) AS are_held
FROM steps
JOIN projects ON projects.id = steps.project_id
JOIN organisations ON organisations.id = projects.organisation_id
LEFT JOIN members ON members.project_id = steps.project_id AND members.user_id = steps.user_id
LEFT JOIN shares AS share_0
    ON share_0.level = 'organisation' AND share_0.owner_id = projects.organisation_id
LEFT JOIN shares AS share_1
    ON share_1.level = 'project' AND share_1.owner_id = steps.project_id
LEFT JOIN shares AS share_2
    ON share_2.level = 'user' AND share_2.owner_id = steps.project_id || ':' || steps.user_id
WHERE steps.priority >= 0
  AND NOT EXISTS (SELECT 1 FROM state WHERE key = 'drain' AND CAST(value AS TEXT) = 'true')
""")
_RUNNING = select(
    leases.c.organisation_id,
    leases.c.project_id,
    leases.c.user_id,
    leases.c.need_seconds,
    leases.c.claimed_at,
)


# The rows are locked in one order in all transactions: from the organisation down. An end that is
# written down late, as that of a worker that fell silent, does not put the row's time back.
_CHARGE = text(f"""
INSERT INTO shares (level, owner_id, usage, updated_at) VALUES
    ('organisation', :organisation, :seconds, :now),
    ('project', :project, :seconds, :now),
    ('user', :user, :seconds, :now)
ON CONFLICT (level, owner_id) DO UPDATE SET
    usage = excluded.usage + CASE
        WHEN excluded.updated_at > shares.updated_at + {FORGOTTEN_SECONDS} THEN 0.0
        WHEN excluded.updated_at > shares.updated_at THEN shares.usage
            * power(0.5, (excluded.updated_at - shares.updated_at) / {HALF_LIFE_SECONDS})
        ELSE shares.usage
    END,
    updated_at = CASE
        WHEN excluded.updated_at > shares.updated_at THEN excluded.updated_at
        ELSE shares.updated_at
    END
""").bindparams(bindparam("seconds", type_=Double), bindparam("now", type_=Double))


@dataclass(frozen=True)
class Owner:
    """Who has jobs waiting."""

    organisation_id: str
    project_id: str
    user_id: str

    @classmethod
    def from_job(cls, job: JobRecord) -> Owner:
        """Return whose a job is."""
        return cls(job.organisation_id, job.project_id, job.user_id)

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Level and key of each of its three shares, from the organisation down."""
        parts = (self.organisation_id, self.project_id, f"{self.project_id}:{self.user_id}")
        return tuple(zip(LEVELS, parts, strict=True))


@dataclass(frozen=True)
class Turn:
    """Jobs of an owner that wait in a class for a kind of device.

    Attributes:
        priority: The class.
        owner: Whose they are.
        device_kind: `cpu` or `gpu`.
        are_quotas: Whether there is any quota, be it of another.
        are_held: Whether any host is held for a job, be it of another.
    """

    priority: int
    owner: Owner
    device_kind: str
    are_quotas: bool
    are_held: bool


def kinds_done_on(device_kind: str) -> tuple[str, ...]:
    """Return which kinds of jobs a worker with a device takes, its own first."""
    return ("gpu", "cpu") if device_kind == "gpu" else ("cpu",)


def in_turn(connection: Connection, device_kind: str, now: float) -> Iterator[Turn]:
    """Give what waits for a worker with a device: by class, and then whose turn it is first.

    Nothing where the queue is drained. A worker with a GPU comes to its owner's jobs for processors
    after those for GPUs.
    """
    found = [
        (row, kind)
        for kind in kinds_done_on(device_kind)
        for row in connection.execute(_OWNERS, {"kind": kind})
    ]
    if len(found) > 1:
        turn = _turn(_running(connection, now), now)
        found.sort(key=lambda one: (one[0].priority, turn(one[0])))
    for row, kind in found:
        yield Turn(row.priority, _owner(row), kind, bool(row.are_quotas), bool(row.are_held))


def charge(connection: Connection, owner: Owner, seconds: float, now: float) -> None:
    """Add device seconds to what an owner has used."""
    connection.execute(_CHARGE, {**dict(owner.keys), "seconds": seconds, "now": now})


def _owner(row: Row[*tuple[Any, ...]]) -> Owner:
    return Owner(row.organisation_id, row.project_id, row.user_id)


def _turn(
    running: Mapping[tuple[str, str], float], now: float
) -> Callable[[Row[Any]], tuple[tuple[float, str], ...]]:
    """Return a function that tells how much an owner has had of what is its, at each level."""

    def turn(row: Row[Any]) -> tuple[tuple[float, str], ...]:
        weights = (row.weight_0, row.weight_1, row.weight_2)
        usages = (row.usage_0, row.usage_1, row.usage_2)
        times = (row.updated_0, row.updated_1, row.updated_2)
        levels = []
        for key, weight, usage, time in zip(_owner(row).keys, weights, usages, times, strict=True):
            past = 0.0 if usage is None else usage * _left(now - time)
            # Whoever may submit without being a member, as an administrator, counts as one.
            used = past + running.get(key, 0.0)
            levels.append((used / max(1.0 if weight is None else weight, 1e-9), key[1]))
        return tuple(levels)

    return turn


def _running(connection: Connection, now: float) -> Mapping[tuple[str, str], float]:
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for one in connection.execute(_RUNNING):
        for key in _owner(one).keys:
            seconds[key] += max(one.need_seconds, now - one.claimed_at, 1e-3)
    return seconds


def _left(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE_SECONDS))
