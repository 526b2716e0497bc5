"""What a server refuses, as errors that a user can mend."""

from __future__ import annotations

from collections.abc import Iterable

import itda.errors
from itda.errors import ItdaError, retold
from itda.wire import Problem


class RemoteError(ItdaError):
    """What a server refused, or could not do.

    Args:
        problem: What the server found.
        hint: What would work instead; several where there are several remedies.
        status: HTTP status; 0 where there was no answer.
    """

    def __init__(self, problem: str, *, hint: str | Iterable[str] = (), status: int = 0) -> None:
        super().__init__(problem, hint=hint)
        self.status = status


class UnreachableError(RemoteError):
    """There is no answer, or none of an Itda server."""


class UnauthenticatedError(RemoteError):
    """The token is missing, unknown, expired or revoked (401)."""


class ForbiddenError(RemoteError):
    """The token may not do this (403)."""


class NotFoundError(RemoteError):
    """There is no such thing, or none that the token may know of (404)."""


class ConflictError(RemoteError):
    """What is asked contradicts what is there (409)."""


class TooLargeError(RemoteError):
    """More was sent than the server takes at once (413)."""


class QuotaError(RemoteError):
    """A quota is used up (429); `renews_at` is when it begins anew, in ISO 8601."""

    renews_at: str | None = None


class RateError(RemoteError):
    """Requests come too fast (429), even after waiting."""


class ServerFaultError(RemoteError):
    """The server has a fault, which is in its log (5xx)."""


_BY_STATUS: dict[int, type[RemoteError]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    429: RateError,
}
_LOCAL = ("InputError", "CapabilityError", "WeightsError", "DataError", "DependencyError")


def error_of(problem: Problem) -> ItdaError:
    """Return the error that a server's answer tells of.

    What an input or a job has wrong is of the same class as on this machine.
    """
    kind = problem.type.rpartition(":")[2]
    text, hint = retold({**problem.model_dump(), "problem": problem.detail})
    if kind in _LOCAL:
        local: type[ItdaError] = getattr(itda.errors, kind)
        return local(text, hint=hint)
    if kind == "BodyError":
        return itda.errors.InputError(text, hint=hint)
    if kind == "QuotaError":
        error = QuotaError(text, hint=hint, status=problem.status)
        error.renews_at = None if problem.renews_at is None else problem.renews_at.isoformat()
        return error
    named = _BY_STATUS.get(problem.status)
    if named is None:
        named = ServerFaultError if problem.status >= 500 else RemoteError
    return named(text, hint=hint, status=problem.status)
