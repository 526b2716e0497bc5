"""Who looks at a page: a browser that is signed in, and what it sends in forms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from itda.language import Message
from itda.server.errors import ForbiddenError
from itda.server.pages.view import View, view_of
from itda.server.security.forms import read_form
from itda.server.security.identity import Identity, identity, optional_identity
from itda.server.understand import Upload

if TYPE_CHECKING:
    from itda.server.services import Services


@dataclass(frozen=True)
class Visitor:
    """A user in a browser.

    Attributes:
        who: Who, and what that user may do.
        view: How to answer.
        services: What the server has.
    """

    who: Identity
    view: View
    services: Services

    @property
    def origin(self) -> str:
        """How browsers reach the server, without a slash at the end."""
        public = self.services.settings.public_url
        return (public or str(self.view.request.base_url)).rstrip("/")


@dataclass(frozen=True)
class Sent:
    """What a form brought.

    Attributes:
        fields: Its texts.
        files: Its files.
        files_of: Its files by the field that they were chosen in.
    """

    fields: Mapping[str, str]
    files: tuple[Upload, ...] = ()
    files_of: Mapping[str, tuple[Upload, ...]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """Return a field without outer blanks."""
        return self.fields.get(name, default).strip()


async def visitor(request: Request, who: Annotated[Identity, Depends(identity)]) -> Visitor:
    """Return who looks.

    Raises:
        UnauthenticatedError: Nobody is signed in.
        ForbiddenError: A token asks for a page.
    """
    if who.session is None:
        raise ForbiddenError(
            Message("the pages are for browsers"), hint=Message("tokens are for /api/v1")
        )
    return Visitor(who, view_of(request, who), request.app.state.services)


async def administrator(found: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Return an administrator who looks.

    Raises:
        ForbiddenError: The user is none.
    """
    found.who.check_admin()
    return found


async def passer_by(request: Request) -> View:
    """Return how to answer somebody who need not be signed in."""
    return view_of(request, await optional_identity(request))


async def sent(request: Request) -> Sent:
    """Return what a form brought."""
    form = await read_form(request)
    fields: dict[str, str] = {}
    files: dict[str, list[Upload]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields[name] = value
        elif isinstance(value, UploadFile) and value.filename:
            files.setdefault(name, []).append(Upload(value.filename, await value.read()))
    by_field = {name: tuple(some) for name, some in files.items()}
    return Sent(fields, tuple(itertools.chain.from_iterable(by_field.values())), by_field)


def go_to(address: str) -> Response:
    """Send the browser to another page, which it gets with GET."""
    return RedirectResponse(address, status_code=303)


AVisitor = Annotated[Visitor, Depends(visitor)]
AnAdministrator = Annotated[Visitor, Depends(administrator)]
APasserBy = Annotated[View, Depends(passer_by)]
WhatWasSent = Annotated[Sent, Depends(sent)]
