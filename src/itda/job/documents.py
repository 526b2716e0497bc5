"""YAML and JSON files: one job or a list of them, duplicate keys and anchors refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from itda.errors import InputError
from itda.job.problems import first_repeated, shown
from itda.language import Message


@dataclass(frozen=True)
class Document:
    """One job as the file holds it.

    Attributes:
        index: Place in the file, counted from 1.
        line: Line where it begins, counted from 1.
        name: Its name as far as it can be told; "" where it cannot.
        data: What it holds, or the error where it cannot be read by itself.
    """

    index: int
    line: int
    name: str
    data: Any | InputError


def yaml_documents(text: str) -> Iterator[Document]:
    """Read YAML: a job, a list of jobs, or several documents of these.

    Only `null`, `true`, `false`, decimal numbers and text are known, as in YAML 1.2: the CCD codes
    NO and 004 and the name 12:30 stay text.

    Raises:
        InputError: The file as a whole is not such YAML, or has anchors, aliases or tags.
    """
    try:
        loader = _Loader(text)
        nodes = list(_job_nodes(loader))
        for index, node in enumerate(nodes, 1):
            line = node.start_mark.line + 1
            yield Document(index, line, _name_of(node), _construct(loader, node))
    except yaml.MarkedYAMLError as error:
        raise _yaml_problem(error) from error
    except yaml.YAMLError as error:
        raise InputError(
            Message("is not YAML: {error}", error=error), hint=Message("save it as UTF-8 text")
        ) from error
    except RecursionError as error:
        raise InputError(
            Message("is nested too deeply"), hint=Message("a job has few levels")
        ) from error


def json_documents(text: str) -> Iterator[Document]:
    """Read JSON: a job or a list of jobs.

    Raises:
        InputError: The file as a whole is not JSON.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
    lines = _LineCounter(text)
    try:
        for index, (start, value) in enumerate(_json_values(decoder, text), 1):
            repeated = _repeated_key(value)
            data = value if repeated is None else _twice(repeated)
            name = value.get("name") if isinstance(value, dict) else None
            known = str(name) if isinstance(name, str | int) else ""
            yield Document(index, lines.at(start), known, data)
    except json.JSONDecodeError as error:
        raise InputError(
            Message(
                "is not JSON: {msg} at line {lineno}, column {colno}",
                msg=error.msg,
                lineno=error.lineno,
                colno=error.colno,
            ),
            hint=Message("several jobs stand in one list: [{{…}}, {{…}}]"),
        ) from error
    except RecursionError as error:
        raise InputError(
            Message("is nested too deeply"), hint=Message("a job has few levels")
        ) from error
    except ValueError as error:
        raise InputError(
            Message("is not JSON: {error}", error=error), hint=Message("write a finite number")
        ) from error


class _Loader(yaml.SafeLoader):
    """YAML without anchors, tags and repeated keys, and with few kinds of plain value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(
                None, None, f"anchor or alias {shown(event.anchor)} is not allowed", mark
            )
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise yaml.composer.ComposerError(None, None, f"tag {shown(tag)} is not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(
                    Message("line {line}: a key must be text", line=line),
                    hint=Message("write `key: value`"),
                )
            if key.value in seen:
                raise _twice(key.value, line)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?[0-9]*\.[0-9]+([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _job_nodes(loader: _Loader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        elif node is not None and not (isinstance(node, yaml.ScalarNode) and not node.value):
            yield node


def _name_of(node: yaml.Node) -> str:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    for key, value in pairs:
        if key.value == "name" and isinstance(value, yaml.ScalarNode):
            return str(value.value)
    return ""


def _construct(loader: _Loader, node: yaml.Node) -> Any | InputError:
    try:
        return loader.construct_document(node)
    except InputError as error:
        return error
    except ValueError as error:
        return InputError(Message("holds a value that cannot be read: {error}", error=error))


def _yaml_problem(error: yaml.MarkedYAMLError) -> InputError:
    mark = error.problem_mark
    place = (
        Message(" at line {line}, column {column}", line=mark.line + 1, column=mark.column + 1)
        if mark
        else ""
    )
    hint = Message("indent with spaces; put text with special characters in quotes")
    if "not allowed" in str(error.problem):
        hint = Message("write each value out where it belongs")
    return InputError(
        Message("is not a YAML job: {problem}{place}", problem=error.problem, place=place),
        hint=hint,
    )


def _twice(key: str, line: int | None = None) -> InputError:
    place = "" if line is None else Message("line {line}: ", line=line)
    return InputError(
        Message("{place}key {key} stands twice", place=place, key=shown(key)),
        hint=Message("give each key once"),
    )


class _Repeated(dict[str, Any]):
    """A JSON object in which a key stands twice."""

    def __init__(self, pairs: list[tuple[str, Any]], key: str) -> None:
        super().__init__(pairs)
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = first_repeated(key for key, _ in pairs)
    return dict(pairs) if repeated is None else _Repeated(pairs, repeated)


def _repeated_key(value: Any) -> str | None:
    if isinstance(value, _Repeated):
        return value.key
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for item in inner if (key := _repeated_key(item)) is not None), None)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


_SPACE = re.compile(r"[ \t\n\r]*")


def _json_values(decoder: json.JSONDecoder, text: str) -> Iterator[tuple[int, Any]]:
    """Each job of the file with the offset where it begins."""
    position = _after_space(text, 0)
    if text[position : position + 1] != "[":
        value, end = decoder.raw_decode(text, position)
        yield position, value
    else:
        position = _after_space(text, position + 1)
        more = text[position : position + 1] != "]"
        while more:
            value, end = decoder.raw_decode(text, position)
            yield position, value
            position = _after_space(text, end)
            more = text[position : position + 1] == ","
            if more:
                position = _after_space(text, position + 1)
        if text[position : position + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
        end = position + 1
    if (rest := _after_space(text, end)) < len(text):
        raise json.JSONDecodeError("Extra data", text, rest)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


class _LineCounter:
    """Line numbers of growing offsets, without counting from the start each time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._line = 1

    def at(self, offset: int) -> int:
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line
