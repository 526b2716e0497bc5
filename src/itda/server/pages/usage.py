"""What was used, by month; quotas and when they renew; the same as CSV."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from itda.server.accounts.records import Project
from itda.server.pages.visitors import AVisitor, Visitor

HOUR_SECONDS = 3600.0
MONTHS = 12

router = APIRouter()


@dataclass
class Row:
    """What a project used of a kind of device in a month.

    Attributes:
        month: As the reader's language writes it.
        project: Its name.
        device_kind: `cpu` or `gpu`.
        own_hours: Of the visitor.
        hours: Of the whole project.
        runs: How often a job was begun.
    """

    month: str
    project: str
    device_kind: str
    own_hours: float = 0.0
    hours: float = 0.0
    runs: int = 0


@dataclass(frozen=True)
class QuotaShown:
    """A quota and what is used of it.

    Attributes:
        name: Of whom it is.
        device_kind: `cpu` or `gpu`.
        period: `day` or `month`.
        used_hours: In this period.
        limit_hours: At most.
        renews_at: When it begins anew.
    """

    name: str
    device_kind: str
    period: str
    used_hours: float
    limit_hours: float
    renews_at: float | None

    @property
    def fraction(self) -> float:
        """Part that is used, 0 to 1."""
        return min(1.0, self.used_hours / self.limit_hours) if self.limit_hours > 0 else 1.0


@router.get("/usage")
def usage(visitor: AVisitor, project: str = "") -> Response:
    """Show what was used in the last twelve months."""
    projects = _projects(visitor, project)
    return visitor.view.render(
        "usage.html",
        section="usage",
        projects=visitor.who.projects,
        project_id=project,
        rows=_rows(visitor, projects),
        quotas=_quotas(visitor, projects),
        csv=f"/usage.csv?{urlencode({'project': project})}" if project else "/usage.csv",
    )


@router.get("/usage.csv")
def usage_csv(visitor: AVisitor, project: str = "") -> Response:
    """Give the same as CSV."""
    projects = _projects(visitor, project)
    text = visitor.services.queue.usage_csv([one.id for one in projects], *_span(visitor))
    day = datetime.fromtimestamp(visitor.services.clock(), UTC).date()
    # Spreadsheets take a file for UTF-8 only where it begins so.
    return Response(
        "\ufeff" + text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="itda-usage-{day}.csv"'},
    )


def _projects(visitor: Visitor, project_id: str) -> list[Project]:
    if project_id:
        visitor.who.check(project_id, "read")
    return [one for one in visitor.who.projects if project_id in ("", one.id)]


def _span(visitor: Visitor) -> tuple[float, float]:
    now = visitor.services.clock()
    today = datetime.fromtimestamp(now, UTC)
    months = today.year * 12 + today.month - 1 - (MONTHS - 1)
    start = datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    return start.timestamp(), now + 1


def _rows(visitor: Visitor, projects: list[Project]) -> list[Row]:
    names = {one.id: one.name for one in projects}
    rows: dict[tuple[str, str, str], Row] = {}
    for line in visitor.services.queue.usage(list(names), *_span(visitor)):
        year, month = map(int, line.month.split("-"))
        first = datetime(year, month, 1, tzinfo=UTC).timestamp()
        row = rows.setdefault(
            (line.month, line.project_id, line.device_kind),
            Row(visitor.view.language.month(first), names[line.project_id], line.device_kind),
        )
        hours = line.device_seconds / HOUR_SECONDS
        row.hours += hours
        row.runs += line.attempts
        if line.user_id == visitor.who.user.id:
            row.own_hours += hours
    newest_first = sorted(rows, key=lambda key: (key[0], names[key[1]], key[2]), reverse=True)
    return [rows[key] for key in newest_first]


def _quotas(visitor: Visitor, projects: list[Project]) -> list[QuotaShown]:
    found: dict[tuple[str, str, str, str], QuotaShown] = {}
    names: dict[str, str] = defaultdict(str, {one.id: one.name for one in projects})
    names[visitor.who.user.id] = visitor.who.user.name
    for project in projects:
        for one in visitor.services.queue.quota_status(project.id, visitor.who.user.id):
            owner = (
                names[one.owner_id]
                or visitor.services.accounts.projects.organisation(one.owner_id).name
            )
            found[one.level, one.owner_id, one.device_kind, one.period] = QuotaShown(
                name=owner,
                device_kind=one.device_kind,
                period=one.period,
                used_hours=one.used_seconds / HOUR_SECONDS,
                limit_hours=one.device_seconds / HOUR_SECONDS,
                renews_at=one.renews_at,
            )
    return list(found.values())
