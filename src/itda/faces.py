"""A remedy in the words of the face at hand: command line, Python, or a request to a server.

Errors name an option as the command line has it, `--ambiguous x`. That is the one form in which an
option stands in a text, so that every other face can find it and put its own words there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from itda.errors import ItdaError

_VALUES = {
    "ambiguous": r"x|refuse",
    "device": r"cpu|cuda|mps",
    "molecule": r"protein|dna|rna",
    "msa": r"none|mmseqs|hmmer:phmmer|hmmer|server:\S*\w|FILE|PATH",
    "model": r"(?!out\b)[a-z][\w-]*",
    "db": r"(?!out\b)[A-Za-z0-9][\w.-]*\w|NAME",
    "templates": r"none|NAME",
}
"""What may stand behind an option as its value, where another word may stand there as well."""

_OPTION = re.compile(
    "`?--(?:"
    + "|".join(f"(?P<{name}>{name}) (?P<{name}_value>{value})" for name, value in _VALUES.items())
    + r"|(?P<alone>[a-z][a-z-]*[a-z]))\b`?"
)


@dataclass(frozen=True)
class Face:
    """How a face calls what the command line calls an option.

    Attributes:
        alone: Shape of an option without a value, with `{name}`.
        valued: Shape of one with a value, with `{name}` and `{value}`.
        names: What this face calls an option by another name.
        instead: What is said in place of an option that this face has not.
        left_out: Texts that say nothing to its users.
    """

    alone: str
    valued: str
    names: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def said(self, text: str) -> str:
        """Return a text of an error in the words of this face."""
        for part in self.left_out:
            text = text.replace(part, "")
        return _OPTION.sub(self._option, text)

    def _option(self, match: re.Match[str]) -> str:
        told = {name: value for name, value in match.groupdict().items() if value is not None}
        name = told.get("alone") or next(name for name in told if not name.endswith("_value"))
        if name in self.instead:
            return self.instead[name]
        shape = self.alone if "alone" in told else self.valued
        called = self.names.get(name, name.replace("-", "_"))
        return shape.format(name=called, value=told.get(f"{name}_value", ""))


PYTHON = Face(
    alone="{name}",
    valued='{name}="{value}"',
    names={"parameter": "parameters"},
    instead={"cache": "cache=False", "at-once": "less at once"},
)
"""Arguments of `itda.fold`."""

REQUEST = Face(
    alone="{name}",
    valued="{name} {value}",
    names={"model": "family", "db": "databases", "parameter": "parameters"},
    left_out=(" (`itda models`)",),
)
"""Fields of a request, and of the page that sends it."""


@contextmanager
def spoken_in(face: Face) -> Iterator[None]:
    """Put errors that leave the block into the words of a face."""
    try:
        yield
    except ItdaError as error:
        error.problem, error.hint = face.said(error.problem), face.said(error.hint)
        error.args = (error.problem,)
        raise
