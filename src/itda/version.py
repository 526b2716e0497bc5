"""Which Itda is installed."""

from __future__ import annotations

import functools


@functools.cache
def itda_version() -> str:
    """Return the version; the one that a file was written by stands in it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("itda")
    except PackageNotFoundError:
        return "0+unknown"
