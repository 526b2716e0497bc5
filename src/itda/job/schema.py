"""The JSON Schema of job files, for editors and for programs that write jobs."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from itda.job.model import DIALECT, VERSION, Job


def json_schema() -> dict[str, Any]:
    """The schema of one job, or of a list of jobs, as YAML and JSON files hold them.

    It says what a field may hold; rules between fields (chains that exist, positions inside the
    sequence) are checked when the job is read.
    """
    job = Job.model_json_schema(schema_generator=_WithoutTitles)
    definitions = job.pop("$defs")
    job["required"] = ["version", *job["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{DIALECT} job, version {VERSION}",
        "oneOf": [
            {"$ref": "#/$defs/Job"},
            {"type": "array", "items": {"$ref": "#/$defs/Job"}, "minItems": 1},
        ],
        "$defs": {"Job": job, **definitions},
    }


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes from field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_text() -> str:
    """The schema as `docs/job.schema.json` holds it: `python -m itda.job.schema` prints it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
