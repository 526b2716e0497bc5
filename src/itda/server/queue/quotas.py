"""Quotas: how many device seconds an organisation, a project or a user may hold in a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Connection,
    Double,
    Integer,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    text,
)

from itda.errors import InputError
from itda.language import Message
from itda.server.database.tables import leases, new_id, quotas, spent, workers
from itda.server.errors import QuotaError
from itda.server.queue.records import Quota, QuotaStatus
from itda.server.queue.shares import LEVELS, Owner

PERIODS = ("day", "month")
DAY_SECONDS = 86400
# The rows are locked in one order in all transactions: from the organisation down.
_SPEND = text("""
INSERT INTO spent (level, owner_id, device_kind, day, device_seconds) VALUES
    ('organisation', :organisation, :device_kind, :day, :seconds),
    ('project', :project, :device_kind, :day, :seconds),
    ('user', :user, :device_kind, :day, :seconds)
ON CONFLICT (level, owner_id, device_kind, day) DO UPDATE SET
    device_seconds = spent.device_seconds + excluded.device_seconds
""").bindparams(bindparam("seconds", type_=Double), bindparam("day", type_=Integer))
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4711002)")


def period_of(now: float, period: str) -> tuple[float, float]:
    """Return beginning and end of the day or month in UTC that a time is in."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return today.timestamp(), (today + timedelta(days=1)).timestamp()
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first.timestamp(), following.timestamp()


def spend(
    connection: Connection, owner: Owner, device_kind: str, seconds: float, ended: float
) -> None:
    """Add an attempt's device seconds to what is used of quotas."""
    values = {**dict(owner.keys), "user": owner.user_id, "device_kind": device_kind}
    connection.execute(_SPEND, {**values, "day": _day(ended), "seconds": seconds})


def set_quota(
    connection: Connection,
    level: str,
    owner_id: str,
    device_kind: str,
    device_seconds: float | None,
    period: str,
) -> None:
    """Set a quota; None lifts it.

    Raises:
        InputError: There is no such level or period, or the seconds are negative.
    """
    if level not in LEVELS or period not in PERIODS or device_kind not in ("cpu", "gpu"):
        raise InputError(
            Message(
                "quota of a {level} on {device_kind} for a {period}: there is no such quota",
                level=level,
                device_kind=device_kind,
                period=period,
            ),
            hint=Message(
                "levels are {levels:,}; devices cpu, gpu; periods day, month", levels=LEVELS
            ),
        )
    if device_seconds is not None and not 0 <= device_seconds < float("inf"):
        raise InputError(
            Message("a quota is at least 0"), hint=Message("leave it out to lift the quota")
        )
    same = (quotas.c.level == level) & (quotas.c.owner_id == owner_id)
    same &= (quotas.c.device_kind == device_kind) & (quotas.c.period == period)
    connection.execute(delete(quotas).where(same))
    if device_seconds is not None:
        connection.execute(
            insert(quotas).values(
                id=new_id(),
                level=level,
                owner_id=owner_id,
                device_kind=device_kind,
                device_seconds=device_seconds,
                period=period,
            )
        )


def all_quotas(connection: Connection) -> list[Quota]:
    """Return every quota."""
    rows = connection.execute(select(quotas).order_by(quotas.c.level, quotas.c.id))
    return [Quota(**row._mapping) for row in rows]


def statuses(connection: Connection, owner: Owner, now: float) -> list[QuotaStatus]:
    """Return the quotas that hold for an owner, with what is used of each."""
    mine = dict(owner.keys) | {"user": owner.user_id}
    rows = connection.execute(select(quotas).where(quotas.c.owner_id.in_(mine.values())))
    return [
        _status(connection, Quota(**row._mapping), now)
        for row in rows
        if mine[row.level] == row.owner_id
    ]


def refuse_used_up(
    connection: Connection, owner: Owner, device_kind: str, seconds: float, now: float
) -> None:
    """Refuse a job of so many seconds whose owner has used up a quota, or that is above one.

    Raises:
        QuotaError: With the time at which the quota begins anew.
    """
    for one in statuses(connection, owner, now):
        if one.device_kind != device_kind:
            continue
        if seconds > one.device_seconds:
            raise QuotaError(
                Message(
                    "a job of {seconds} {device_kind} hours is above the {level}'s quota of "
                    "{device_seconds} a {period}",
                    seconds=_hours(seconds),
                    device_kind=device_kind,
                    level=one.level,
                    device_seconds=_hours(one.device_seconds),
                    period=one.period,
                ),
                hint=Message(
                    "ask for fewer samples or seeds, or ask an administrator for a larger quota"
                ),
            )
        if one.used_seconds >= one.device_seconds:
            raise QuotaError(
                Message(
                    "the {level}'s quota of {device_seconds} {device_kind} hours a {period} "
                    "is used up ({used_seconds} used)",
                    level=one.level,
                    device_seconds=_hours(one.device_seconds),
                    device_kind=device_kind,
                    period=one.period,
                    used_seconds=_hours(one.used_seconds),
                ),
                hint=Message(
                    "it renews on {renews_at:%Y-%m-%d %H:%M} UTC, or an administrator can raise it",
                    renews_at=datetime.fromtimestamp(one.renews_at, UTC),
                ),
                renews_at=one.renews_at,
            )


def holding(
    connection: Connection, owner: Owner, device_kind: str, seconds: float, now: float
) -> QuotaStatus | None:
    """Return the quota that leaves a job of so many seconds no room now, the last to renew."""
    short = [
        one
        for one in statuses(connection, owner, now)
        if one.device_kind == device_kind and one.device_seconds - one.used_seconds < seconds
    ]
    return max(short, key=lambda one: one.renews_at, default=None)


class Rooms:
    """What quotas leave to owners within one claim."""

    def __init__(self, connection: Connection, now: float, *, are_any: bool) -> None:
        self._connection = connection
        self._now = now
        self._any = are_any
        if self._any and connection.dialect.name == "postgresql":
            # Two workers must not both be given the last hour.
            connection.execute(_ONE_AT_A_TIME)

    def left(self, owner: Owner, device_kind: str) -> float:
        """Return the device seconds that an owner may still begin."""
        if not self._any:
            return float("inf")
        return min(
            (
                one.device_seconds - one.used_seconds
                for one in statuses(self._connection, owner, self._now)
                if one.device_kind == device_kind
            ),
            default=float("inf"),
        )


def _status(connection: Connection, quota: Quota, now: float) -> QuotaStatus:
    begins, ends = period_of(now, quota.period)
    used = connection.execute(
        select(func.coalesce(func.sum(spent.c.device_seconds), 0.0)).where(
            spent.c.level == quota.level,
            spent.c.owner_id == quota.owner_id,
            spent.c.device_kind == quota.device_kind,
            spent.c.day >= _day(begins),
            spent.c.day < _day(ends),
        )
    ).scalar_one()
    elapsed = now - leases.c.claimed_at
    longer = case((elapsed > leases.c.need_seconds, elapsed), else_=leases.c.need_seconds)
    running = connection.execute(
        select(func.coalesce(func.sum(longer), 0.0))
        .select_from(leases.join(workers, workers.c.id == leases.c.worker_id))
        .where(
            leases.c[f"{quota.level}_id"] == quota.owner_id,
            workers.c.device_kind == quota.device_kind,
        )
    ).scalar_one()
    return QuotaStatus(
        **{name: getattr(quota, name) for name in Quota.__dataclass_fields__},
        used_seconds=float(used) + float(running),
        renews_at=ends,
    )


def _day(time: float) -> int:
    return int(time // DAY_SECONDS)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.4g}"
