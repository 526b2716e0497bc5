"""Errors with an HTTP status of their own; every other `ItdaError` is 422."""

from __future__ import annotations

from itda.errors import ItdaError


class NotFoundError(ItdaError):
    """There is no such thing, or none that the asker may know of (404)."""


class UnauthenticatedError(ItdaError):
    """The request has no valid token or session (401)."""


class ForbiddenError(ItdaError):
    """The asker may read this but not do what was asked (403)."""


class ConflictError(ItdaError):
    """What is asked contradicts what is there (409)."""


class TooLargeError(ItdaError):
    """The request is larger than what is taken (413)."""


class QuotaError(ItdaError):
    """A quota is used up (429).

    Args:
        problem: Which quota, and how much of it is used.
        hint: What would work.
        renews_at: When it begins anew, in seconds since 1970; None where it does not.
    """

    def __init__(self, problem: str, *, hint: str = "", renews_at: float | None = None) -> None:
        super().__init__(problem, hint=hint)
        self.renews_at = renews_at


class RateError(ItdaError):
    """Requests come too fast (429).

    Args:
        problem: Whose, and how many are allowed.
        hint: What would work.
        retry_after: Seconds to wait.
    """

    def __init__(self, problem: str, *, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(problem, hint=hint)
        self.retry_after = retry_after
