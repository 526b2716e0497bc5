"""What a strict content policy forbids stands in no template, and each can be read."""

from __future__ import annotations

import re

import pytest

from itda.language import LANGUAGES
from itda.server.pages.language import Language
from itda.server.pages.view import TEMPLATES, make_environment

NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
FORBIDDEN = {
    "a script in the page": re.compile(r"<script(?![^>]*(\bsrc=|type=\"application/json\"))"),
    "a style in the page": re.compile(r"<style|\sstyle\s*="),
    "a handler in the page": re.compile(r"\son[a-z]+\s*="),
    "another origin": re.compile(r"(src|href|action)=\"(https?:)?//"),
    "an expression for htmx": re.compile(r"hx-on|js:|javascript:|hx-vars"),
    "text that is not escaped": re.compile(r"\|\s*safe|autoescape false"),
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_forbidden(name):
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    found = {what for what, pattern in FORBIDDEN.items() if pattern.search(text)}
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_forms_that_change_something_carry_the_token(name):
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL):
        assert "csrf_field(csrf_token)" in form


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_can_be_read(code):
    environment = make_environment(Language(code))
    assert len(NAMES) > 15
    for name in NAMES:
        environment.get_template(name)


def test_what_is_filled_in_is_escaped():
    environment = make_environment(Language("en"))
    template = environment.from_string(
        '{{ name }}|{{ _("Role of %(name)s", name=name) }}|'
        '{{ ngettext("Chain %(names)s", "Chains %(names)s", 1, names=name) }}|'
        "{{ csrf_field(name) }}"
    )
    told = template.render(name='<img src=x onerror="alert(1)">')
    assert "<img" not in told
    assert told.count("&lt;img") == 4
