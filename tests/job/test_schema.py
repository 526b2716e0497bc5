from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from itda.job.schema import json_schema, schema_text

from .conftest import DOCUMENTATION, documented_examples

JobDict = Callable[..., dict[str, Any]]

_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)
}  # fmt: skip
_NOTES = {"description", "title", "default", "format", "$defs", "$schema"}


def _matches(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """JSON Schema as far as ours goes; a keyword it does not know fails the test."""

    def number(kind: type | tuple[type, ...]) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool)

    def fits(inner: dict[str, Any]) -> bool:
        return _matches(value, inner, root)

    def properties_fit(properties: dict[str, Any]) -> bool:
        return all(_matches(value[k], s, root) for k, s in properties.items() if k in value)

    rules: dict[str, Callable[[Any], bool]] = {
        "$ref": lambda ref: fits(root["$defs"][ref.rpartition("/")[2]]),
        "oneOf": lambda options: sum(map(fits, options)) == 1,
        "anyOf": lambda options: any(map(fits, options)),
        "const": lambda constant: value == constant and type(value) is type(constant),
        "type": lambda kind: (
            number(int) if kind == "integer"
            else number((int, float)) if kind == "number"
            else isinstance(value, _TYPES[kind])
        ),
        "properties": properties_fit,
        "required": lambda keys: all(key in value for key in keys),
        "additionalProperties": lambda inner: (
            set(value) <= set(schema.get("properties", {})) if inner is False
            else all(_matches(item, inner, root) for item in value.values())
        ),
        "items": lambda inner: all(
            _matches(item, inner, root) for item in value[len(schema.get("prefixItems", ())):]
        ),
        "prefixItems": lambda inner: all(
            _matches(item, each, root) for item, each in zip(value, inner, strict=False)
        ),
        "minItems": lambda count: len(value) >= count,
        "maxItems": lambda count: len(value) <= count,
        "minimum": lambda bound: value >= bound,
        "maximum": lambda bound: value <= bound,
        "exclusiveMinimum": lambda bound: value > bound,
    }  # fmt: skip
    ordered = sorted(schema, key=lambda keyword: keyword != "type")
    return all(keyword in _NOTES or rules[keyword](schema[keyword]) for keyword in ordered)


def _is_valid(value: Any) -> bool:
    schema = json_schema()
    return _matches(value, schema, schema)


def test_the_published_schema_is_current() -> None:
    published = DOCUMENTATION.with_name("job.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run: python -m itda.job.schema > docs/job.schema.json"


def test_every_reference_is_defined() -> None:
    schema = json_schema()
    references = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert references == set(schema["$defs"])
    assert '"#/' not in json.dumps(schema).replace('"#/$defs/', "")


def test_the_schema_speaks_the_language_of_the_file() -> None:
    schema = json_schema()
    assert "molecule" not in json.dumps(schema["$defs"]["Protein"]["properties"])
    assert "kind" not in schema["$defs"]["Contact"]["properties"]
    assert schema["$defs"]["Job"]["required"] == ["version", "name", "entities"]


def test_documented_jobs_are_valid() -> None:
    documents = [
        yaml.safe_load(example.text)
        for example in documented_examples()
        if example.form in ("yaml", "json")
    ]
    assert len(documents) >= 9
    for document in documents:
        assert _is_valid(document), document


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"name": None}, {"entities": []}, {"samplesx": 1}, {"seeds": 1},
        {"samples": 0}, {"seeds": [-1]}, {"entities": [{"protein": {}}]},
        {"entities": [{"protein": {"sequence": "M", "molecule": "protein"}}]},
        {"entities": [{"protein": {"sequence": "M"}, "ion": {"ccd": "MG"}}]},
        {"entities": [{"ion": {"ccd": "MG", "sequence": "M"}}]}, {"bonds": [[["A", 1, "N"]]]},
        {"constraints": [{"contact": {"between": [["A", 1]]}}]},
        {"constraints": [{"distance": {"between": [["A", 1], ["A", 2]]}}]},
    ],
)  # fmt: skip
def test_wrong_jobs_are_not_valid(job_dict: JobDict, change: dict[str, Any]) -> None:
    good = job_dict()
    assert _is_valid(good)
    assert _is_valid([good, copy.deepcopy(good)])
    assert not _is_valid({**good, **change})


def test_the_schema_stands_beside_the_documentation() -> None:
    assert Path(DOCUMENTATION).read_text(encoding="utf-8").count("(job.schema.json)") == 1
