"""The jobs of one's projects, newest first."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from itda.server.pages.visitors import AVisitor
from itda.server.queue.records import State

PAGE_JOBS = 25

router = APIRouter()


@router.get("/jobs")
def jobs(
    visitor: AVisitor,
    q: str = "",
    state: str = "",
    project: str = "",
    before: str = "",
    submitted: str = "",
) -> Response:
    """List jobs: searched by `q`, of a state, of a project, and older than `before`."""
    who = visitor.who
    if project:
        who.check(project, "read")
    project_ids = [project] if project else list(who.project_ids)
    states = (State(state),) if state in set(State) else ()
    page = visitor.services.queue.jobs(
        project_ids, states=states, text=q.strip()[:200], before=before or None, limit=PAGE_JOBS
    )
    chosen = {"q": q, "state": state if states else "", "project": project}
    asked = {name: value for name, value in chosen.items() if value}
    return visitor.view.render(
        "jobs.html",
        section="jobs",
        page=page,
        text=q,
        chosen_state=str(states[0]) if states else "",
        project_id=project,
        projects=who.projects,
        project_names={one.id: one.name for one in who.projects},
        submitted=int(submitted) if submitted.isdecimal() and len(submitted) < 7 else 0,
        newest=_address(asked) if before else "",
        older=_address({**asked, "before": page.next_before}) if page.next_before else "",
        here=_address({**asked, "before": before} if before else asked),
        live=any(not one.state.ended for one in page.jobs),
    )


def _address(query: dict[str, str]) -> str:
    return f"/jobs?{urlencode(query)}" if query else "/jobs"
