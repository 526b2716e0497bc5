import contextlib
import itertools
import shlex
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from itda.http_client import asked, proxy_of
from itda.network import BrokenError, NetworkError
from tests.patience import PATIENCE_SECONDS

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS = b"\x16"
PROXIES = [f"{name}_proxy" for name in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No proxy and no certificates but the test's own."""
    for name in [*PROXIES, *map(str.upper, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)


class Raw:
    """Answers each connection as the next of its functions or bytes says; the last one for ever."""

    def __init__(self, *answers, trust=None):
        self.heard = []
        self._answers = list(answers)
        self._trust = trust
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"{'http' if trust is None else 'https'}://{self.host}/x"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE_SECONDS)

    def _serve(self):
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                bare, _ = self._socket.accept()
                with self._trust.wrap_socket(bare, server_side=True) if self._trust else bare as at:
                    self._answer(at)

    def _answer(self, at):
        asked_for = b""
        while b"\r\n\r\n" not in asked_for and not asked_for.startswith(TLS):
            got = at.recv(65536)
            if not got:
                return
            asked_for += got
        self.heard.append(asked_for.decode("utf-8", "replace"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, bytes):
            at.sendall(answer)
        else:
            answer(at, self._over)


def drip(start, then=b"x"):
    """Begin an answer, and send a byte of the rest now and then, for as long as one listens."""

    def send(at, over):
        at.sendall(start)
        for byte in itertools.cycle(then):
            if over.wait(0.02):
                return
            at.sendall(bytes([byte]))

    return send


def silent(at, over):
    over.wait(PATIENCE_SECONDS)


def get(url, timeout_seconds=PATIENCE_SECONDS, limit=1000, **options):
    with asked("GET", url, timeout_seconds=timeout_seconds, **options) as reply:
        return reply.status, reply.read(limit)


def broken(url, **options):
    with pytest.raises(BrokenError) as caught:
        get(url, **options)
    return caught.value.reason


def refused(url, **options):
    with pytest.raises(NetworkError) as caught:
        get(url, **options)
    assert caught.value.hint
    return str(caught.value.problem)


def test_nobody_there():
    with Raw(OK) as server:
        pass
    assert broken(server.url) == "is not there (connection refused)"


def test_a_name_that_nobody_knows(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert broken("http://nowhere.example/") == "has a name that no name server knows"


def test_an_error_that_is_handled_just_now_is_not_the_cause():
    with Raw(OK) as server:
        pass
    try:
        raise TimeoutError
    except TimeoutError:
        assert "refused" in broken(server.url)


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        drip(b"HTTP/1.1 200 OK\r\nX: "),
        drip(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drip(b"HTTP/1.0 200 OK\r\n\r\n"),
        drip(b"HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "header", "headers", "body", "chunks", "old body", "error", "continue"],
)
def test_an_answer_that_is_not_there_in_time_altogether(answer):
    with Raw(answer) as server:
        assert broken(server.url, timeout_seconds=0.1, limit=100_000) == "did not answer in time"


def test_what_is_downloaded_may_take_longer_than_an_answer():
    def slow(at, over):
        at.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            assert not over.wait(0.1)
            at.sendall(b"x")

    with Raw(slow) as server, asked("GET", server.url, timeout_seconds=0.25) as reply:
        assert b"".join(reply.chunks()) == b"x" * 12


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "without sending a response"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "without sending"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nok", "sent 2 bytes of 2,000"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "sent 0 bytes of 2,000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "incomplete"),
    ],
)
def test_what_breaks_is_said(answer, said):
    with Raw(answer) as server:
        assert said in broken(server.url)


def test_no_more_is_read_than_was_asked_for():
    with Raw(drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000)) as server:
        assert get(server.url, limit=1000) == (200, b"x" * 1000)


def test_who_asks():
    with Raw(OK) as server:
        get(server.url)
        get(server.url, headers={"user-agent": "itda/1 (연구실 é)", "Accept": "text/plain"})
    first, second = server.heard
    assert "User-Agent: itda/" in first
    assert "accept-encoding: identity" in first.lower()
    assert "itda/1 (연구실 é)" in second
    assert second.lower().count("user-agent:") == second.lower().count("accept:") == 1


