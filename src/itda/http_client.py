"""Requests over httpx: through which proxy, trusted by which certificates, and what went wrong.

Imported where something is asked, inside functions: httpx takes an eighth of a second.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from itda.language import Message
from itda.network import (
    PROXY_WANTS_NAME,
    BrokenError,
    NetworkError,
    is_loopback,
    network_fault,
    proxy_wants_name,
)
from itda.version import itda_version

_TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# An answer that drips is given up when it took so many times what a server may be silent.
_TOTAL = 4


class Reply:
    """An answer whose body is still on its way.

    Attributes:
        status: Of HTTP.
        headers: By name, in letters of any size.
    """

    def __init__(self, response: httpx.Response, watch: _Watch, url: str) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._watch = watch
        self._url = url

    def read(self, limit: int) -> bytes:
        """Return the first `limit` bytes of the body, or all of it.

        Raises:
            BrokenError: It breaks off, or is not here in time altogether.
        """
        body = bytearray()
        for chunk in self._chunks():
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])

    def chunks(self) -> Iterator[bytes]:
        """Give the body as it comes, which may take as long as it takes.

        Raises:
            BrokenError: It breaks off, or the server falls silent.
        """
        self._watch.stop()
        return self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        done = 0
        try:
            for chunk in self._response.iter_raw():
                done += len(chunk)
                yield chunk
            # Where the connection's end is that of the body, it may be the watch that ended it.
            self._watch.check()
        except httpx.HTTPError as error:
            announced = self.headers.get("Content-Length", "")
            if isinstance(error, httpx.RemoteProtocolError) and announced.isdigit():
                self._watch.check()
                raise BrokenError(f"sent {done:,} bytes of {int(announced):,}") from error
            raise self._watch.fault(error, self._url) from error


@contextlib.contextmanager
def asked(
    method: str,
    url: str,
    *,
    timeout_seconds: float,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    follow: bool = False,
) -> Iterator[Reply]:
    """Send one request, and give what comes back, whatever its status.

    Args:
        method: Of HTTP.
        url: Where; a name and password in it say who asks.
        timeout_seconds: How long the server may be silent. What comes before the body, or until
            `Reply.read` has it, may take four times as long altogether.
        headers: Beside, or in place of, those of every request.
        form: Sent as the body.
        follow: Whether to go where the server sends on to; another server is not told who asks.

    Raises:
        BrokenError: There is no answer; asking again may help.
        NetworkError: There is no answer, and asking again will not help.
    """
    # A packed answer has neither the bytes nor the length of the file.
    sent = httpx.Headers({"Accept-Encoding": "identity", "Connection": "close"})
    sent.update(httpx.Headers(dict(headers or {}), encoding="utf-8"))
    watch = _Watch(_TOTAL * timeout_seconds)
    try:
        with new_client(timeout_seconds) as client:
            try:
                _ = urllib.parse.urlsplit(url).port  # httpx takes any number
                request = client.build_request(
                    method, url, headers=sent, data=form, extensions={"trace": watch.note}
                )
                response = client.send(request, stream=True, follow_redirects=follow)
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise watch.fault(error, url) from error
            with contextlib.closing(response):
                if response.status_code == PROXY_WANTS_NAME:
                    raise proxy_wants_name(_shown(url))
                yield Reply(response, watch, url)
    finally:
        watch.stop()


def new_client(timeout_seconds: float) -> httpx.Client:
    """Return what sends requests and keeps connections.

    Args:
        timeout_seconds: How long a server may be silent.
    """
    return httpx.Client(
        transport=_Routes(),
        timeout=timeout_seconds,
        headers={"User-Agent": f"itda/{itda_version()}"},
        trust_env=False,
    )


def fault_of(error: Exception, url: str) -> BrokenError | NetworkError:
    """Return what an error of a client of this module means to whoever asked for an address."""
    if isinstance(error, NetworkError):
        return error
    cause, shown = _root(error), _shown(url)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NetworkError(
            Message(
                "the server at {url} cannot prove that it is that server: {reason}",
                url=shown,
                reason=cause,
            ),
            hint=Message("check the address; for a laboratory's own certificate set SSL_CERT_FILE"),
        )
    if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
        return proxy_wants_name(shown)
    if isinstance(error, httpx.LocalProtocolError | UnicodeEncodeError):
        # What httpx says of it has the header in it, which may be a token.
        return NetworkError(
            Message("{url}: what says who asks has a letter that no header may have", url=shown),
            hint=Message("look for a line break in the token"),
        )
    if isinstance(
        error,
        httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.TooManyRedirects | ValueError,
    ):
        return NetworkError(
            Message("{url}: is no address, or leads to none: {reason}", url=shown, reason=error),
            hint=Message("such as https://HOST:PORT"),
        )
    if isinstance(error, httpx.TimeoutException):
        cause = TimeoutError()
    proxy = proxy_of(url)
    if proxy is not None and isinstance(error, httpx.ConnectError | httpx.ProxyError):
        through = urllib.parse.urlsplit(proxy).netloc.rpartition("@")[2]
        return BrokenError(f"{network_fault(cause)}, through the proxy {through}")
    return BrokenError(network_fault(cause))


def _root(error: BaseException) -> BaseException:
    """Return what the operating system said, where it did: the error has it as cause or content."""
    told = (one for one in (error.__cause__, *error.args) if isinstance(one, BaseException))
    inner = next(told, None)
    return error if inner is None else _root(inner)


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address; None where there is none.

    As in the standard library, which knows the settings of macOS too; `all_proxy` besides. httpx
    itself reads `no_proxy` otherwise: `.example.org` would leave `example.org` out.
    """
    parts = urllib.parse.urlsplit(url)
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    at = parts.netloc.rpartition("@")[2]
    if not found or is_loopback(url) or urllib.request.proxy_bypass(at):
        return None
    return found if "://" in found else f"http://{found}"


