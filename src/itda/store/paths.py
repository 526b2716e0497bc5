"""Where this user's results of stages and logs are kept."""

from __future__ import annotations

from pathlib import Path

from itda.storage import user_folder


def cache_folder() -> Path:
    """Return `ITDA_CACHE`, else `itda` in the user's cache folder; made only when it is used."""
    return user_folder("ITDA_CACHE", "XDG_CACHE_HOME", ".cache")


def stage_folder() -> Path:
    """Return the folder of the store that the command line and `itda.fold` share."""
    return cache_folder() / "stages"
