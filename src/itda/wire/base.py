"""Kinds of value that many messages share."""

from __future__ import annotations

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


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)]
"""A name for people: 1 to 200 characters that can be printed."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A key of 32 hexadecimal digits."""

DatabaseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of a search database; never a path."""

Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]

Document = dict[str, Any]
