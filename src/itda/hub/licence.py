"""Licences that forbid commercial use: shown, and acknowledged once by each user.

What a user acknowledged stands in `licences.json` in that user's data folder, with the date and
the digest of the text. A text that changed is asked for again.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from itda.errors import OutputError, WeightsError
from itda.hub.registry import WeightSet, licence_text
from itda.language import Message
from itda.storage import user_data_folder, write_whole


class LicenceError(WeightsError):
    """A licence must be acknowledged before its weights are used."""


class Acknowledgement(BaseModel):
    """That a user has read a licence.

    Attributes:
        user: Name of the account.
        date: ISO 8601, UTC.
        sha256: Of the text that was acknowledged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    date: str
    sha256: str


_BOOK = TypeAdapter(dict[str, Acknowledgement])


def acknowledged(weight_set: WeightSet) -> Acknowledgement | None:
    """Return when this user acknowledged the licence of a set as it reads now; None for never."""
    entry = _read().get(weight_set.name)
    return entry if entry is not None and entry.sha256 == _digest(weight_set) else None


def require_acknowledged(weight_set: WeightSet) -> Acknowledgement | None:
    """Refuse weights whose licence forbids commercial use until the user has acknowledged it.

    Returns:
        When it was acknowledged; None for a licence that needs none.

    Raises:
        LicenceError: It was not, or the text changed since; the message says what is forbidden.
    """
    if not weight_set.licence.non_commercial:
        return None
    entry = acknowledged(weight_set)
    if entry is None:
        changed = weight_set.name in _read()
        raise LicenceError(
            Message(
                "the licence of weights {weight_set} ({title}) {what}. {summary}",
                weight_set=weight_set.name,
                title=weight_set.licence.title,
                what=Message("changed since you acknowledged it")
                if changed
                else Message("must be acknowledged first"),
                summary=summary(weight_set),
            ),
            hint=Message(
                "read it with `itda weights licence {weight_set}`, then `itda weights "
                "licence {weight_set} --accept-licence`",
                weight_set=weight_set.name,
            ),
        )
    return entry


def acknowledge(weight_set: WeightSet) -> Acknowledgement:
    """Write down that this user acknowledges the licence of a set.

    Raises:
        OutputError: The user's data folder cannot be written.
    """
    entry = Acknowledgement(
        user=_user(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        sha256=_digest(weight_set),
    )
    path = _path()
    try:
        write_whole(path, _BOOK.dump_json({**_read(), weight_set.name: entry}, indent=1))
    except OSError as error:
        raise OutputError(
            Message("{path} cannot be written: {strerror}", path=path, strerror=error.strerror),
            hint=Message("set $ITDA_HOME to a folder that you may write to"),
        ) from error
    return entry


def summary(weight_set: WeightSet) -> str:
    """Say in plain sentences what a licence forbids or demands."""
    licence = weight_set.licence
    start = "Commercial use is forbidden. " if licence.non_commercial else ""
    listed = " ".join(licence.forbids)
    return f"{start}Not allowed: {listed}" if listed else start.strip()


def _read() -> dict[str, Acknowledgement]:
    path = _path()
    try:
        return _BOOK.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise WeightsError(
            Message("{path}: cannot be read", path=path),
            hint=Message("remove it and acknowledge the licences again"),
        ) from error


def _path() -> Path:
    return user_data_folder() / "licences.json"


def _digest(weight_set: WeightSet) -> str:
    return hashlib.sha256(licence_text(weight_set.licence).encode()).hexdigest()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return f"uid {os.getuid()}"
