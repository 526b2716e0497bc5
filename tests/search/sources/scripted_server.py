"""A search server that does exactly what a test tells it, however wrong."""

import contextlib
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from itda.search.protocol import ENVIRONMENT_FILE, MAIN_FILE, pack_archive

TICKET = "u7xQvT4q0bYkXHcGf0Jt8w2mZ1aS9dLr5oPnEi"


class Script:
    """What is answered: lists of replies by what is asked; the last one is given ever after.

    A reply is a JSON object, bytes, or a function that is given the handler.
    """

    def __init__(self, query="MKTAYIAKQR"):
        self.query = query
        self.requests = []
        self.times = []
        self.submit = [{"id": TICKET, "status": "COMPLETE"}]
        self.poll = [{"id": TICKET, "status": "COMPLETE"}]
        self.download = [archive(query)]
        self.other = [status(404, "<html><title>404 Not Found</title></html>")]

    def reply_to(self, method, path, form):
        self.requests.append((method, path, form))
        self.times.append(time.monotonic())
        if method == "POST":
            replies = self.submit
        elif path.startswith("/ticket/"):
            replies = self.poll
        elif path.startswith("/result/download/"):
            replies = self.download
        else:
            replies = self.other
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def asked(self, start):
        return [one for one in self.requests if f"{one[0]} {one[1]}".startswith(start)]


def archive(query, rows=("MKTAYIAKQ-", "-KTAYIAKQR")):
    block = f">101\n{query}\n" + "".join(
        f">UniRef100_A0A249P6L{i}_9606/\t1\n{row}\n" for i, row in enumerate(rows)
    )
    environment = f">101\n{query}\n>MGYP1\n{'-' * (len(query) - 1)}{query[-1]}\n"
    return pack_archive({MAIN_FILE: block + "\0", ENVIRONMENT_FILE: environment + "\0"})


def status(code, body="", **headers):
    """A reply of an HTTP status."""

    def send(handler):
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return send


def cut(content, keep):
    """A reply that announces all of its bytes and sends the first ones."""

    def send(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:keep])

    return send


def silent(seconds):
    """A reply that does not come in time."""

    def send(handler):
        time.sleep(seconds)
        handler.close_connection = True

    return send


def hang_up(handler):
    """Close the connection without a word."""
    handler.connection.shutdown(2)


@contextlib.contextmanager
def scripted(script):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer("GET", {})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("POST", dict(urllib.parse.parse_qsl(body.decode())))

        def _answer(self, method, form):
            script.headers = dict(self.headers)
            reply = script.reply_to(method, self.path, form)
            if isinstance(reply, dict):
                reply = status(200, reply)
            elif isinstance(reply, bytes):
                reply = cut(reply, len(reply))
            with contextlib.suppress(OSError):
                reply(self)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
