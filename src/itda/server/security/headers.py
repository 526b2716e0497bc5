"""Headers of every answer: what a browser may do with it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
"""What a page may load: its own origin's files, and nothing that is written into it."""

ADDITIONS: tuple[tuple[str, Mapping[str, str]], ...] = ()
"""What pages below a path may load besides, such as `("/jobs/", {"img-src": "blob:"})`."""

FIXED: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}
STRICT_TRANSPORT = "max-age=31536000"


def content_policy(path: str) -> str:
    """Return the content policy of a page."""
    policy = dict(POLICY)
    for start, additions in ADDITIONS:
        if path.startswith(start):
            for directive, sources in additions.items():
                before = policy.get(directive, "")
                policy[directive] = f"{before} {sources}".strip() if before != "'none'" else sources
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


class SecurityHeaders:
    """Puts the headers on every answer, those of unexpected errors too.

    A route's own content policy stays, since it can only know more: that of a file that a user
    made is stricter.

    Args:
        app: What answers.
        https: Whether browsers reach the server by https.
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in FIXED.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", content_policy(path))
                # What a user may see, a shared cache must not keep.
                private = "no-store" if path.startswith("/auth/") else "private, no-cache"
                headers.setdefault("Cache-Control", private)
                if self._https:
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
            await send(message)

        await self._app(scope, receive, send_with_headers)
