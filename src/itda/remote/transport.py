"""Requests to a server: retried where that is safe, and every refusal turned into an error."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from itda.http_client import fault_of, new_client
from itda.language import Message
from itda.network import (
    PROXY_WANTS_NAME,
    BrokenError,
    NetworkError,
    proxy_wants_name,
    retry_after,
)
from itda.remote.errors import UnreachableError, error_of
from itda.wire import Problem

Answered = TypeVar("Answered", bound=BaseModel)

TRIES = 5
LONGEST_WAIT_SECONDS = 30.0

_PASSING = frozenset({429, 502, 503, 504})
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, NetworkError)
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Transport:
    """What a client sends and gets.

    Args:
        url: Of the server, such as `https://itda.example.org`.
        token: `itda_…`.
        timeout: Seconds without a sign of the server.
        http: Sends requests; one of its own unless told.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = timeout
        self._sleep = sleep
        self._http = http or new_client(timeout)
        self._owned = http is None

    def close(self) -> None:
        """Close its connections."""
        if self._owned:
            self._http.close()

    def get(self, path: str, answer: type[Answered], **options: Any) -> Answered:
        """Ask for something, and return it as what it is."""
        return _as(answer, self.request("GET", path, **options))

    def post(self, path: str, answer: type[Answered], **options: Any) -> Answered:
        """Send something, and return what became of it."""
        return _as(answer, self.request("POST", path, **options))

    def request(
        self,
        method: str,
        path: str,
        *,
        again: bool | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send a request until there is an answer.

        Args:
            method: Of HTTP.
            path: Below `/api/v1`, or a whole path of the server.
            again: Whether it may be sent twice; for methods that change nothing unless told.
            headers: Beside those of every request.
            options: Of `httpx`.

        Raises:
            ItdaError: The server refused it; the class says why.
            UnreachableError: There is no answer.
        """
        again = method in _SAFE if again is None else again
        for attempt in range(TRIES):
            last = attempt == TRIES - 1 or not again
            try:
                response = self._http.request(
                    method,
                    self._address(path),
                    headers={**self._headers, **(headers or {})},
                    timeout=self._timeout,
                    **options,
                )
            except (*_FAULTS, UnicodeError) as error:
                fault = fault_of(error, self.url)
                if isinstance(fault, NetworkError) or (
                    last and not (isinstance(error, httpx.ConnectError) and attempt < TRIES - 1)
                ):
                    raise _unreachable(fault, self.url) from error
                self.wait(attempt)
            else:
                if response.status_code not in _PASSING or last or not _passes(response):
                    return _checked(response, self.url)
                self.wait(attempt, retry_after(response.headers))
        raise AssertionError("the last try returns or raises")

    @contextlib.contextmanager
    def stream(
        self, path: str, *, headers: dict[str, str] | None = None, timeout: float | None = None
    ) -> Iterator[httpx.Response]:
        """Give an answer that is read while it comes.

        Args:
            path: As for `request`.
            headers: Beside those of every request.
            timeout: Seconds without a sign of the server; the client's own unless told.

        Raises:
            ItdaError: The server refused it.
            UnreachableError: There is no answer, or it breaks off.
        """
        try:
            with self._http.stream(
                "GET",
                self._address(path),
                headers={**self._headers, **(headers or {})},
                timeout=self._timeout if timeout is None else timeout,
            ) as response:
                if response.status_code >= 300:
                    response.read()
                    _checked(response, self.url)
                yield response
        except _FAULTS as error:
            raise _unreachable(fault_of(error, self.url), self.url) from error

    def wait(self, attempt: int, told: float | None = None) -> None:
        """Wait before the next try, as long as the server told at least."""
        seconds = max(0.5 * 2**attempt * random.uniform(0.5, 1.0), told or 0.0)
        self._sleep(min(LONGEST_WAIT_SECONDS, seconds))

    def _address(self, path: str) -> str:
        return self.url + (path if path.startswith("/api/") else f"/api/v1{path}")


def _unreachable(fault: BrokenError | NetworkError, url: str, status: int = 0) -> UnreachableError:
    if isinstance(fault, NetworkError):
        return UnreachableError(fault.problem, hint=fault.remedies, status=status)
    return UnreachableError(
        Message("{url}: cannot be reached: it {said}", url=url, said=fault.reason),
        hint=Message("see that the server runs, and that the address is right"),
    )


def _passes(response: httpx.Response) -> bool:
    """Whether waiting a little may help: not where a quota is used up."""
    return "QuotaError" not in response.text


def _checked(response: httpx.Response, url: str) -> httpx.Response:
    if response.is_success or response.status_code == 304:
        return response
    if response.is_redirect:
        raise UnreachableError(
            Message(
                "{url}: leads to {get}", url=url, get=response.headers.get("location", "nowhere")
            ),
            hint=Message("log in with that address"),
            status=response.status_code,
        )
    if response.status_code == PROXY_WANTS_NAME:
        raise _unreachable(proxy_wants_name(url), url, PROXY_WANTS_NAME)
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        raise UnreachableError(
            Message(
                "{url}: answers {status_code}, and not as an Itda server does",
                url=url,
                status_code=response.status_code,
            ),
            hint=Message("see that the address is right, and what stands between"),
            status=response.status_code,
        ) from None
    raise error_of(problem)


def _as(answer: type[Answered], response: httpx.Response) -> Answered:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise UnreachableError(
            Message("{url}: the answer is none that is known here", url=response.request.url),
            hint=Message("see that the address is right; a newer Itda may be needed here"),
        ) from error
