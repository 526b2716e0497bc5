"""What both databases can keep of what is said: PostgreSQL refuses some characters and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_REFUSED = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def storable(value: Any) -> Any:
    """Return a value of JSON as it can be kept.

    The output of a program that died may hold anything, and must not keep its death from being
    written down: characters that cannot be kept become U+FFFD, and numbers that are none, null.
    """
    if isinstance(value, str):
        return _REFUSED.sub(_REPLACEMENT, value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [storable(one) for one in value]
    return storable(str(value))


def is_storable(value: Any) -> bool:
    """Return whether `storable` would leave a value of JSON as it is."""
    if isinstance(value, str):
        return not _REFUSED.search(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(is_storable(key) and is_storable(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_storable, value))
    return True
