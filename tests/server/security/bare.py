"""An application with the gates and a few routes of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from itda.errors import ItdaError
from itda.server import security
from itda.server.accounts.accounts import Accounts
from itda.server.security.address import client_address
from itda.server.security.identity import Identity, identity, require
from itda.server.security.problem import problem
from itda.server.settings import ServerSettings

BASE = "http://127.0.0.1:8787"


def bare_app(accounts: Accounts, settings: ServerSettings) -> FastAPI:
    app = FastAPI()
    app.state.services = services = SimpleNamespace(settings=settings, accounts=accounts)
    security.install(app, services)
    app.include_router(security.auth_routes(services))

    @app.exception_handler(ItdaError)
    async def told(_request: Request, error: ItdaError) -> Any:
        return problem(error)

    @app.get("/me")
    def me(who: Annotated[Identity, Depends(require("read"))]) -> dict[str, Any]:
        return {
            "email": who.user.email,
            "projects": dict(who.project_ids),
            "csrf": who.csrf_token,
            "scopes": sorted(who.scopes),
        }

    @app.get("/admin")
    def admin(who: Annotated[Identity, Depends(require("admin"))]) -> str:
        return who.user.email

    @app.get("/projects/{project_id}/{action}")
    def project(project_id: str, action: Any, who: Annotated[Identity, Depends(identity)]) -> str:
        who.check(project_id, action)
        return "done"

    @app.post("/change")
    async def change(
        request: Request, who: Annotated[Identity, Depends(require("submit"))]
    ) -> dict[str, Any]:
        return {"bytes": len(await request.body()), "fields": dict(await request.form())}

    @app.get("/address")
    def address(request: Request) -> str | None:
        return client_address(request)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("an inside of the server")

    @app.get("/healthz")
    def alive() -> str:
        return "alive"

    return app


def client_of(app: FastAPI, **options: Any) -> TestClient:
    return TestClient(
        app, base_url=BASE, follow_redirects=False, raise_server_exceptions=False, **options
    )


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
