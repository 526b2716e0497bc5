"""The one form in which a wrong field is said: where it stands, the rule, what would work."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from itda.errors import InputError
from itda.language import Message, joined, mark

Value = TypeVar("Value")
Item = TypeVar("Item", bound=Hashable)

_SHOWN_LENGTH = 80
_SHOWN_PROBLEMS = 5
_SHOWN_STEPS = 6

_SINGULAR = {
    "entities": mark("entity {number}"),
    "bonds": mark("bond {number}"),
    "constraints": mark("constraint {number}"),
    "modifications": mark("modification {number}"),
    "templates": mark("template {number}"),
    "seeds": mark("seed {number}"),
    "contacts": mark("contact {number}"),
}

_KEYED = ("entity ", "constraint ")

_PAIRED = Message(
    "rows of `paired_msa: FILE.a3m` pair by position; leave it out to have those of `msa` paired "
    "by species, as AlphaFold 3 pairs these"
)

_FOREIGN_KEYS = {
    "sequences": Message(
        "`entities` lists the molecules; AlphaFold 3 and Boltz call it `sequences`"
    ),
    "modelSeeds": Message("write `seeds: [1, 2]`"),
    "bondedAtomPairs": Message("write `bonds: [[[A, 1, SG], [B, 2, SG]]]`"),
    "covalent_bonds": Message("write `bonds: [[[A, 1, SG], [B, 2, SG]]]`"),
    "userCCD": Message("write the definitions to a file and name it in `components`"),
    "count": Message("give one id for each copy: `id: [A, B]`"),
    "copies": Message("give one id for each copy: `id: [A, B]`"),
    "unpairedMsa": Message(
        "write it in `msa`, as text or as the path of a file; none is `msa: none`"
    ),
    "unpairedMsaPath": Message("write `msa: FILE.a3m`"),
    "pairedMsa": _PAIRED,
    "pairedMsaPath": _PAIRED,
    "ptmType": Message("write `ccd: SEP`"),
    "ptmPosition": Message("write `position_1based: 5`"),
    "modificationType": Message("write `ccd: 5MC`"),
    "basePosition": Message("write `position_1based: 5`"),
    "position": Message("write `position_1based: 5`; the first residue is 1"),
    "ccdCodes": Message("write `ccd: [ATP]`"),
    "cyclic": Message("close the ring with a bond: `bonds: [[[A, 1, N], [A, 12, C]]]`"),
}


def shown(value: object) -> str:
    """A value as it stands in a message: printable, cut where it is long, text in quotes."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(map(_printable, text[: _SHOWN_LENGTH + 1]))
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[:_SHOWN_LENGTH]}…"
    return f"'{text}'" if isinstance(value, str) else text


def shown_path(path: Path) -> str:
    """A path as it stands in a message: printable, in quotes, whole: its end tells most."""
    return f"'{''.join(map(_printable, str(path)))}'"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    # Bytes that are not UTF-8 are read as the code points U+DC80 to U+DCFF.
    code = ord(character)
    return f"\\x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02x}"


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that is closest to one that is not known, if any is close."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def first_repeated(items: Iterable[Item]) -> Item | None:
    """The first item that was there before, if any.

    >>> first_repeated(["A", "B", "A"])
    'A'
    """
    seen: set[Item] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def field_problem(problem: str, hint: str = "") -> PydanticCustomError:
    """An error for a pydantic validator that keeps its hint until `explain` reads it."""
    return PydanticCustomError("itda", "{problem}", {"problem": problem, "hint": hint})


def rule(check: Callable[[Value], Value]) -> AfterValidator:
    """A pydantic validator from a function that raises `InputError`."""

    def validate(value: Value) -> Value:
        try:
            return check(value)
        except InputError as error:
            raise field_problem(error.problem, error.hint) from error

    return AfterValidator(validate)


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and suggests the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise field_problem(
                Message("must have fields, not {data}", data=shown(data)), _fields_hint(cls, data)
            )
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data:
            if key not in known:
                offered = [name for name in known if name not in ("molecule", "kind")]
                raise field_problem(*_unknown_key(key, offered))
        return data

    def replace(self, **changes: Any) -> Self:
        """A checked copy in which some fields, named as in a job file, are changed.

        Raises:
            InputError: The changed copy breaks a rule.
        """
        fields = {
            field.alias or name: getattr(self, name)
            for name, field in type(self).model_fields.items()
        }
        try:
            return type(self).model_validate({**fields, **changes})
        except ValidationError as error:
            raise explain(error) from error


