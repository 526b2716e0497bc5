"""What a shell offers when a name is half written: read when it is asked for, never an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator


def models(incomplete: str) -> list[str]:
    """Names of model families."""
    from itda.models.registry import FAMILIES

    return _beginning(incomplete, FAMILIES)


def weight_sets(incomplete: str) -> list[str]:
    """Names of sets of weights; files are the shell's to offer."""
    from itda.hub import registry

    return _beginning(incomplete, registry.weight_sets())


def sequence_databases(incomplete: str) -> list[str]:
    """Names of databases to search for alignments."""
    return _beginning(incomplete, _databases("sequences"))


def structure_databases(incomplete: str) -> list[str]:
    """Names of databases to take templates from, and `none`."""
    return _beginning(incomplete, [*_databases("structures"), "none"])


def databases(incomplete: str) -> list[str]:
    """Names of all databases."""
    return _beginning(incomplete, _databases("sequences", "structures"))


def published_databases(incomplete: str) -> list[str]:
    """Names of databases that can be fetched."""
    from itda.published.entries import ENTRIES

    return _beginning(incomplete, ENTRIES)


def searches(incomplete: str) -> list[str]:
    """Ways to find an alignment; files are the shell's to offer."""
    return _beginning(incomplete, ("none", "mmseqs", "hmmer", "hmmer:phmmer", "server:"))


def devices(incomplete: str) -> list[str]:
    """Names of devices."""
    return _beginning(incomplete, ("auto", "cpu", "cuda", "mps"))


def recipes(incomplete: str) -> list[str]:
    """Recipes that come with Itda; files are the shell's to offer."""
    from importlib.resources import files

    folder = files("itda.train").joinpath("recipes")
    return _beginning(incomplete, sorted(one.name for one in folder.iterdir()))


def _databases(*kinds: str) -> Iterator[str]:
    # A folder that cannot be read is for the command to speak of, not for the shell's line.
    with contextlib.suppress(Exception):
        from itda.search.databases.registry import Databases

        for database in Databases().list():
            if database.kind in kinds:
                yield database.name


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
