"""Errors that a user can cause: each names the input, the rule, and what would work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from itda.language import COMMAND_LINE, SOURCE, Face, Message, from_data, joined, said

Kind = TypeVar("Kind", bound=BaseException)


class ItdaError(Exception):
    """The base of every error that a user can cause and mend.

    Args:
        problem: What was found, naming the file, record or field and the rule it breaks: a
            `Message`, so that it can be said in other words and languages.
        hint: What would work instead: a message, or several of which each is a remedy.
        field: Option, or field of the job or request, that is at fault; unless told, the first
            option that the problem names.
    """

    def __init__(
        self, problem: str, *, hint: str | Iterable[str] = (), field: str | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        remedies = (hint,) if isinstance(hint, str) else hint
        self.remedies = tuple(remedy for remedy in remedies if remedy)
        self._field = field
        self._spoken = (COMMAND_LINE, SOURCE)

    @property
    def hint(self) -> str:
        """Every remedy, in one line; a message where there is any."""
        return joined(self.remedies, ";").said(*self._spoken) if self.remedies else ""

    @property
    def field(self) -> str:
        """Option or field that is at fault; empty where none is."""
        if self._field is not None:
            return self._field
        options = self.problem.options() if isinstance(self.problem, Message) else ()
        return options[0].name.replace("-", "_") if options else ""

    def __str__(self) -> str:
        return f"{self.problem}\n  hint: {self.hint}" if self.remedies else str(self.problem)

    def __reduce__(self) -> tuple[Any, ...]:
        # A subclass may take other arguments than it hands on.
        return _revived, (type(self), self.args), self.__dict__

    def but(self, problem: str | None = None, *, hint: str | Iterable[str] | None = None) -> Self:
        """Return the same error, of which something else is said."""
        made = _revived(type(self), self.args)
        made.__dict__.update(self.__dict__)
        if problem is not None:
            made.problem, made.args = problem, (problem, *self.args[1:])
        if hint is not None:
            remedies = (hint,) if isinstance(hint, str) else hint
            made.remedies = tuple(remedy for remedy in remedies if remedy)
        return made

    def mapped(self, change: Callable[[str], str]) -> Self:
        """Return the same error with each text among the fields of its messages changed."""
        problem, *remedies = (
            one.mapped(change) if isinstance(one, Message) else change(one)
            for one in (self.problem, *self.remedies)
        )
        return self.but(problem, hint=remedies)

    def said(self, face: Face = COMMAND_LINE, language: str = SOURCE) -> Self:
        """Return the same error in the words of a face, in a language."""
        remedies = [said(remedy, face, language) for remedy in self.remedies]
        made = self.but(said(self.problem, face, language), hint=remedies)
        made._spoken = (face, language)
        return made


def _revived(kind: type[Kind], args: tuple[Any, ...]) -> Kind:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


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


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an error as `kind`, `problem` and `hint`, for JSON and for tables.

    Where the error is made of messages, `message` and `remedies` hold what they are made of, and
    `field` what is at fault.
    """
    if isinstance(error, ItdaError):
        told = {
            "kind": type(error).__name__,
            "problem": str(error.problem),
            "hint": str(error.hint),
        }
        return {**told, **data_of(error)}
    text = " ".join(str(error).split())
    problem = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"kind": "UnexpectedError", "problem": problem, "hint": ""}


def data_of(error: ItdaError) -> dict[str, Any]:
    """Return what the messages of an error are made of, for JSON; nothing of plain text."""
    data: dict[str, Any] = {}
    if isinstance(error.problem, Message):
        data["message"] = error.problem.to_data()
        data["remedies"] = tuple(
            (one if isinstance(one, Message) else Message("{text}", text=one)).to_data()
            for one in error.remedies
        )
    if error.field:
        data["field"] = error.field
    return data


def retold(
    described: Mapping[str, Any], face: Face = COMMAND_LINE, language: str = SOURCE
) -> tuple[str, str]:
    """Return problem and hint of what `describe_error` wrote, as a face says them in a language."""
    problem, hint = str(described.get("problem", "")), str(described.get("hint") or "")
    try:
        made = from_data(described["message"])
        remedies = [from_data(one) for one in described.get("remedies", ())]
    except (KeyError, TypeError, ValueError):
        return problem, hint  # of plain text, or of another release
    return made.said(face, language), joined(remedies, ";").said(face, language)


@contextmanager
def spoken_in(face: Face, language: str = SOURCE) -> Iterator[None]:
    """Put errors that leave the block into the words of a face."""
    try:
        yield
    except ItdaError as error:
        error.__dict__.update(error.said(face, language).__dict__)
        error.args = (error.problem, *error.args[1:])
        raise
