"""Constants that were measured on this machine, and those that come with Itda for others."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from itda.atomic import write_json
from itda.cost.constants import Constants, Figures
from itda.cost.devices import Device
from itda.errors import OutputError
from itda.language import Message
from itda.models.demand import FORMULAS, SPEED_OF_THREADS
from itda.storage import user_data_folder
from itda.version import itda_version

Origin = Literal["measured here", "measured elsewhere", "derived"]

ONE_THREAD = {"refine_steps", "refine_atoms", "refine_pairs", "jobs", "streamed"}
"""Kinds of work that more threads do not make faster."""


@dataclass(frozen=True)
class Calibration:
    """Constants, and where they come from.

    Attributes:
        constants: Of one family on one device.
        origin: Whether they were measured, and where.
        source: The same as a sentence for people.
        learned: What bytes are multiplied by since an allocation failed; 1 where none did.
    """

    constants: Constants
    origin: Origin
    source: str
    learned: float = 1.0

    @property
    def shown(self) -> str:
        """Where the constants come from, as a sentence for people."""
        if self.learned == 1.0:
            return self.source
        return (
            f"{self.source}; memory taken {self.learned:.2f} times since an allocation failed, "
            "until `itda bench calibrate`"
        )


def sizes_key(family: str, sizes: Mapping[str, Any] | None) -> str:
    """Name a family with its own sizes, or with those of the user's weights."""
    if sizes is None:
        return family
    text = json.dumps(dict(sizes), sort_keys=True)
    return f"{family}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def calibration_file(device: Device) -> Path:
    """Give the file of a device, for this version of Itda."""
    return user_data_folder() / "calibration" / f"{device.slug}-{itda_version()}.json"


def find(family: str, device: Device, sizes: Mapping[str, Any] | None = None) -> Calibration:
    """Give the best constants there are for a family on a device.

    First those measured here with weights of the same sizes, then with the family's own, then the
    shipped table.
    """
    stored = read(device)
    keys = dict.fromkeys([sizes_key(family, sizes), family])
    learned = next((stored["learned"][key] for key in keys if key in stored["learned"]), 1.0)
    for key in keys:
        entry = stored["families"].get(key)
        if entry is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
                constants = Constants.from_dict(entry["constants"])
                told = f"measured on this machine on {str(entry['measured'])[:10]}"
                return Calibration(constants, "measured here", told, learned)
    return shipped(family, device, learned)


def read(device: Device) -> dict[str, dict[str, Any]]:
    """Read what is stored for a device; empty where it is missing, broken or of other formulas."""
    empty: dict[str, dict[str, Any]] = {"families": {}, "learned": {}}
    try:
        data = json.loads(calibration_file(device).read_bytes())
        if data["formulas"] != FORMULAS:
            return empty
        learned = {str(key): float(value) for key, value in data["learned"].items()}
        return {"families": dict(data["families"]), "learned": learned}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return empty


def store(
    device: Device,
    *,
    families: Mapping[str, Any] | None = None,
    learned: Mapping[str, float] | None = None,
) -> Path:
    """Add to what is stored for a device; a family that was measured anew forgets what it learned.

    Raises:
        OutputError: The user's data folder cannot be written.
    """
    held = read(device)
    held["families"].update(families or {})
    for key in families or {}:
        held["learned"].pop(key, None)
    held["learned"].update(learned or {})
    path = calibration_file(device)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            Message(
                "{parent}: cannot be made: {strerror}",
                parent=path.parent,
                strerror=error.strerror or error,
            ),
            hint=Message("set ITDA_HOME to a folder that you may write to"),
        ) from error
    write_json(
        path,
        {
            "device": device.name,
            "kind": device.kind,
            "threads": device.threads,
            "itda": itda_version(),
            "formulas": FORMULAS,
            **held,
        },
    )
    return path


def shipped(family: str, device: Device, learned: float = 1.0) -> Calibration:
    """Give constants of the table that comes with Itda: of this device, or of one of its kind."""
    hint = "`itda bench calibrate` measures this machine"
    table = _table()
    measured = [
        entry
        for entry in table["measured"]
        if entry["kind"] == device.kind
        and family in entry["families"]
        and entry["formulas"] == FORMULAS
    ]
    same = [entry for entry in measured if entry["name"] == device.name]
    if same:
        entry = min(same, key=lambda one: abs(one["threads"] - device.threads))
        constants = Constants.from_dict(entry["families"][family])
        told = f"measured on another machine with {entry['name']}, {entry['threads']} thread(s)"
        if entry["threads"] != device.threads:
            constants = _with_threads(constants, device.threads / entry["threads"])
            told += f", reckoned for {device.threads}"
        return Calibration(constants, "measured elsewhere", f"{told}; {hint}", learned)
    for entry in table["derived"]:
        if entry["kind"] == device.kind and entry["name"].lower() in device.name.lower():
            break
    else:
        raise AssertionError(f"the table has no entry for every {device.kind}")
    threads = device.threads if device.kind == "cpu" else 1
    figures = Figures(**entry["figures"])
    constants = _with_threads(figures.constants(device.kind), threads)
    # Memory depends on the program more than on the processor.
    if measured:
        own = Constants.from_dict(measured[0]["families"][family])
        constants = _with_memory_of(constants, own)
    named = f"the published figures of {entry['name']}" if entry["name"] else "a common device"
    return Calibration(constants, "derived", f"derived from {named}; {hint}", learned)


def _with_threads(constants: Constants, ratio: float) -> Constants:
    faster = ratio**SPEED_OF_THREADS
    data = constants.to_dict()
    data["seconds"] = {
        kind: value if kind in ONE_THREAD else value / faster
        for kind, value in data["seconds"].items()
    }
    return Constants.from_dict(data)


def _with_memory_of(constants: Constants, other: Constants) -> Constants:
    memory = {
        name: value
        for name, value in other.to_dict().items()
        if name in ("fixed_bytes", "bytes_per_live", "address_bytes")
    }
    return Constants.from_dict(constants.to_dict() | memory)


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files("itda.cost").joinpath("shipped.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
