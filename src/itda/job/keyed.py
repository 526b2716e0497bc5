"""Unions that a job file writes as one key and a body, such as `protein: {…}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Discriminator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from itda.job.problems import Strict, field_problem, nearest, shown
from itda.language import Message


@dataclass(frozen=True)
class Keyed:
    """Marks a union of models whose members a job file names by a key.

    Args:
        field: The field that tells the members apart.
        kinds: Its values, in the order of the union.
    """

    field: str
    kinds: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let pydantic choose the member by the key that the file has."""
        union = Discriminator(self.field).__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(self._flatten, union)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the form that the file has, not the one in memory."""
        members = handler(schema)["oneOf"]
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {kind: member},
                    "required": [kind],
                    "additionalProperties": False,
                }
                for kind, member in zip(self.kinds, members, strict=True)
            ]
        }

    def _flatten(self, value: Any) -> Any:
        if isinstance(value, Strict):
            return value
        example = Message(
            "`- {kinds}:` with its fields below it, further to the right", kinds=self.kinds[0]
        )
        if not isinstance(value, Mapping) or not value:
            raise field_problem(
                Message("must be one of {kinds:,}", kinds=self.kinds),
                Message("write {example}", example=example),
            )
        if len(value) > 1:
            raise field_problem(
                Message(
                    "has {count} keys ({shown:,}) where one belongs",
                    count=len(value),
                    shown=map(shown, value),
                ),
                Message("write {example}", example=example),
            )
        ((kind, body),) = value.items()
        if kind not in self.kinds:
            close = nearest(str(kind), self.kinds)
            raise field_problem(
                Message("{kind} is not one of {kinds:,}", kind=shown(kind), kinds=self.kinds),
                Message("did you mean `{close}`?", close=close)
                if close
                else Message("write {example}", example=example),
            )
        if not isinstance(body, Mapping):
            raise field_problem(
                Message("{kind} must have fields, not {body}", kind=kind, body=shown(body)),
                Message("write {example}", example=example),
            )
        if self.field in body:
            raise field_problem(
                Message("key {field} is not known", field=shown(self.field)), Message("remove it")
            )
        return {**body, self.field: kind}
