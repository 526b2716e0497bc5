"""Where this user's results of stages and logs are kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return `ITDA_CACHE`, else `itda` in the user's cache folder; made only when it is used."""
    chosen = os.environ.get("ITDA_CACHE")
    if chosen:
        return Path(chosen)
    user_cache = os.environ.get("XDG_CACHE_HOME")
    if user_cache:
        return Path(user_cache) / "itda"
    try:
        return Path.home() / ".cache" / "itda"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"itda-{os.getuid()}"


def stage_folder() -> Path:
    """Return the folder of the store that the command line and `itda.fold` share."""
    return cache_folder() / "stages"
