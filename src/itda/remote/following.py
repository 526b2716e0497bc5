"""A job's events as they come, over connections that may break."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
from pydantic import ValidationError

from itda.language import Message
from itda.remote.errors import RateError, UnreachableError
from itda.remote.transport import TRIES, Transport
from itda.wire import EventView, JobView

SILENCE_SECONDS = 45.0
"""A server sends something at least every 15 s; a longer silence is a broken connection."""


class Follower:
    """Follows one job to its end.

    Args:
        transport: To the server.
        job_id: Of the job.
        after: Only events with a larger `id`.
        deadline: Of `time.monotonic()`, after which to give up.
    """

    def __init__(
        self,
        transport: Transport,
        job_id: str,
        *,
        after: int = 0,
        deadline: float | None = None,
    ) -> None:
        self._transport = transport
        self._job_id = job_id
        self._after = after
        self._deadline = deadline
        self._ended = False

    def follow(self) -> Iterator[EventView | JobView]:
        """Yield each event once, in order, and the job whenever it changed.

        Raises:
            TimeoutError: The deadline passed.
            UnreachableError: The server cannot be reached for long.
            NotFoundError: The job is gone.
        """
        failures = 0
        while not self._ended:
            try:
                for told in self._listen():
                    failures = 0
                    yield told
            except (UnreachableError, RateError) as error:
                failures += 1
                self._check_deadline()
                if failures >= TRIES or 400 <= error.status < 429:
                    raise
            self._check_deadline()
            if not self._ended:
                self._transport.wait(failures)

    def _listen(self) -> Iterator[EventView | JobView]:
        headers = {"Accept": "text/event-stream"}
        if self._after:
            headers["Last-Event-ID"] = str(self._after)
        path, ended = f"/jobs/{self._job_id}/events", False
        with self._transport.stream(path, headers=headers, timeout=self._patience()) as answer:
            if answer.status_code == 204:
                self._ended = True
                return
            for kind, data in _messages(self._checked_lines(answer)):
                told = _read(kind, data)
                if isinstance(told, EventView):
                    self._after = max(self._after, told.id)
                else:
                    ended = told.ended
                yield told
        # Of a job that ended, the server closes the stream after the last event.
        self._ended = ended

    def _patience(self) -> float:
        if self._deadline is None:
            return SILENCE_SECONDS
        return max(0.1, min(SILENCE_SECONDS, self._deadline - time.monotonic()))

    def _checked_lines(self, answer: httpx.Response) -> Iterator[str]:
        for line in answer.iter_lines():
            self._check_deadline()
            yield line

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TimeoutError(f"job {self._job_id} has not ended; it goes on")


def _messages(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield kind and data of each message of a stream of server-sent events."""
    kind, data = "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _read(kind: str, data: str) -> EventView | JobView:
    try:
        return (JobView if kind == "job" else EventView).model_validate_json(data)
    except ValidationError as error:
        raise UnreachableError(
            Message("the server sends events that are not known here"),
            hint=Message("a newer Itda may be needed"),
        ) from error
