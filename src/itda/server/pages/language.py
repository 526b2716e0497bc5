"""Languages of the pages: catalogues, and numbers, dates and durations as each writes them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import babel
from babel import dates, numbers, units

from itda.language import LANGUAGES, SOURCE, translations

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_UNITS = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")

_SYMBOLS = {
    "duration-second": "s",
    "duration-minute": "min",
    "duration-hour": "h",
}
"""Of units that Babel's English abbreviates as no scientist does."""


@dataclass(frozen=True)
class Language:
    """A language: what messages are in it, and how it writes values.

    Attributes:
        code: As in `LANGUAGES`.
        zone: Time zone of what is shown.
        messages: Translation of each message; of one with a plural, its forms.
    """

    code: str = SOURCE
    zone: tzinfo = UTC
    messages: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def locale(self) -> babel.Locale:
        """Babel's name of it."""
        return babel.Locale.parse(self.code)

    def gettext(self, message: str) -> str:
        """Return a message in this language, or as it is where there is no translation."""
        translated = self.messages.get(message, message)
        return translated if isinstance(translated, str) else translated[0]

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """Return the form of a message for a count."""
        forms = self.messages.get(singular)
        if isinstance(forms, tuple):
            return forms[min(self.locale.plural_form(count) != "one", len(forms) - 1)]
        return singular if count == 1 else plural

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with separators, to so many decimals."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(numbers.format_decimal(value, format=pattern, locale=self.locale))

    def percent(self, fraction: float) -> str:
        """Return a fraction as per cent; only what is whole is 100 %."""
        whole = int(fraction * 100 + 1e-9)
        return str(numbers.format_percent(whole / 100, locale=self.locale))

    def bytes(self, amount: float) -> str:
        """Return an amount of memory, in powers of 1024."""
        if amount < 1023.5:
            return f"{self.number(amount)} B"
        power = 0
        while amount >= 1023.5 and power < len(_UNITS) - 1:
            amount /= 1024
            power += 1
        digits = 1 if amount < 10 else 0
        return self._unit(amount, f"digital-{_UNITS[power]}", digits)

    def duration(self, seconds: float) -> str:
        """Return a span of time in its two largest units."""
        seconds = max(0.0, seconds)
        if seconds < 10:
            return self._unit(seconds, "duration-second", 1 if round(seconds, 1) else 0)
        if round(seconds) < _MINUTE:
            return self._unit(round(seconds), "duration-second")
        if seconds < _HOUR - 0.5:
            return self._two(round(seconds), _MINUTE, "minute", 1.0, "second")
        if seconds < _DAY - _MINUTE / 2:
            return self._two(seconds, _HOUR, "hour", _MINUTE, "minute")
        return self._two(seconds, _DAY, "day", _HOUR, "hour")

    def date_time(self, time: float) -> str:
        """Return a time with minutes, and its zone where that is not the reader's own."""
        moment = datetime.fromtimestamp(time, self.zone)
        shown = f"{self._day(moment)} {moment:%H:%M}"
        return f"{shown} UTC" if self.zone is UTC else shown

    def machine_time(self, time: float) -> str:
        """Return a time as the attribute of an element has it."""
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")

    def date(self, time: float) -> str:
        """Return a day."""
        return self._day(datetime.fromtimestamp(time, self.zone))

    def month(self, time: float) -> str:
        """Return a month of the calendar in UTC, by which books are kept."""
        return str(
            dates.format_skeleton(
                "yMMMM", datetime.fromtimestamp(time, UTC), tzinfo=UTC, locale=self.locale
            )
        )

    def ago(self, seconds: float) -> str:
        """Return how long ago something was."""
        return str(
            dates.format_timedelta(
                -max(1, round(seconds)), add_direction=True, locale=self.locale, threshold=0.95
            )
        )

    def _day(self, moment: datetime) -> str:
        # "Sep 21, 2026" of Babel's English is American.
        pattern = "d MMM y" if self.code == "en" else "medium"
        return str(dates.format_date(moment, pattern, locale=self.locale))

    def _two(
        self, seconds: float, large: float, large_name: str, small: float, small_name: str
    ) -> str:
        whole = round(seconds / small)
        many, few = divmod(whole, round(large / small))
        parts = [self._unit(many, f"duration-{large_name}")]
        if few:
            parts.append(self._unit(few, f"duration-{small_name}"))
        return " ".join(parts)

    def _unit(self, value: float, unit: str, digits: int = 0) -> str:
        if self.code == "en" and unit in _SYMBOLS:
            return f"{self.number(value, digits)} {_SYMBOLS[unit]}"
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(
            units.format_unit(value, unit, length="short", format=pattern, locale=self.locale)
        )


def read_languages() -> Mapping[str, Language]:
    """Return every language by its code."""
    return {code: Language(code, messages=translations(code)) for code in LANGUAGES}


@functools.lru_cache(maxsize=64)
def zone_of(name: str | None) -> tzinfo:
    """Return a time zone by its name; UTC where there is no such zone."""
    if not name or len(name) > 64:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return UTC
