"""The one form in which a wrong field is said: where it stands, the rule, what would work."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from itda.errors import InputError

Value = TypeVar("Value")
Item = TypeVar("Item", bound=Hashable)

_SHOWN_LENGTH = 80
_SHOWN_PROBLEMS = 5
_SHOWN_STEPS = 6

_SINGULAR = {
    "entities": "entity",
    "bonds": "bond",
    "constraints": "constraint",
    "modifications": "modification",
    "templates": "template",
    "seeds": "seed",
    "contacts": "contact",
}

_KEYED = ("entity ", "constraint ")

_FOREIGN_KEYS = {
    "sequences": "`entities` lists the molecules; AlphaFold 3 and Boltz call it `sequences`",
    "modelSeeds": "write `seeds: [1, 2]`",
    "bondedAtomPairs": "write `bonds: [[[A, 1, SG], [B, 2, SG]]]`",
    "covalent_bonds": "write `bonds: [[[A, 1, SG], [B, 2, SG]]]`",
    "userCCD": "write the definitions to a file and name it in `components`",
    "count": "give one id for each copy: `id: [A, B]`",
    "copies": "give one id for each copy: `id: [A, B]`",
    "unpairedMsa": "write the alignment to an A3M file and name it in `msa`",
    "unpairedMsaPath": "write `msa: FILE.a3m`",
    "pairedMsa": "write the alignment to an A3M file and name it in `paired_msa`",
    "pairedMsaPath": "write `paired_msa: FILE.a3m`",
    "ptmType": "write `ccd: SEP`",
    "ptmPosition": "write `position_1based: 5`",
    "modificationType": "write `ccd: 5MC`",
    "basePosition": "write `position_1based: 5`",
    "position": "write `position_1based: 5`; the first residue is 1",
    "ccdCodes": "write `ccd: [ATP]`",
    "cyclic": "close the ring with a bond: `bonds: [[[A, 1, N], [A, 12, C]]]`",
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
            raise field_problem(f"must have fields, not {shown(data)}", _fields_hint(cls, data))
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
        return f"write `{{{needed[0]}: {shown(data).strip(chr(39))}}}`"
    return f"its fields are {', '.join(fields)}" + (
        f", of which {' and '.join(needed)} must be there" if needed else ""
    )


_MESSAGES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "path_type": "must be the path of a file",
    "tuple_type": "must be a list",
}


def _unknown_key(key: object, known: Collection[str]) -> tuple[str, str]:
    problem = f"key {shown(key)} is not known"
    if isinstance(key, str) and key in _FOREIGN_KEYS:
        return problem, _FOREIGN_KEYS[key]
    close = nearest(str(key), known)
    if close:
        return problem, f"did you mean `{close}`?"
    return problem, f"known keys: {', '.join(sorted(known))}"


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
        found[f"{place}: {problem}" if place else problem] = None
        if hint:
            hints_found[hint] = None
    lines, hints = list(found), list(hints_found)
    start = f"{where}: " if where else ""
    if len(lines) == 1:
        return InputError(start + lines[0], hint="; ".join(hints))
    left_out = len(lines) - _SHOWN_PROBLEMS
    listed = [f"\n  - {line}" for line in lines[:_SHOWN_PROBLEMS]]
    if left_out > 0:
        listed.append(f"\n  - and {left_out} more")
    return InputError(
        f"{start}{len(lines)} fields are wrong{''.join(listed)}",
        hint="; ".join(hints[:_SHOWN_PROBLEMS]),
    )


def _items_failed(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic left out its items that are wrong."""
    place = detail["loc"]
    return any(len(o["loc"]) > len(place) and o["loc"][: len(place)] == place for o in details)


def _place(location: tuple[int | str, ...]) -> str:
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and parts and parts[-1] in _SINGULAR:
            parts[-1] = f"{_SINGULAR[parts[-1]]} {step + 1}"
        elif isinstance(step, int):
            parts.append(f"item {step + 1}")
        elif parts and parts[-1].startswith(_KEYED) and not parts[-1].endswith(")"):
            parts[-1] += f" ({step})"
        elif "[" not in step:
            parts.append(step)
    if len(parts) > _SHOWN_STEPS:
        parts[_SHOWN_STEPS:] = ["…"]
    return ", ".join(parts)


def _sentence(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "itda":
        return str(context["problem"]), str(context["hint"])
    if kind == "missing":
        return "is missing", f"add `{detail['loc'][-1]}`"
    found = detail["input"]
    if kind in ("string_type", "path_type") and isinstance(found, bool | float):
        written = str(found).lower()
        return f"{_MESSAGES[kind]}, not {written}", "put it in quotes"
    if kind == "too_short":
        return f"must have at least {context['min_length']}", ""
    if kind in _MESSAGES:
        hint = (
            "write it in square brackets, or begin each of its lines with `-`"
            if kind == "tuple_type"
            else ""
        )
        return f"{_MESSAGES[kind]}, not {shown(found)}", hint
    message = detail["msg"].replace("Input should be", "must be", 1)
    return f"{message[0].lower()}{message[1:]}, not {shown(found)}", ""
