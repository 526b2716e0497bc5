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

from itda.server.database.tables import jobs, leases, shares

HALF_LIFE_SECONDS = 7 * 86400.0
# PostgreSQL refuses powers that are too small for its numbers.
FORGOTTEN_SECONDS = 500 * HALF_LIFE_SECONDS

LEVELS = ("organisation", "project", "user")

# One step down the index for each class and owner, however many jobs the owner has waiting.
_OWNERS = text("""
WITH RECURSIVE firsts(id) AS (
    SELECT id FROM (
        SELECT id FROM jobs WHERE state = 'queued' AND device_kind = :kind
        ORDER BY priority, project_id, user_id LIMIT 1
    ) AS first_of_all
    UNION ALL
    SELECT (
        SELECT following.id FROM jobs AS following
        WHERE following.state = 'queued' AND following.device_kind = :kind
          AND (following.priority, following.project_id, following.user_id)
            > (this.priority, this.project_id, this.user_id)
        ORDER BY following.priority, following.project_id, following.user_id LIMIT 1
    )
    FROM firsts JOIN jobs AS this ON this.id = firsts.id
)
SELECT
    jobs.priority, jobs.project_id, jobs.user_id, projects.organisation_id,
    organisations.weight AS organisation_weight,
    projects.weight AS project_weight,
    members.weight AS user_weight
FROM firsts
JOIN jobs ON jobs.id = firsts.id
JOIN projects ON projects.id = jobs.project_id
JOIN organisations ON organisations.id = projects.organisation_id
LEFT JOIN members ON members.project_id = jobs.project_id AND members.user_id = jobs.user_id
""")
_RUNNING = select(
    jobs.c.organisation_id,
    jobs.c.project_id,
    jobs.c.user_id,
    jobs.c.need_seconds,
    leases.c.claimed_at,
).join(leases, leases.c.job_id == jobs.c.id)
_ALL_SHARES = select(shares)
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

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Level and key of each of its three shares, from the organisation down."""
        parts = (self.organisation_id, self.project_id, f"{self.project_id}:{self.user_id}")
        return tuple(zip(LEVELS, parts, strict=True))


@dataclass(frozen=True)
class Turn:
    """Jobs of an owner that wait in a class for a kind of device."""

    priority: int
    owner: Owner
    device_kind: str


def in_turn(connection: Connection, device_kind: str, now: float) -> Iterator[Turn]:
    """Give what waits for a worker with a device: by class, and then whose turn it is first.

    A worker with a GPU comes to its owner's jobs for processors after those for GPUs.
    """
    found = [
        (row, kind)
        for kind in (("gpu", "cpu") if device_kind == "gpu" else ("cpu",))
        for row in connection.execute(_OWNERS, {"kind": kind})
    ]
    if len(found) > 1:
        turn = _turn(_used(connection, now))
        found.sort(key=lambda one: (one[0].priority, turn(one[0])))
    for row, kind in found:
        yield Turn(row.priority, _owner(row), kind)


def charge(connection: Connection, owner: Owner, seconds: float, now: float) -> None:
    """Add device seconds to what an owner has used."""
    connection.execute(_CHARGE, {**dict(owner.keys), "seconds": seconds, "now": now})


def _owner(row: Row[*tuple[Any, ...]]) -> Owner:
    return Owner(row.organisation_id, row.project_id, row.user_id)


def _turn(
    used: Mapping[tuple[str, str], float],
) -> Callable[[Row[Any]], tuple[tuple[float, str], ...]]:
    def turn(row: Row[Any]) -> tuple[tuple[float, str], ...]:
        weights = (row.organisation_weight, row.project_weight, row.user_weight)
        return tuple(
            (used[key] / max(1.0 if weight is None else weight, 1e-9), key[1])
            for key, weight in zip(_owner(row).keys, weights, strict=True)
        )

    return turn


def _used(connection: Connection, now: float) -> Mapping[tuple[str, str], float]:
    used: dict[tuple[str, str], float] = defaultdict(float)
    for level, owner_id, usage, updated_at in connection.execute(_ALL_SHARES):
        used[level, owner_id] += usage * _left(now - updated_at)
    for one in connection.execute(_RUNNING):
        for key in _owner(one).keys:
            used[key] += max(one.need_seconds, now - one.claimed_at, 1e-3)
    return used


def _left(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE_SECONDS))