@pytest.fixture
def lab_trust(tmp_path):
    """A certificate that a laboratory made for 127.0.0.1, and what a server needs for it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
            " -subj /CN=lab -addext subjectAltName=IP:127.0.0.1"
            " -keyout key.pem -out certificate.pem"
        ),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_a_certificate_of_a_laboratory(lab_trust, monkeypatch, tmp_path):
    certificate, context = lab_trust
    with Raw(OK, trust=context) as server:
        assert "cannot prove that it is that server" in refused(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert get(server.url) == (200, b"ok")
        assert "cannot prove" in refused(server.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        assert "cannot prove" in refused(server.url)


def test_a_dripping_answer_over_tls(lab_trust, monkeypatch):
    certificate, context = lab_trust
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Raw(drip(b"HTTP/1.1 200 OK\r\nX: "), trust=context) as server:
        assert broken(server.url, timeout_seconds=0.25) == "did not answer in time"


def test_https_where_http_is_spoken():
    with Raw(OK) as server:
        assert "SSL" in broken(server.url.replace("http:", "https:"))


NAMES = ["a.org", "x.a.org", "xa.org", "a.org:8080", "b.org", "10.0.0.7", "10.0.0.70", "[fd00::1]"]


@pytest.mark.parametrize(
    "left_out",
    [
        "",
        "a.org",
        ".a.org",
        "*",
        "a.org:8080",
        "10.0.0.7",
        "10.0.0.0/8",
        " b.org , .a.org ",
        "[::1",
    ],
)
def test_no_proxy_is_read_as_the_standard_library_reads_it(monkeypatch, left_out):
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", left_out)
    for name in NAMES:
        bypassed = urllib.request.proxy_bypass_environment(name)
        expected = None if bypassed else "http://proxy:3128"
        assert proxy_of(f"http://me:secret@{name}/x") == expected, (left_out, name)


@pytest.mark.parametrize(
    ("given", "url", "proxy"),
    [
        ({"http_proxy": "proxy:3128"}, "http://a.org", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://a.org", "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128"}, "https://a.org", None),
        ({"all_proxy": "http://proxy:1"}, "https://a.org", "http://proxy:1"),
        (
            {"ALL_PROXY": "http://proxy:1", "https_proxy": "http://b:2"},
            "https://a.org",
            "http://b:2",
        ),
        ({"ALL_PROXY": "http://proxy:1", "NO_PROXY": "a.org"}, "https://a.org", None),
        ({"https_proxy": ""}, "https://a.org", None),
        ({"http_proxy": "http://proxy:1"}, "http://127.0.0.1:8000", None),
        ({"http_proxy": "http://proxy:1"}, "http://127.9.9.9", None),
        ({"all_proxy": "http://proxy:1"}, "http://[::1]:8000", None),
        ({"all_proxy": "http://proxy:1"}, "http://LOCALHOST:8000", None),
        ({"http_proxy": "http://proxy:1"}, "http://127.example.com", "http://proxy:1"),
    ],
)
def test_which_proxy(monkeypatch, given, url, proxy):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == proxy


def test_this_machine_is_asked_without_a_proxy(monkeypatch):
    with Raw(b"") as proxy, Raw(OK) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        assert get(server.url) == (200, b"ok")
        assert get(server.url.replace("127.0.0.1", "localhost")) == (200, b"ok")
        assert not proxy.heard


def test_a_proxy_is_asked_for_others_with_its_name_and_password(monkeypatch):
    with Raw(OK) as proxy:
        monkeypatch.setenv("http_proxy", f"me:p%40ss@{proxy.host}")
        assert get("http://lab.example/file?a=b") == (200, b"ok")
    assert proxy.heard[0].startswith("GET http://lab.example/file?a=b HTTP/1.1")
    assert "proxy-authorization: basic bwu6cebzcw==" in proxy.heard[0].lower()


def test_a_redirection_to_this_machine_leaves_the_proxy(monkeypatch):
    with Raw(OK) as server:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {server.url}\r\nContent-Length: 0\r\n\r\n"
        with Raw(moved.encode()) as proxy:
            monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
            secret = {"Authorization": "Bearer s", "Cookie": "c=1"}
            assert get("http://lab.example/", headers=secret, follow=True) == (200, b"ok")
            assert len(proxy.heard) == len(server.heard) == 1
    assert "Bearer s" in proxy.heard[0]
    assert "Bearer" not in server.heard[0] and "c=1" not in server.heard[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 Down\r\n\r\n", "through the proxy 127.0.0.1"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"", "without sending a response"),
    ],
)
def test_a_proxy_that_fails_is_named(monkeypatch, answer, said):
    with Raw(answer) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:secret@{proxy.host}")
        reason = broken("https://lab.example/")
    assert said in reason and "secret" not in reason
    assert proxy.heard[0].startswith("CONNECT lab.example:443")


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    with Raw(OK) as proxy:
        pass
    for name in ("http", "https"):
        monkeypatch.setenv(f"{name}_proxy", f"http://{proxy.host}")
        reason = broken(f"{name}://lab.example/")
        assert reason == f"is not there (connection refused), through the proxy {proxy.host}"


def test_a_proxy_that_wants_a_name(monkeypatch):
    with Raw(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
        for name in ("http", "https"):
            monkeypatch.setenv(f"{name}_proxy", f"http://{proxy.host}")
            said = refused(f"{name}://lab.example/x")
            assert said == f"{name}://lab.example/x: the proxy wants to know who asks (HTTP 407)"


@pytest.mark.parametrize("proxy", ["ftp://me:secret@p:1", "http://p:port", "http://p:99999999"])
def test_a_proxy_that_is_none_is_refused_by_name(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    said = refused("http://lab.example/")
    assert "no address of a proxy" in said and "p:" in said and "secret" not in said


def test_socks_is_refused_with_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("all_proxy", "socks5://me:secret@p:1080")
    said = refused("http://lab.example/")
    assert "socks5://p:1080" in said and "secret" not in said


def moved(to):
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def test_redirections_are_followed_only_where_that_is_asked_for():
    with Raw(moved("/y"), OK) as server:
        assert get(server.url, follow=True) == (200, b"ok")
        assert server.heard[1].startswith("GET /y ")
    with Raw(moved("http://elsewhere.example/")) as server:
        assert get(server.url) == (302, b"")


@pytest.mark.parametrize("to", ["/again", "ftp://lab.example/", "file:///etc/passwd", "http://"])
def test_redirections_that_lead_nowhere(to):
    with Raw(moved(to)) as server, pytest.raises((NetworkError, BrokenError)):
        get(server.url, follow=True)


@pytest.mark.parametrize(
    "url", ["http://", "lab.example", "ftp://lab.example", "http://h:99999999/"]
)
def test_what_is_no_address(url):
    assert "is no address" in refused(url)


def test_a_token_that_no_header_may_have_is_not_said():
    with Raw(OK) as server:
        said = refused(server.url, headers={"Authorization": "Bearer sec\nret"})
    assert "sec" not in said.replace(server.url, "")


def test_a_password_in_the_address_says_who_asks_and_is_not_said():
    with Raw(b"") as server:
        reason = broken(server.url.replace("//", "//me:secret@") + "?token=secret")
    assert "secret" not in reason
    assert "basic bwu6c2vjcmv0" in server.heard[0].lower()
    url = "https://me:secret@lab.example:99999999/x?token=secret"
    assert "secret" not in refused(url)


def test_no_thread_stays():
    before = threading.active_count()
    with Raw(OK) as server:
        for _ in range(3):
            get(server.url)
    end = time.monotonic() + PATIENCE_SECONDS
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_httpx_is_imported_when_something_is_asked():
    code = (
        "import sys, itda.hub.fetch, itda.search.sources.server_http, itda.cli.main;"
        "print('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
