"""A message: an English template with named fields, which each face says in its own language.

A message is text, in English and in the words of the command line, and goes wherever text goes. It
keeps what it was made of, so that a face can say it anew: `message.said(PYTHON, "ko")`. What a
template may hold:

    {name} {name!r} {count:,}     a field, formatted as `str.format` does
    {names:,} {names:;} {names:or}
                                  a list: with commas, with semicolons, "a, b or c"; `and`; `lines`
    {--msa} {--msa:none}          an option, alone or with a value, as the face has it
    {--model!c:{name}}            one that stands out as code, whose value is a field
    {$ (`itda models`)}           what is said only where there is a command line

A field may be a message of its own, an `Option`, or a list of them.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from string import Formatter
from typing import Any, Self

from itda.language.catalogue import SOURCE, translations
from itda.language.faces import COMMAND_LINE, Face

_PARSE = Formatter().parse
_JOINTS = (",", ";", "and", "or", "lines")
_LAST = {"and": "{first} and {last}", "or": "{first} or {last}"}


class Option(str):
    """An option or field at which a message points.

    Args:
        name: As the command line has it, without its dashes.
        value: What it is to be; empty where the option itself is meant.
        code: Whether it stands out from the text around it.
    """

    name: str
    value: str
    code: bool

    def __new__(cls, name: str, value: str = "", *, code: bool = False) -> Self:
        """Make one, whose text is that of the command line."""
        self = super().__new__(cls, COMMAND_LINE.option(name, value, code=code))
        self.name, self.value, self.code = name, value, code
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _option, (self.name, self.value, self.code)


class Message(str):
    """What is said to a person.

    Args:
        template: English text with named fields, a literal so that it can be found and translated.
        fields: What stands in its place.

    >>> message = Message("leave {--recycles} out, or choose {--model!c:{family}}", family="mini")
    >>> str(message)
    'leave --recycles out, or choose `--model mini`'
    """

    template: str
    plural: str
    fields: Mapping[str, Any]

    def __new__(cls, template: str, /, **fields: object) -> Self:
        """Make one, whose text is English for the command line."""
        return cls._of(template, "", _kept(template, fields))

    @classmethod
    def _of(
        cls,
        template: str,
        plural: str,
        fields: Mapping[str, Any],
        face: Face = COMMAND_LINE,
        language: str = SOURCE,
    ) -> Self:
        self = super().__new__(cls, _text(template, plural, fields, face, language))
        self.template, self.plural, self.fields = template, plural, fields
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return from_data, (self.to_data(),)

    def said(self, face: Face = COMMAND_LINE, language: str = SOURCE) -> Message:
        """Return this message in the words of a face, in a language that there is."""
        return self._of(self.template, self.plural, self.fields, face, language)

    def options(self) -> tuple[Option, ...]:
        """Return the options at which it points, those of the messages in it included."""
        found: list[Option] = []
        for _, name, spec, _ in _PARSE(self.template):
            if name is not None and name.startswith("--"):
                value = _fill(spec or "", self.fields, COMMAND_LINE, SOURCE)
                found.append(Option(name[2:], value))
            elif name is not None:
                found += _options(self.fields.get(name))
        return tuple(found)

    def mapped(self, change: Callable[[str], str]) -> Message:
        """Return the same message with each text among its fields changed."""
        fields = {name: _mapped(value, change) for name, value in self.fields.items()}
        return self._of(self.template, self.plural, fields)

    def to_data(self) -> dict[str, Any]:
        """Return what it is made of, as JSON holds it; `from_data` reads it."""
        data: dict[str, Any] = {"template": self.template}
        if self.plural:
            data["plural"] = self.plural
        if self.fields:
            data["fields"] = {name: _to_data(value) for name, value in self.fields.items()}
        return data


def counted(singular: str, plural: str, count: int, /, **fields: object) -> Message:
    """Return a message whose wording depends on a count, which is its field `count`."""
    return Message._of(singular, plural, {"count": int(count), **_kept(plural, fields)})


def joined(parts: Iterable[str], joint: str = ",") -> Message:
    """Return parts as one message: with commas, or as `joint` says (`;`, `or`, `and`, `lines`)."""
    parts = list(parts)
    if len(parts) == 1 and isinstance(parts[0], Message):
        return parts[0]
    return Message(f"{{parts:{joint}}}", parts=parts)


def said(text: str, face: Face = COMMAND_LINE, language: str = SOURCE) -> str:
    """Return a text as a face says it in a language; what is no message stays as it is."""
    return text.said(face, language) if isinstance(text, Message) else text


def from_data(data: object) -> Message:
    """Return the message that `Message.to_data` wrote.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(data, Mapping):
        raise ValueError("no message")
    template, plural = data.get("template"), data.get("plural", "")
    fields = data.get("fields", {})
    if not isinstance(template, str) or not isinstance(plural, str) or not isinstance(fields, dict):
        raise ValueError("no message")
    try:
        read = {name: _from_data(value) for name, value in fields.items()}
        return Message._of(template, plural, read)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("no message") from error


