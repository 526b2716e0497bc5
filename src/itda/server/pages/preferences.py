"""Language and colours, for everyone who looks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from itda.language import LANGUAGES
from itda.server.pages.view import LANGUAGE_COOKIE, THEME_COOKIE, THEMES
from itda.server.pages.visitors import APasserBy, WhatWasSent, go_to
from itda.server.security.cookies import is_https
from itda.server.security.origin import own_path, refuse_other_origin

YEAR_SECONDS = 365 * 86400

router = APIRouter()


@router.post("/preferences")
async def preferences(request: Request, view: APasserBy, form: WhatWasSent) -> Response:
    """Remember a language or colours: in a cookie, and a language also for the user."""
    refuse_other_origin(request)
    answer = go_to(own_path(form.text("next")))
    language, theme = form.text("language"), form.text("theme")
    if language in LANGUAGES:
        _remember(request, answer, LANGUAGE_COOKIE, language)
        if view.identity is not None and view.identity.session is not None:
            users = request.app.state.services.accounts.users
            await run_in_threadpool(users.set_language, view.identity.user.id, language)
    if theme in THEMES:
        _remember(request, answer, THEME_COOKIE, theme)
    return answer


def _remember(request: Request, answer: Response, name: str, value: str) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=YEAR_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request.app),
    )
