"""What a face calls an option at which a message points: command line, Python, or a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Face:
    """How a face calls what the command line calls an option.

    Attributes:
        alone: Shape of an option without a value, with `{name}`.
        valued: Shape of one with a value, with `{name}` and `{value}`.
        code: Shape of one that stands in a text as code, with `{option}`.
        names: What this face calls an option by another name.
        instead: What is said in place of an option that this face has not.
        commands: Whether its users have the commands of a terminal at hand.
        dashes: Whether words of a name are joined by `-`, rather than by `_`.
    """

    alone: str
    valued: str
    code: str = "{option}"
    names: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    commands: bool = True
    dashes: bool = False

    def option(self, name: str, value: str = "", *, code: bool = False) -> str:
        """Return an option as this face has it.

        Args:
            name: As on the command line, without its dashes.
            value: What it is to be; empty where the option itself is meant.
            code: Whether it stands out from the text around it.
        """
        if name in self.instead:
            return self.instead[name]
        called = self.names.get(name, name if self.dashes else name.replace("-", "_"))
        said = (self.valued if value else self.alone).format(name=called, value=value)
        return self.code.format(option=said) if code else said


COMMAND_LINE = Face(alone="--{name}", valued="--{name} {value}", code="`{option}`", dashes=True)
"""Options of `itda`."""


class _Python(Face):
    def option(self, name: str, value: str = "", *, code: bool = False) -> str:
        if value and not value.replace(".", "", 1).isdigit():
            value = value if value[0] in "'\"" else f'"{value}"'
        return super().option(name, value, code=code)


PYTHON = _Python(
    alone="{name}",
    valued="{name}={value}",
    names={"parameter": "parameters"},
    instead={"cache": "cache=False", "at-once": "less at once"},
)
"""Arguments of `itda.fold`."""

REQUEST = Face(
    alone="{name}",
    valued="{name} {value}",
    names={"model": "family", "db": "databases", "parameter": "parameters"},
    commands=False,
)
"""Fields of a request."""