def mark(template: str) -> str:
    """Return a template as it is; its presence tells the extraction to translate it."""
    return template


class _Quoted(str):
    """How a value is written in code, kept for what itself is not."""

    def __repr__(self) -> str:
        return str(self)


def _kept(template: str, fields: Mapping[str, object]) -> dict[str, Any]:
    """Return fields as they are kept: text, numbers, options, messages, lists to be joined."""
    specs = {name: spec or "" for _, name, spec, _ in _PARSE(template) if name}
    lists = {name for name, spec in specs.items() if spec in _JOINTS}
    return {
        name: tuple(map(_plain, value))
        if name in lists and isinstance(value, Iterable) and not isinstance(value, str)
        else _plain(value, specs.get(name, ""))
        for name, value in fields.items()
    }


def _plain(value: object, spec: str = "") -> Any:
    if isinstance(value, Message | Option | _Quoted | bool) or value is None:
        return value
    if isinstance(value, str):  # perhaps numpy's, which says so in its `repr`
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, list | tuple | set | frozenset | Mapping | bytes):
        return _Quoted(value)
    return format(value, spec)  # such as a date, which JSON has not


def _text(template: str, plural: str, fields: Mapping[str, Any], face: Face, language: str) -> str:
    english = template if not plural or fields["count"] == 1 else plural
    translated = translations(language).get(template) if language != SOURCE else None
    if translated is None:
        return _fill(english, fields, face, language)
    form = translated if isinstance(translated, str) else translated[-1]
    if not isinstance(translated, str) and fields["count"] == 1:
        form = translated[0]
    return _fill(form, fields, face, language)


def _fill(template: str, fields: Mapping[str, Any], face: Face, language: str) -> str:
    parts: list[str] = []
    for literal, name, spec, conversion in _PARSE(template):
        parts.append(literal)
        if name is None:
            continue
        if name.startswith("$"):
            parts.append(name[1:] if face.commands else "")
            continue
        spec = _fill(spec, fields, face, language) if spec and "{" in spec else spec or ""
        if name.startswith("--"):
            parts.append(face.option(name[2:], spec, code=conversion == "c"))
        else:
            parts.append(_shown(fields[name], conversion, spec, face, language))
    return "".join(parts)


def _shown(value: object, conversion: str | None, spec: str, face: Face, language: str) -> str:
    if isinstance(value, tuple | list):
        return _list(
            [_shown(item, conversion, "", face, language) for item in value], spec, language
        )
    if isinstance(value, Message):
        value = str(value.said(face, language))
    elif isinstance(value, Option):
        value = face.option(value.name, value.value, code=value.code)
    if conversion == "r":
        value = repr(value)
    try:
        return format(value, spec)
    except ValueError:  # a number that came back as text
        return str(value)


def _list(items: list[str], joint: str, language: str) -> str:
    if joint in _LAST and len(items) > 1:
        shape = translations(language).get(_LAST[joint], _LAST[joint])
        return str(shape).format(first=", ".join(items[:-1]), last=items[-1])
    if joint == "lines":
        return "".join(f"\n  - {item}" for item in items)
    between = str(translations(language).get("; ", "; ")) if joint == ";" else ", "
    return between.join(items)


def _options(value: object) -> list[Option]:
    if isinstance(value, Option):
        return [value]
    if isinstance(value, Message):
        return list(value.options())
    return [one for item in value for one in _options(item)] if isinstance(value, tuple) else []


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Message):
        return value.mapped(change)
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    return change(value) if isinstance(value, str) and not isinstance(value, Option) else value


def _option(name: str, value: str, code: bool) -> Option:
    return Option(name, value, code=code)


def _to_data(value: object) -> Any:
    if isinstance(value, Message):
        return value.to_data()
    if isinstance(value, _Quoted):
        return {"written": str(value)}
    if isinstance(value, Option):
        return {"option": value.name, "value": value.value, "code": value.code}
    return [_to_data(item) for item in value] if isinstance(value, tuple) else value


def _from_data(value: Any) -> Any:
    if isinstance(value, dict) and "option" in value:
        return Option(value["option"], value["value"], code=value["code"])
    if isinstance(value, dict) and "written" in value:
        return _Quoted(value["written"])
    if isinstance(value, dict):
        return from_data(value)
    return tuple(_from_data(item) for item in value) if isinstance(value, list) else value
