"""Kinds of value that many messages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

LARGEST_NUMBER = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""


def printable(text: str) -> str:
    """Return a text as it is; refused where a character cannot be printed, for pydantic."""
    if not text.isprintable():
        raise PydanticCustomError("printable", "must hold characters that can be printed only")
    return text


class Message(BaseModel):
    """What travels: unknown fields are refused where they are sent, and frozen where they came."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Answer(BaseModel):
    """What a server answers: a client takes fields that a newer server adds without complaint."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Made(Answer):
    """What a problem is made of, so that whoever reads it can say it in another language.

    A template is English with named fields; docs/rest.md says how it is read.
    """

    message: dict[str, Any] | None = None
    """Template and fields of the problem; none where it is plain text."""

    remedies: tuple[dict[str, Any], ...] = ()
    """Template and fields of each remedy in the hint."""

    field: str = ""
    """Option, or field of the job or request, that is at fault."""


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)]
"""A name for people: 1 to 200 characters that can be printed."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A key of 32 hexadecimal digits."""

DatabaseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of a search database; never a path."""

Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]

_Word = Annotated[str, StringConstraints(max_length=1000), AfterValidator(printable)]
_Whole = Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
_Scalar = bool | _Whole | Annotated[float, Field(allow_inf_nan=False)] | _Word
_ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]

Parameters = Annotated[Mapping[_ParameterName, _Scalar | tuple[_Scalar, ...]], Field(max_length=50)]
"""Parameters of a family by name; the family says what they may be."""

Document = dict[str, Any]
