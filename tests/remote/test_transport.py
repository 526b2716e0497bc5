import datetime
import email.utils
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from itda.remote.errors import RateError, UnreachableError
from itda.remote.transport import Transport

URL = "https://itda.example.org"


def transport(*answers, token="itda_x"):
    """Return a transport that gets these answers in turn, what was asked, and what was waited."""
    left, asked, waits = list(answers), [], []

    def answer(request):
        asked.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Transport(URL, token, timeout=1, http=http, sleep=waits.append), asked, waits


def refused(*answers, **options):
    made, asked, waits = transport(*answers, **options)
    with pytest.raises(UnreachableError) as caught:
        made.request("GET", "/models")
    assert caught.value.hint
    return caught.value, asked, waits


def limited(told):
    return httpx.Response(429, headers={"retry-after": told}, text="slow")


def test_a_date_to_come_again_is_waited_for():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=25)
    date = email.utils.format_datetime(later, usegmt=True)
    made, asked, waits = transport(limited(date), limited("7"), limited("x"), httpx.Response(200))
    assert made.request("GET", "/models").status_code == 200
    assert len(asked) == 4
    assert 20 < waits[0] <= 25
    assert waits[1] == 7
    assert waits[2] <= 2


@pytest.mark.parametrize("told", ["3600", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_no_wait_is_longer_than_half_a_minute(told):
    made, _, waits = transport(limited(told), httpx.Response(200))
    made.request("GET", "/models")
    assert waits == [30]


def test_what_asking_again_does_not_mend_is_said_at_once():
    untrusted = httpx.ConnectError("x")
    untrusted.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    error, asked, waits = refused(untrusted)
    assert "cannot prove that it is that server" in str(error.problem)
    assert "SSL_CERT_FILE" in error.hint
    assert len(asked) == 1 and waits == []


def test_a_proxy_that_wants_a_name():
    error, asked, _ = refused(httpx.Response(407, text="<html>who?</html>"))
    assert "the proxy wants to know who asks" in str(error.problem)
    assert error.status == 407 and len(asked) == 1


def test_what_the_system_said_is_said():
    broken = httpx.ConnectError("[Errno 111] Connection refused")
    broken.__cause__ = ConnectionRefusedError(111, "Connection refused")
    error, asked, waits = refused(*[broken] * 5)
    assert str(error.problem) == f"{URL}: cannot be reached: it is not there (connection refused)"
    assert len(asked) == 5 and waits == sorted(waits)


@pytest.mark.parametrize("token", ["itda_sec\nret", "itda_secr\u00e9t"])
def test_a_token_that_no_header_may_have_is_not_said(token):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        made = Transport(url, token, timeout=30, sleep=lambda _: None)
        with pytest.raises(UnreachableError) as caught:
            made.request("GET", "/models")
        made.close()
    assert "sec" not in str(caught.value.problem)
    assert "token" in caught.value.hint


def test_an_address_that_is_none():
    for url in ("http://", "itda.example.org", "http://\u0000"):
        made = Transport(url, "itda_x", timeout=1, sleep=lambda _: None)
        with pytest.raises(UnreachableError, match="is no address"):
            made.request("GET", "/models")
        made.close()


def test_this_machine_is_asked_without_a_proxy(monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(429 if self.path == "/api/v1/busy" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        made = Transport(url, "itda_x", timeout=30, sleep=lambda _: None)
        assert made.request("GET", "/models").status_code == 200
        with made.stream("/models") as answer:
            assert answer.read() == b""
        with pytest.raises((UnreachableError, RateError)):
            made.request("GET", "/busy")
        made.close()
        server.shutdown()
