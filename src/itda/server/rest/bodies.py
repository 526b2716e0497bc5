"""From the body of a submission, JSON or `multipart/form-data`, to its fields and files."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from itda.errors import InputError
from itda.language import Message
from itda.server.errors import TooLargeError
from itda.server.rest.problems import BodyError, field_problems
from itda.server.understand import Upload
from itda.wire import FieldProblem, PlanRequest, Submission

MULTIPART = "multipart/form-data"
JSON = "application/json"
FILE_FIELDS = ("input", "file", "files")

_MOST_PARTS = 2000
_LISTS = ("databases", "template")
_OBJECTS = ("parameters",)
_NOT_FIELDS = ("csrf_token",)

Body = TypeVar("Body", Submission, PlanRequest)


async def read_body(
    request: Request, kind: type[Body], *, most_bytes: int
) -> tuple[Body, list[Upload]]:
    """Read the body of a submission.

    Args:
        request: Its body is JSON, or a form with files.
        kind: What its fields are.
        most_bytes: Largest field of a form.

    Returns:
        The fields, and the files, which only a form can hold.

    Raises:
        BodyError: A field is wrong.
        InputError: The body is neither.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        return await _read_form(request, kind, most_bytes)
    if media_type != JSON and not media_type.endswith("+json"):
        raise InputError(
            Message("Content-Type: {media_type!r} is not taken here", media_type=media_type[:100]),
            hint=Message("send {json} or {multipart}", json=JSON, multipart=MULTIPART),
        )
    body = await request.body()
    return _checked(lambda: kind.model_validate_json(body, strict=False)), []


async def _read_form(
    request: Request, kind: type[Body], most_bytes: int
) -> tuple[Body, list[Upload]]:
    try:
        form = await request.form(
            max_files=_MOST_PARTS, max_fields=_MOST_PARTS, max_part_size=most_bytes
        )
    except HTTPException as error:
        if "Too many" in str(error.detail) or "exceeded" in str(error.detail):
            raise TooLargeError(
                Message("the form: {detail}", detail=error.detail),
                hint=Message("send fewer or smaller parts"),
            ) from error
        raise InputError(
            Message("the form cannot be read: {detail}", detail=error.detail)
        ) from error
    except (UnicodeError, ValueError) as error:
        raise InputError(
            Message("the form cannot be read"), hint=Message("send its fields as UTF-8")
        ) from error
    fields, files = await _parts(form)
    fields.setdefault("input", "")
    return _checked(lambda: kind.model_validate(fields)), files


async def _parts(form: FormData) -> tuple[dict[str, Any], list[Upload]]:
    fields: dict[str, Any] = {}
    files: list[Upload] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in FILE_FIELDS:
                raise BodyError([FieldProblem(field=name[:100], problem="takes no file")])
            # A browser sends a part without a name where no file was chosen.
            if value.filename or value.size:
                files.append(Upload(value.filename or "", await value.read()))
        elif name in _NOT_FIELDS or (value == "" and name != "input"):
            continue
        elif name in _LISTS:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise BodyError([FieldProblem(field=name[:100], problem="is sent twice")])
        else:
            fields[name] = _object(name, value) if name in _OBJECTS else value
    return fields, files


def _object(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BodyError([FieldProblem(field=name, problem="is no JSON")]) from error


def _checked(make: Any) -> Any:
    try:
        return make()
    except ValidationError as error:
        raise BodyError(field_problems(error.errors(include_url=False))) from error


def form_schema(kind: type[Submission] | type[PlanRequest]) -> dict[str, Any]:
    """Return the schema of the form that stands for a body."""
    properties: dict[str, Any] = {
        "input": {
            "description": "FASTA, YAML or JSON: as a file, or as text.",
            "anyOf": [
                {"type": "string", "contentMediaType": "application/octet-stream"},
                {"type": "string"},
            ],
        },
        "file": {
            "description": "Further inputs, and files that jobs name: alignments, profiles, "
            "templates, components. May be repeated.",
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
    }
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, field in schema["properties"].items():
        properties.setdefault(name, field)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def request_body(kind: type[Submission] | type[PlanRequest]) -> dict[str, Any]:
    """Return what the document says of a body, which is read by hand."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}},
                MULTIPART: {"schema": form_schema(kind)},
            },
        }
    }
