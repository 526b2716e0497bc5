"""Which Chemical Component Dictionary is read: the user's newer one, else the one of biotite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from itda.storage import user_data_folder

FILE = "components.bcif"
FACTS = "components.json"


@dataclass(frozen=True)
class ComponentFile:
    """A dictionary that was fetched.

    Attributes:
        path: BinaryCIF with the categories of all components together, as biotite lays it out.
        date: Of the last change of a component, ISO.
        components: How many there are.
        sha256: Of the file.
        fetched: When it came, ISO 8601.
        source: Address that it came from.
        licence: Of the content.
    """

    path: Path
    date: str
    components: int
    sha256: str
    fetched: str
    source: str
    licence: str


def components_folder() -> Path:
    """Return where a fetched dictionary is; it may not exist."""
    return user_data_folder() / "components"


def fetched_components() -> ComponentFile | None:
    """Describe the user's own dictionary; None where there is none, or half of one."""
    folder = components_folder()
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        found = ComponentFile(
            path=folder / FILE,
            date=str(facts["date"]),
            components=int(facts["components"]),
            sha256=str(facts["sha256"]),
            fetched=str(facts["fetched"]),
            source=str(facts["source"]),
            licence=str(facts["licence"]),
        )
        return found if found.path.stat().st_size == facts["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def components_in_use() -> ComponentFile | None:
    """Describe the dictionary that this process reads; None for the one of biotite."""
    return fetched_components()


def components_path() -> Path:
    """Return the file that this process reads."""
    own = components_in_use()
    if own is not None:
        return own.path
    from biotite.structure import info

    return Path(info.__file__).parent / FILE
