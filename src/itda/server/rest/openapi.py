"""The OpenAPI document: what the routes say, and the parts that are read by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from itda.version import itda_version
from itda.wire import FieldProblem, PlanRequest, Problem, Submission

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/api/v1"
_REFERENCE = "#/components/schemas/{model}"

DESCRIPTION = """\
Submit sequences and jobs, follow them, and fetch structures and confidences.

- **Who asks**: `Authorization: Bearer itda_…`. Tokens are made on the page of the account, with
  `itda accounts token create`, or with `POST /tokens`.
- **Errors** are `application/problem+json`: `detail` says what was found, `hint` what would work.
- **Lists** come in pages; `next` and the `Link` header lead on.
- **What does not change** is not sent again: send the `ETag` back as `If-None-Match`.
- **Times** are ISO 8601 in UTC; sizes are bytes, lengths of time seconds.
"""

TAGS = [
    {"name": "jobs", "description": "Submit, plan, follow and end jobs."},
    {"name": "results", "description": "Structures, confidences and files."},
    {"name": "server", "description": "What the server has."},
    {"name": "account", "description": "Who asks, tokens, projects, and what was used."},
    {"name": "administration", "description": "For administrators of the server."},
]


def install(app: FastAPI) -> None:
    """Make the document of an application when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _made(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=itda_version(),
        summary=app.summary,
        description=DESCRIPTION,
        routes=[route for route in app.routes if getattr(route, "path", PREFIX).startswith(PREFIX)],
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    found["paths"] = {
        path: item for path, item in found["paths"].items() if path.startswith(PREFIX)
    }
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, FieldProblem, Submission, PlanRequest):
        schema = model.model_json_schema(ref_template=_REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return found