def _fields_hint(model: type[BaseModel], data: object) -> str:
    """Say how a value that should have fields is written."""
    fields = {
        field.alias or name: field.is_required()
        for name, field in model.model_fields.items()
        if name not in ("molecule", "kind")
    }
    needed = [name for name, required in fields.items() if required]
    if len(needed) == 1 and isinstance(data, str | int) and not isinstance(data, bool):
        return Message(
            "write `{{{needed}: {chr}}}`", needed=needed[0], chr=shown(data).strip(chr(39))
        )
    return Message(
        "its fields are {fields:,}{what}",
        fields=fields,
        what=Message(", of which {needed:and} must be there", needed=needed) if needed else "",
    )


_MESSAGES = {
    "int_type": Message("must be a whole number"),
    "float_type": Message("must be a number"),
    "string_type": Message("must be text"),
    "path_type": Message("must be the path of a file"),
    "tuple_type": Message("must be a list"),
}


def _unknown_key(key: object, known: Collection[str]) -> tuple[str, str]:
    problem = Message("key {key} is not known", key=shown(key))
    if isinstance(key, str) and key in _FOREIGN_KEYS:
        return problem, _FOREIGN_KEYS[key]
    close = nearest(str(key), known)
    if close:
        return problem, Message("did you mean `{close}`?", close=close)
    return problem, Message("known keys: {known:,}", known=sorted(known))


def placed(where: str, problem: str) -> str:
    """A problem after the place where it is; as it is where that says nothing."""
    return Message("{where}: {problem}", where=where, problem=problem) if where else problem


def explain(error: ValidationError, where: str = "") -> InputError:
    """Turn pydantic's error into one that names each field, its rule and what would work.

    Args:
        error: What validation raised.
        where: What stands before the first field, such as "job 'x'".
    """
    found: dict[str, None] = {}
    hints_found: dict[str, None] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and _items_failed(detail, details):
            continue
        place = _place(detail["loc"])
        problem, hint = _sentence(detail)
        found[placed(place, problem)] = None
        if hint:
            hints_found[hint] = None
    lines, hints = list(found), list(hints_found)
    field = ".".join(str(step) for step in details[0]["loc"])
    if len(lines) == 1:
        told = lines[0]
    else:
        listed = lines[:_SHOWN_PROBLEMS]
        if (left_out := len(lines) - _SHOWN_PROBLEMS) > 0:
            listed.append(Message("and {left_out} more", left_out=left_out))
        told = Message("{count} fields are wrong{lines:lines}", count=len(lines), lines=listed)
    return InputError(placed(where, told), hint=hints[:_SHOWN_PROBLEMS], field=field)


def _items_failed(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic left out its items that are wrong."""
    place = detail["loc"]
    return any(len(o["loc"]) > len(place) and o["loc"][: len(place)] == place for o in details)


def _place(location: tuple[int | str, ...]) -> str:
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and parts and parts[-1] in _SINGULAR:
            parts[-1] = Message(_SINGULAR[parts[-1]], number=step + 1)
        elif isinstance(step, int):
            parts.append(Message("item {step}", step=step + 1))
        elif parts and parts[-1].startswith(_KEYED) and not parts[-1].endswith(")"):
            parts[-1] = Message("{place} ({step})", place=parts[-1], step=step)
        elif "[" not in step:
            parts.append(step)
    if len(parts) > _SHOWN_STEPS:
        parts[_SHOWN_STEPS:] = ["…"]
    return joined(parts)


def _sentence(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "itda":
        return context["problem"], context["hint"]
    if kind == "missing":
        return Message("is missing"), Message("add `{detail}`", detail=detail["loc"][-1])
    found = detail["input"]
    if kind in ("string_type", "path_type") and isinstance(found, bool | float):
        written = str(found).lower()
        return Message(
            "{messages}, not {written}", messages=_MESSAGES[kind], written=written
        ), Message("put it in quotes")
    if kind == "too_short":
        return Message("must have at least {context}", context=context["min_length"]), ""
    if kind in _MESSAGES:
        hint = (
            Message("write it in square brackets, or begin each of its lines with `-`")
            if kind == "tuple_type"
            else ""
        )
        return Message(
            "{messages}, not {found}", messages=_MESSAGES[kind], found=shown(found)
        ), hint
    message = detail["msg"].replace("Input should be", "must be", 1)
    return Message(
        "{message}{message_2}, not {found}",
        message=message[0].lower(),
        message_2=message[1:],
        found=shown(found),
    ), ""
