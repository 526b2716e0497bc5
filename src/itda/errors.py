"""Errors that a user can cause: each names the input, the rule, and what would work."""

from __future__ import annotations


class ItdaError(Exception):
    """The base of every error that a user can cause and mend.

    Args:
        problem: What was found, naming the file, record or field and the rule it breaks.
        hint: What would work instead.
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem}\n  hint: {self.hint}" if self.hint else self.problem


class InputError(ItdaError):
    """A file, record or field that cannot be read as what it should be."""


class CapabilityError(ItdaError):
    """A job asks for something that the chosen model family cannot do.

    Attributes:
        passing: Whether only memory that others hold just now is lacking.
        needed_bytes: Memory that is needed; None where memory is not what lacks.
    """

    passing = False
    needed_bytes: int | None = None


class WeightsError(ItdaError):
    """Weights are missing, truncated, altered, or of another shape."""


class DataError(ItdaError):
    """A training or search data set is missing, incomplete or inconsistent."""


class OutputError(ItdaError):
    """A result could not be written where it was asked for."""


class DependencyError(ItdaError):
    """An optional package or program that this step needs is not installed."""


class LostJobError(Exception):
    """A run was over, and a job was neither done nor failed: a fault of the program's own."""


def describe_error(error: BaseException) -> dict[str, str]:
    """Return an error as `kind`, `problem` and `hint`, for JSON and for tables."""
    if isinstance(error, ItdaError):
        return {"kind": type(error).__name__, "problem": error.problem, "hint": error.hint}
    text = " ".join(str(error).split())
    problem = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"kind": "UnexpectedError", "problem": problem, "hint": ""}
