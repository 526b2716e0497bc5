"""The application: pages, REST and health over one set of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from itda.server import health, pages, rest, security
from itda.version import itda_version

if TYPE_CHECKING:
    from itda.server.services import Services


def create_app(services: Services) -> FastAPI:
    """Return the application of a server.

    Everything that a request reaches is in `request.app.state.services`.
    """
    app = FastAPI(
        title="Itda",
        version=itda_version(),
        summary="Structure prediction on the computer that a laboratory already has",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.services = services
    security.install(app, services)
    rest.install(app, services)
    app.include_router(rest.routes(services), prefix="/api/v1")
    app.include_router(security.auth_routes(services))
    app.include_router(health.routes(services))
    pages.install(app, services)
    app.include_router(pages.routes(services))
    return app
