"""Whether the server lives, and whether it can take work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from itda.language import Message
from itda.server.database import migrate

if TYPE_CHECKING:
    from itda.server.services import Services


def routes(services: Services) -> APIRouter:
    """Return `/healthz` and `/readyz`, which need no account and tell nothing of anyone's work."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    def ready() -> JSONResponse:
        problems = _problems(services)
        status = "unready" if problems else "ready"
        return JSONResponse(
            {"status": status, "problems": problems}, status_code=503 if problems else 200
        )

    return router


def _problems(services: Services) -> list[str]:
    problems: list[str] = []
    try:
        with services.database.read() as connection:
            connection.execute(text("SELECT 1"))
        if migrate.current(services.database) != migrate.newest():
            problems.append(Message("the tables are not of this release's version"))
        elif services.queue.draining():
            problems.append(Message("the queue is being drained"))
    except SQLAlchemyError:
        problems.append(Message("the database cannot be reached"))
    if not services.settings.artefact_folder.is_dir():
        problems.append(Message("the folder of artefacts is missing"))
    return problems
