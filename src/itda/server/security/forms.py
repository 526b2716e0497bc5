"""The form of a request, read once for the check of its token and for its route."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from itda.errors import InputError
from itda.language import Message

if TYPE_CHECKING:
    from fastapi.requests import Request
    from starlette.datastructures import FormData

MOST_PARTS = 2000

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def media_type(request: Request) -> str:
    """Return the kind of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request) -> FormData:
    """Return the form of a request; its route can read it and the body again.

    Raises:
        InputError: It is none.
    """
    with contextlib.suppress(RuntimeError):  # it was read already
        await request.body()
    most = request.app.state.services.settings.limits.body_bytes
    try:
        return await request.form(max_files=MOST_PARTS, max_fields=MOST_PARTS, max_part_size=most)
    except (UnicodeError, ValueError) as error:
        raise InputError(
            Message("the form cannot be read"), hint=Message("send its fields as UTF-8")
        ) from error
