"""How progress is shown; apart from what shows it, so that `--help` need not load that."""

from __future__ import annotations

from enum import StrEnum


class ProgressStyle(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    JSON = "json"
    NONE = "none"
