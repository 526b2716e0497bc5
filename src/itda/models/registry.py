"""The families by name; each is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from itda.errors import CapabilityError
from itda.language import Message
from itda.models.family import Family

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "mini": "itda.models.mini:FAMILY",
        "flashabb": "itda.models.flashabb:FAMILY",
        "esmfold": "itda.models.esmfold:FAMILY",
    }
)
"""Name of each family, and the module and variable where it stands."""


def get_family(name: str) -> Family:
    """Import a family by its name.

    Raises:
        CapabilityError: No family has this name.

    >>> get_family("mini").name
    'mini'
    """
    target = FAMILIES.get(name)
    if target is None:
        close = difflib.get_close_matches(name.lower(), FAMILIES, n=1)
        raise CapabilityError(
            Message("there is no model family '{name}'", name=name),
            hint=Message("did you mean {close}?", close=close[0])
            if close
            else Message("known: {families:,}", families=FAMILIES),
        )
    module, _, variable = target.partition(":")
    family: Family = getattr(importlib.import_module(module), variable)
    return family
