"""The REST interface."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fastapi import APIRouter

from itda.server.rest import (
    admin,
    catalogue,
    events,
    jobs,
    openapi,
    problems,
    results,
    tokens,
    usage,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from itda.server.services import Services

__all__ = ["install", "routes"]


def install(app: FastAPI, services: Services) -> None:
    """Answer errors as problems, describe the routes, and be ready for the first request.

    Args:
        app: The application, before its first request.
        services: What it reaches.
    """
    problems.install(app)
    openapi.install(app)
    # Set when the server is to end: streams would hold it for as long as their jobs take.
    app.state.ending = threading.Event()
    # Not before the server runs: who only makes an application need not wait for it.
    app.router.on_startup.append(services.understanding.warm)


def routes(services: Services) -> APIRouter:
    """Return the routes below `/api/v1`."""
    router = APIRouter()
    for part in (jobs, events, results, catalogue, usage, tokens, admin):
        router.include_router(part.router)
    return router
