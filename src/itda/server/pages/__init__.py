"""The web pages: forms, progress, results, books and accounts, in Korean and English."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from itda.server.pages import (
    account,
    admin,
    failures,
    history,
    home,
    job,
    preferences,
    projects,
    result,
)
from itda.server.pages import usage as usage_pages
from itda.server.pages.statics import Files

if TYPE_CHECKING:
    from fastapi import FastAPI

    from itda.server.services import Services


def install(app: FastAPI, services: Services) -> None:
    """Serve static files, and answer browsers with pages where something fails."""
    app.mount("/static", Files(), name="static")
    failures.install(app)


def routes(services: Services) -> APIRouter:
    """Return the pages."""
    router = APIRouter(include_in_schema=False)
    for part in (home, job, history, usage_pages, projects, account, admin, preferences):
        router.include_router(part.router)
    router.include_router(result.routes(services))
    return router
