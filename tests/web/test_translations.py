"""Every message of templates and code is translated, and a translation fills in the same things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from babel.messages import pofile
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg

from itda.language import LANGUAGES, SOURCE, TRANSLATIONS
from itda.models.registry import FAMILIES, get_family
from itda.server import pages

FOLDER = Path(pages.__file__).parent
OTHERS = [code for code in LANGUAGES if code != SOURCE]
FIELD = re.compile(r"%\(\w+\)s|\{\w+\}")
HANGUL = re.compile("[가-힣]")
SAME_IN_KOREAN = {"CPU", "GPU", "DNA", "RNA", "Å", "{mean} Å"}


@pytest.fixture(scope="module")
def messages() -> Mapping[str, tuple[str, ...]]:
    """Each message by its singular, with all its forms."""
    with (TRANSLATIONS / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(
        FOLDER.parents[1], methods, options, {**DEFAULT_KEYWORDS, "mark": None}
    )
    extracted = {}
    for name, _, message, _, _ in found:
        if not name.startswith("server/pages/"):
            continue  # tests/language/test_catalogue.py
        forms = message if isinstance(message, tuple) else (message,)
        extracted[forms[0]] = forms
    # Titles are each family's own, and are shown in the reader's language where there is one.
    titles = [get_family(name).title for name in FAMILIES]
    assert len(extracted) > 200
    return {**extracted, **{title: (title,) for title in titles}}


def catalogues(code: str) -> Mapping[str, tuple[str, ...]]:
    paths = [TRANSLATIONS / code / name for name in ("pages.po", "result.po", "families.po")]
    entries: dict[str, tuple[str, ...]] = {}
    for path in paths:
        with path.open("rb") as file:
            catalogue = pofile.read_po(file, locale=code, abort_invalid=True)
        for entry in catalogue:
            key = entry.id if isinstance(entry.id, str) else (entry.id or [""])[0]
            value = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)
            if not key or not all(value):
                continue
            assert not entry.fuzzy, f"{path.name}: {key!r} is fuzzy"
            assert entries.setdefault(key, value) == value, f"{key!r} is translated in two ways"
    return entries


@pytest.mark.parametrize("code", OTHERS)
def test_every_message_is_translated(code, messages):
    translated = catalogues(code)
    assert sorted(key for key in messages if not all(translated.get(key, ("",)))) == []


@pytest.mark.parametrize("code", OTHERS)
def test_nothing_is_translated_that_is_no_message(code, messages):
    assert sorted(set(catalogues(code)) - set(messages)) == []


@pytest.mark.parametrize("code", OTHERS)
def test_fields_agree(code, messages):
    translated = catalogues(code)
    for key, forms in messages.items():
        expected = set(FIELD.findall(forms[-1]))
        for text in translated[key]:
            assert set(FIELD.findall(text)) == expected, key


def test_korean_is_korean(messages):
    translated = catalogues("ko")
    english = {key for key in messages if not HANGUL.search(translated[key][0])}
    assert english <= SAME_IN_KOREAN