class _Routes(httpx.BaseTransport):
    """Sends each request through the proxy of its own address, that of a redirection too."""

    def __init__(self) -> None:
        self._ways: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_of(str(request.url))
        if proxy not in self._ways:
            self._ways[proxy] = _way(proxy)
        return self._ways[proxy].handle_request(request)

    def close(self) -> None:
        for way in self._ways.values():
            way.close()


def _way(proxy: str | None) -> httpx.HTTPTransport:
    trust = _trust(*(os.environ.get(name) for name in _TRUST_VARIABLES))
    try:
        _ = urllib.parse.urlsplit(proxy or "").port
        return httpx.HTTPTransport(verify=trust, proxy=proxy)
    except (ValueError, httpx.InvalidURL) as error:
        raise NetworkError(
            Message("the proxy {proxy!r} is no address of a proxy", proxy=_shown(proxy or "")),
            hint=Message("write http://HOST:PORT into HTTPS_PROXY, or unset it"),
        ) from error
    except ImportError as error:
        raise NetworkError(
            Message(
                "the proxy {proxy} speaks SOCKS, which httpx alone does not",
                proxy=_shown(proxy or ""),
            ),
            hint=(
                Message('pip install "httpx[socks]"'),
                Message("name a proxy of HTTP in HTTPS_PROXY, or the server in NO_PROXY"),
            ),
        ) from error


@functools.cache
def _trust(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return what this machine trusts, as `$SSL_CERT_FILE` and `$SSL_CERT_DIR` may say."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    found = paths.cafile or (paths.capath and any(Path(paths.capath).iterdir()))
    if not (file or folder or found):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


class _Watch:
    """Ends a request that takes too long altogether: a server that sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._expired = False
        self._streams: list[Any] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def note(self, name: str, info: Mapping[str, Any]) -> None:
        """Remember each connection that httpcore makes."""
        if name.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._streams.append(info["return_value"])

    def stop(self) -> None:
        """Let the rest take as long as it takes."""
        self._timer.cancel()

    def check(self) -> None:
        """Raise BrokenError where the time is over."""
        if self._expired:
            raise BrokenError(network_fault(TimeoutError()))

    def fault(self, error: Exception, url: str) -> Exception:
        """Return what an error means: that the time is over, where it is."""
        return BrokenError(network_fault(TimeoutError())) if self._expired else fault_of(error, url)

    def _end(self) -> None:
        self._expired = True
        for stream in self._streams:
            # One that TLS took over, or that is closed, has no socket of its own any more.
            with contextlib.suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _shown(url: str) -> str:
    """Return an address without name, password and question."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
    )
