"""The comparisons by family; each imports its reference package when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from itda.errors import CapabilityError
from itda.language import Message
from itda.parity.harness import Suite

SUITES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flashabb": (
            "itda.parity.flashabb:random_suite",
            "itda.parity.flashabb:published_suite",
        ),
        "esmfold": ("itda.parity.esmfold:suite",),
    }
)
"""Family, and the functions that give its suites."""


def suites_of(family: str) -> list[Callable[[], Suite[Any]]]:
    """Give what builds the suites of a family.

    Raises:
        CapabilityError: The family is compared with no reference package.
    """
    if family not in SUITES:
        raise CapabilityError(
            Message("{family} is not compared with a reference package", family=family),
            hint=Message("compared are: {suites:,}", suites=SUITES),
        )
    found = []
    for target in SUITES[family]:
        module, _, name = target.partition(":")
        found.append(getattr(importlib.import_module(module), name))
    return found
