"""Which languages there are, which of them is wished for, and what messages are in each.

`translations/CODE/ROOM.po` holds what a room says; all files of a language are one catalogue, for
the terminal as for the pages. They are read as they stand, so that there is nothing to compile.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

LANGUAGES: Mapping[str, str] = {"en": "English", "ko": "한국어"}
"""Each language that there is, as it calls itself; the first is that of the source."""

SOURCE = "en"
TRANSLATIONS = Path(__file__).parent / "translations"

Forms = str | tuple[str, ...]
"""A translation; of a message with a plural, its forms."""


def chosen_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the code of the language of this terminal: of `ITDA_LANG`, else of the locale.

    >>> chosen_language({"ITDA_LANG": "ko"}), chosen_language({"LANG": "ko_KR.UTF-8"})
    ('ko', 'ko')
    >>> chosen_language({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}), chosen_language({})
    ('en', 'en')
    """
    wish = first_known([environment.get("ITDA_LANG", "")])
    # As in POSIX, the first that is set says it, whether it is known here or not.
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    place = next((environment[name] for name in names if environment.get(name)), "")
    return wish or first_known([place]) or SOURCE


def first_known(codes: Iterable[str]) -> str | None:
    """Return the first language that there is here, by its code or the name of a locale.

    >>> first_known(["fr", "ko_KR.UTF-8", "en"])
    'ko'
    """
    for code in codes:
        language = code.strip().replace("-", "_").partition(".")[0].partition("_")[0].lower()
        if language in LANGUAGES:
            return language
    return None


def choose_code(*wishes: str | None, accepted: str = "") -> str:
    """Return the first language wished for that there is, else the best that is accepted.

    Args:
        wishes: Codes, such as of the user's setting and of a cookie.
        accepted: The header `Accept-Language`.

    >>> choose_code(None, "xx", accepted="fr, ko-KR;q=0.9, en;q=0.8")
    'ko'
    """
    for wish in wishes:
        if wish is not None and wish in LANGUAGES:
            return wish
    preferred = (code for code, quality in _accepted(accepted) if quality > 0)
    return first_known(preferred) or SOURCE


def _accepted(header: str) -> list[tuple[str, float]]:
    parts = []
    for part in header[:500].split(","):
        code, _, quality = part.strip().partition(";q=")
        try:
            parts.append((code, float(quality or 1)))
        except ValueError:
            continue
    return sorted(parts, key=lambda part: -part[1])


@functools.cache
def translations(code: str) -> Mapping[str, Forms]:
    """Return every translation into a language by its English; of English, none."""
    found: dict[str, Forms] = {}
    for path in sorted((TRANSLATIONS / code).glob("*.po")):
        found.update(_read(path, code))
    return found


def _read(path: Path, code: str) -> Mapping[str, Forms]:
    # A tenth of a second, which who reads English need not wait.
    from babel.messages import pofile

    with path.open("rb") as file:
        catalogue = pofile.read_po(file, locale=code)
    found: dict[str, Forms] = {}
    for message in catalogue:
        forms = (
            (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        )
        if message.id and all(forms) and not message.fuzzy:
            key = message.id if isinstance(message.id, str) else message.id[0]
            found[key] = forms[0] if isinstance(message.string, str) else forms
    return found
