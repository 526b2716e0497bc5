"""A web server on this machine that gives files plainly or as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

REPO = "lab/model"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Server:
    """What the server has and how it behaves.

    Attributes:
        files: By path.
        hub: Whether paths are `/REPO/resolve/REVISION/FILE` and answers have the hub's headers.
        cut_after: Bytes of a body after which the connection breaks, one number an answer.
        statuses: To answer with in place of files, by path: one an answer, and the last for ever;
            0 gives the file.
        codes: X-Error-Code beside a status, by path.
        ranges: Whether parts are sent.
        redirect_to: A server that has the bodies.
        requests: Method, path, Range, Authorization of each request.
        sent: Bytes of bodies, one number an answer.
        revision: That the hub says it gives.
        etag: Mark of the version in place of the file's SHA-256.
    """

    files: dict[str, bytes]
    hub: bool = False
    cut_after: list[int] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    redirect_to: str = ""
    requests: list[tuple[str, str, str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    url: str = ""
    revision: str = REVISION
    etag: str = ""

    def gets(self) -> list[str]:
        """Return the Range of each GET."""
        return [part for method, _, part, _ in self.requests if method == "GET"]


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Let a server run in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            part = self.headers.get("Range", "")
            path = unquote(self.path).lstrip("/")
            server.requests.append(
                (self.command, path, part, self.headers.get("Authorization", ""))
            )
            statuses = server.statuses.get(path, [0])
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            if status:
                self.refuse(status, path)
                return
            content = server.files.get(path)
            if content is None:
                self.refuse(404, path)
                return
            mark = server.etag or hashlib.sha256(content).hexdigest()
            if server.redirect_to:
                self.send_response(302)
                self.send_header("Location", f"{server.redirect_to}/{path}")
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("X-Linked-ETag", f'"{mark}"')
                self.hub_headers()
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin = 0
            wanted = self.headers.get("If-Range", f'"{mark}"')
            if part and server.ranges and wanted == f'"{mark}"':
                begin = int(part.removeprefix("bytes=").rstrip("-"))
                if begin >= len(content):
                    self.refuse(416, path)
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            body = content[begin:]
            self.send_header("ETag", f'"{mark}"')
            self.send_header("Content-Length", str(len(body)))
            self.hub_headers()
            self.end_headers()
            if not with_body:
                return
            if server.cut_after:
                body = body[: server.cut_after.pop(0)]
                self.close_connection = True
            self.wfile.write(body)
            server.sent.append(len(body))

        def hub_headers(self) -> None:
            if server.hub:
                self.send_header("X-Repo-Commit", server.revision)

        def refuse(self, status: int, path: str) -> None:
            self.send_response(status)
            if path in server.codes:
                self.send_header("X-Error-Code", server.codes[path])
            self.send_header("Content-Length", "0")
            self.end_headers()

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
