"""Weighted fair share: whose job is next.

At each level, organisation, project and user, the one comes first that has used least for its
weight. Use is what the ledger says, halved with every half-life that has passed since, and what is
predicted for the jobs that run now, so that claims made at the same time spread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, text, update

from itda.server.database.tables import jobs, leases, members, organisations, projects, shares
from itda.server.queue.rows import insert_new, locked

HALF_LIFE_SECONDS = 7 * 86400.0

LEVELS = ("organisation", "project", "user")

# One step down the index for each owner, however many jobs the owner has waiting.
_OWNERS = text("""
WITH RECURSIVE owners(project_id, user_id) AS (
    SELECT * FROM (
        SELECT project_id, user_id FROM jobs
        WHERE state = 'queued' AND priority = :priority
        ORDER BY project_id, user_id LIMIT 1
    ) AS first_owner
    UNION ALL
    SELECT
        (SELECT project_id FROM jobs
         WHERE state = 'queued' AND priority = :priority
           AND (project_id, user_id) > (owners.project_id, owners.user_id)
         ORDER BY project_id, user_id LIMIT 1),
        (SELECT user_id FROM jobs
         WHERE state = 'queued' AND priority = :priority
           AND (project_id, user_id) > (owners.project_id, owners.user_id)
         ORDER BY project_id, user_id LIMIT 1)
    FROM owners WHERE owners.project_id IS NOT NULL
)
SELECT owners.project_id, owners.user_id, projects.organisation_id
FROM owners JOIN projects ON projects.id = owners.project_id
""")


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


def owners_in_turn(connection: Connection, priority: int, now: float) -> Iterator[Owner]:
    """Give those who have jobs of a class waiting, the one whose turn it is first."""
    rows = connection.execute(_OWNERS, {"priority": priority}).all()
    owners = [Owner(row.organisation_id, row.project_id, row.user_id) for row in rows]
    if len(owners) < 2:
        yield from owners
        return
    used, weights = _used(connection, now), _weights(connection, owners)

    def turn(owner: Owner) -> tuple[tuple[float, str], ...]:
        return tuple((used[key] / weights.get(key, 1.0), key[1]) for key in owner.keys)

    yield from sorted(owners, key=turn)


def charge(connection: Connection, owner: Owner, seconds: float, now: float) -> None:
    """Add device seconds to what an owner has used."""
    for level, key in owner.keys:
        insert_new(connection, shares, level=level, owner_id=key, usage=0.0, updated_at=now)
        mine = (shares.c.level == level) & (shares.c.owner_id == key)
        query = select(shares.c.usage, shares.c.updated_at).where(mine)
        mine_now = connection.execute(locked(query, connection)).one()
        usage = mine_now.usage * _left(now - mine_now.updated_at) + seconds
        connection.execute(update(shares).where(mine).values(usage=usage, updated_at=now))


def _used(connection: Connection, now: float) -> Mapping[tuple[str, str], float]:
    used: dict[tuple[str, str], float] = defaultdict(float)
    for level, owner_id, usage, updated_at in connection.execute(select(shares)):
        used[level, owner_id] += usage * _left(now - updated_at)
    running = select(
        jobs.c.organisation_id,
        jobs.c.project_id,
        jobs.c.user_id,
        jobs.c.need_seconds,
        leases.c.claimed_at,
    ).join(leases, leases.c.job_id == jobs.c.id)
    for one in connection.execute(running):
        owner = Owner(one.organisation_id, one.project_id, one.user_id)
        for key in owner.keys:
            used[key] += max(one.need_seconds, now - one.claimed_at, 1e-3)
    return used


def _weights(connection: Connection, owners: list[Owner]) -> Mapping[tuple[str, str], float]:
    weights: dict[tuple[str, str], float] = {}
    for level, table in (("organisation", organisations), ("project", projects)):
        for row in connection.execute(select(table.c.id, table.c.weight)):
            weights[level, row.id] = row.weight
    wanted = {owner.project_id for owner in owners}
    query = select(members.c.project_id, members.c.user_id, members.c.weight)
    for member in connection.execute(query.where(members.c.project_id.in_(wanted))):
        weights["user", f"{member.project_id}:{member.user_id}"] = member.weight
    return {key: max(weight, 1e-9) for key, weight in weights.items()}


def _left(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE_SECONDS))
