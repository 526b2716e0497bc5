"""Templates: one environment a language, and what every page is given."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel

from itda.errors import ItdaError, describe_error, retold
from itda.language import LANGUAGES, SOURCE, choose_code
from itda.server.pages import statics, words
from itda.server.pages.language import Language, read_languages, zone_of
from itda.version import itda_version

if TYPE_CHECKING:
    from itda.server.security.identity import Identity

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE, THEME_COOKIE, ZONE_COOKIE = "itda_language", "itda_theme", "itda_zone"
THEMES = ("auto", "light", "dark")


@dataclass(frozen=True)
class View:
    """How a request is to be answered.

    Attributes:
        request: The request.
        language: Of the reader, with the reader's time zone.
        theme: Of `THEMES`.
        identity: Who asks; None before sign-in.
    """

    request: Request
    language: Language
    theme: str
    identity: Identity | None = None

    @property
    def is_part(self) -> bool:
        """Whether a part of a page is asked for, which a script puts into it."""
        headers = self.request.headers
        return headers.get("hx-request") == "true" and headers.get("hx-request-type") != "full"

    @property
    def address(self) -> str:
        """The path of the page with its query, to come back to."""
        url = self.request.url
        if self.request.method != "GET":
            return "/"
        return f"{url.path}?{url.query}" if url.query else url.path

    def text(self, message: str) -> str:
        """Return a message in the reader's language."""
        return self.language.gettext(message)

    def render(self, template: str, /, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page made of a template."""
        html = (
            _environments()[self.language.code]
            .get_template(template)
            .render(
                view=self,
                lang=self.language,
                request=self.request,
                identity=self.identity,
                csrf_token=csrf_token(self.identity),
                **context,
            )
        )
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": self.language.code,
            "Vary": "Cookie, Accept-Language, HX-Request",
        }
        return HTMLResponse(html, status_code=status, headers=headers)


def view_of(request: Request, identity: Identity | None = None) -> View:
    """Return how a request is to be answered: the user's wish, the cookie's, or the browser's."""
    cookies = request.cookies
    setting = identity.user.language if identity is not None else None
    code = choose_code(
        setting,
        cookies.get(LANGUAGE_COOKIE),
        accepted=request.headers.get("accept-language", ""),
    )
    zone = zone_of(unquote(cookies.get(ZONE_COOKIE, "")))
    theme = cookies.get(THEME_COOKIE, "")
    return View(
        request=request,
        language=dataclasses.replace(_languages()[code], zone=zone),
        theme=theme if theme in THEMES else "auto",
        identity=identity,
    )


def csrf_token(identity: Identity | None) -> str:
    """Return what a form must bring back; empty without a session."""
    session = identity.session if identity is not None else None
    return session.csrf_token if session is not None else ""


def csrf_field(token: str) -> Markup:
    """Return the hidden field of a form."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)


@functools.cache
def _languages() -> Mapping[str, Language]:
    return read_languages()


@functools.cache
def _environments() -> Mapping[str, Environment]:
    return {code: make_environment(language) for code, language in _languages().items()}


def _ngettext(language: Language) -> Callable[..., Markup]:
    def ngettext(singular: str, plural: str, count: int, **variables: object) -> Markup:
        text = Markup(language.ngettext(singular, plural, count))
        return text % {"num": language.number(count), **variables}

    return ngettext


@dataclass(frozen=True)
class Told:
    """An error in the words of a page.

    Attributes:
        problem: What was found.
        hint: What would work.
        lang: Code of the language it is in; English where nobody translated it.
    """

    problem: str
    hint: str
    lang: str


def told(error: ItdaError | BaseModel | Mapping[str, Any], language: Language) -> Told:
    """Return an error, or what was written down of one, as a page says it."""
    if isinstance(error, ItdaError):
        error = describe_error(error)
    described = error.model_dump() if isinstance(error, BaseModel) else error
    english = retold(described, words.PAGE)
    face = words.page_face(language.gettext)
    problem, hint = retold(described, face, language.code)
    return Told(problem, hint, language.code if problem != english[0] else SOURCE)


def make_environment(language: Language) -> Environment:
    """Return the templates in a language."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        language.gettext, language.ngettext, newstyle=True
    )
    environment.globals["ngettext"] = _ngettext(language)
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(
        static=statics.address,
        csrf_field=csrf_field,
        languages=LANGUAGES,
        release=itda_version(),
        words=words,
    )
    environment.filters["spoken"] = lambda message: message.said(
        words.page_face(language.gettext), language.code
    )
    environment.filters["told"] = lambda error: told(error, language)
    environment.filters["word"] = lambda value, kind: language.gettext(words.word(kind, value))
    return environment
