"""Where a browser's request comes from, and where it may be sent on to."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from itda.language import Message
from itda.server.errors import ForbiddenError

if TYPE_CHECKING:
    from fastapi.requests import Request


def refuse_other_origin(request: Request) -> None:
    """Refuse what a page of another site makes the browser send.

    Raises:
        ForbiddenError: The browser says that it is so.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    public_url = request.app.state.services.settings.public_url
    own = {request.headers.get("host", "").lower()}
    if public_url:
        own.add(urllib.parse.urlsplit(public_url).netloc.lower())
    foreign = origin is not None and urllib.parse.urlsplit(origin).netloc.lower() not in own
    if site in ("cross-site", "same-site") or foreign:
        raise ForbiddenError(Message("the request comes from a page of another site"))


def own_path(told: str | None, default: str = "/") -> str:
    r"""Return where to go next: a path of this server, whatever was asked for.

    >>> own_path("/jobs/1?tab=pae"), own_path("//evil.example"), own_path("/\\evil.example")
    ('/jobs/1?tab=pae', '/', '/')
    """
    if not told or len(told) > 2000 or not told.startswith("/"):
        return default
    if told.startswith(("//", "/\\")) or "\\" in told or not told.isprintable() or " " in told:
        return default
    parsed = urllib.parse.urlsplit(told)
    return default if parsed.scheme or parsed.netloc or "/../" in parsed.path else told
