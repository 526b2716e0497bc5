"""Cookies: never read by a script, never sent with another site's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.requests import Request
    from fastapi.responses import Response

SESSION_COOKIE = "itda_session"
PROVIDER_COOKIE = "itda_oidc"

_SECURE_PREFIX = "__Host-"


def is_https(app: FastAPI) -> bool:
    """Whether browsers reach the server by https, as it was told; a request cannot say so."""
    public_url: str | None = app.state.services.settings.public_url
    return public_url is not None and public_url.startswith("https://")


def read_cookie(request: Request, name: str) -> str | None:
    """Return what a cookie holds; None where it is missing or empty."""
    return request.cookies.get(_full_name(request.app, name)) or None


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: float
) -> None:
    """Set a cookie; over https only where browsers reach the server so."""
    response.set_cookie(
        _full_name(request.app, name),
        value,
        max_age=int(seconds),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request.app),
    )


def clear_cookie(request: Request, response: Response, name: str) -> None:
    """Make the browser forget a cookie."""
    response.delete_cookie(
        _full_name(request.app, name),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request.app),
    )


def _full_name(app: FastAPI, name: str) -> str:
    # Browsers take a cookie with that prefix only over https and only from this host itself.
    return f"{_SECURE_PREFIX}{name}" if is_https(app) else name
