"""HEAD is answered as GET is, without the body."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SIGNING_IN = "/auth/"
"""Below it GET signs in, which what only looks at a link must not: HEAD is refused there."""


def takes_head(path: str) -> bool:
    """Return whether HEAD is answered at an address that takes GET."""
    return not path.startswith(SIGNING_IN)


class HeadAsGet:
    """Asks for GET where HEAD is asked for, and sends the start of the answer alone.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_head or not takes_head(scope["path"]):
            await self._app(scope, receive, send)
            return
        # Parts are for GET alone (RFC 9110, 14.2).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]

        async def send_start(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})
                # A stream would go on for as long as it has something to say.
                rest.cancel()

        with anyio.CancelScope() as rest:
            await self._app({**scope, "method": "GET", "headers": headers}, receive, send_start)
