"""How the application is guarded, and the routes by which one signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from itda.errors import DependencyError
from itda.language import Message
from itda.server.security.address import parse_networks
from itda.server.security.auth import routes
from itda.server.security.gates import BodyGate, HostGate, RateGate, TextGate
from itda.server.security.head import HeadAsGet
from itda.server.security.headers import SecurityHeaders
from itda.server.security.limits import RequestLimits

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from itda.server.services import Services

SMALL_BODY_BYTES = 64 * 1024
"""Of a form to sign in, which nobody needs an account for."""


def install(app: FastAPI, services: Services) -> None:
    """Put the gates before an application.

    Args:
        app: The application, before its first request.
        services: What it reaches.

    Raises:
        InputError: A setting cannot be taken.
    """
    settings = services.settings
    parse_networks(settings.trusted_proxies)
    app.state.request_limits = limits = RequestLimits(settings.limits)
    # The last that is added is asked first.
    app.add_middleware(
        BodyGate,
        most_bytes=settings.limits.body_bytes,
        exceptions={"/auth/": SMALL_BODY_BYTES},
    )
    app.add_middleware(TextGate)
    app.add_middleware(RateGate, limits=limits)
    app.add_middleware(HostGate, settings=settings)
    build = app.build_middleware_stack
    https = (settings.public_url or "").startswith("https://")

    def with_headers() -> ASGIApp:
        # Around all of it, since answers to unexpected errors are made outside of middlewares.
        return SecurityHeaders(HeadAsGet(build()), https=https)

    app.build_middleware_stack = with_headers  # type: ignore[method-assign]


def auth_routes(services: Services) -> APIRouter:
    """Return the routes below `/auth/`; a provider's only where one is configured.

    Raises:
        DependencyError: A provider is configured, and the extra `oidc` is not installed.
        InputError: What is configured of the provider cannot be taken.
    """
    router = routes()
    if services.settings.oidc_issuer:
        try:
            from itda.server.security.oidc import routes as provider_routes
        except ModuleNotFoundError as error:
            raise DependencyError(
                Message(
                    "a provider of accounts is configured, and {error} is not installed",
                    error=error.name,
                ),
                hint=Message("pip install 'itda[oidc]'"),
            ) from error
        router.include_router(provider_routes(services.settings))
    return router
