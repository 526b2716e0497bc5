"""Weights that are ready to be read; converted on first use."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from itda.errors import WeightsError
from itda.hub.convert import Converter, write_converted
from itda.hub.folders import require_room, set_folder, weights_folder, writing
from itda.hub.licence import require_acknowledged
from itda.hub.reading import read_published
from itda.hub.registry import BuiltIn, WeightSet
from itda.hub.source import (
    FoundSource,
    built_in_folder,
    checked_digests,
    find_source,
    has_source,
    read_received,
)
from itda.hub.weights import SourceRecord, card_path, read_card, verify
from itda.language import Message
from itda.progress import Progress, ignore_progress
from itda.storage import locked

__all__ = ["converted_files", "ensure", "set_lock", "state_of", "weights_folder"]


_POLL_SECONDS = 0.2
_PATTERN = "converted-*.safetensors"


def ensure(
    weight_set: WeightSet,
    converter: Converter | None,
    *,
    progress: Progress = ignore_progress,
) -> Path:
    """Give the weights of a set, converted now where that was not done before.

    A file that is there is hashed only where it changed since it was hashed last.

    Args:
        weight_set: Which.
        converter: Of its family; None where the published files are Itda's own format.
        progress: Told what is being done; may raise to stop.

    Returns:
        The safetensors file; its card stands beside it.

    Raises:
        WeightsError: The published files are not here, or are not as published, or are of another
            model; or the licence must be acknowledged first.
        OutputError: The converted file cannot be written.
        DependencyError: PyTorch is not installed.
    """
    require_acknowledged(weight_set)
    if converter is None:
        return _own_format(weight_set)
    found = _converted(weight_set, converter)
    if found is not None:
        verify(found)
        return found
    source = find_source(weight_set)
    with set_lock(weight_set, progress):
        # Another process may have made it while this one waited.
        return _converted(weight_set, converter) or _convert(
            weight_set, converter, source, progress
        )


def state_of(weight_set: WeightSet) -> str:
    """Say how far a set is: "built in", "installed", "can be converted" or "not here"."""
    if isinstance(weight_set.source, BuiltIn):
        return "built in"
    if converted_files(weight_set):
        return "installed"
    return "can be converted" if has_source(weight_set) else "not here"


def converted_files(weight_set: WeightSet) -> tuple[Path, ...]:
    """Return the converted files of a set, each with its card."""
    found = sorted(set_folder(weight_set.name).glob(_PATTERN))
    return tuple(path for path in found if card_path(path).is_file())


@contextmanager
def set_lock(weight_set: WeightSet, progress: Progress) -> Iterator[None]:
    """Let one process at a time change the files of a set.

    Args:
        weight_set: Which.
        progress: Told while another process is at it; may raise to stop waiting.

    Raises:
        OutputError: The folder cannot be written.
    """

    def wait(holder: str) -> None:
        progress(0.0, f"process {holder} is at work on {weight_set.name}; waiting for it")
        time.sleep(_POLL_SECONDS)

    folder = set_folder(weight_set.name)
    lock = locked(folder / ".lock", on_busy=wait)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.__enter__()
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _own_format(weight_set: WeightSet) -> Path:
    names = [file.name for file in weight_set.files if file.name.endswith(".safetensors")]
    if len(names) != 1:
        raise WeightsError(
            Message(
                "weights {weight_set} are in their publisher's format, and the family "
                "{family} has no converter for them",
                weight_set=weight_set.name,
                family=weight_set.family,
            ),
            hint=Message("install a version of Itda that has it"),
        )
    if isinstance(weight_set.source, BuiltIn):
        return built_in_folder(weight_set.source) / names[0]
    return find_source(weight_set).paths[names[0]]


def _converted(weight_set: WeightSet, converter: Converter) -> Path | None:
    arrived = read_received(weight_set).get("files", {})
    for path in converted_files(weight_set):
        card = read_card(path)
        if card.converter != converter.version or card.source is None:
            continue
        made_of = card.source.files
        wanted = {file.name: file.sha256 or arrived.get(file.name) for file in weight_set.files}
        if made_of.keys() == wanted.keys() and all(
            digest is None or made_of[name] == digest for name, digest in wanted.items()
        ):
            return path
    return None


def _convert(
    weight_set: WeightSet, converter: Converter, source: FoundSource, progress: Progress
) -> Path:
    folder = set_folder(weight_set.name)
    _sweep(folder)
    progress(0.0, f"checking {weight_set.name}")
    digests = checked_digests(weight_set, source)
    key = json.dumps([weight_set.name, weight_set.family, converter.version, digests])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = folder / f"converted-{digest}.safetensors"
    size = sum(one.stat().st_size for one in source.paths.values())
    require_room(folder, size, f"converting {weight_set.name}")
    progress(0.2, f"converting {weight_set.name}")
    states, documents = read_published(source.paths)
    converted = converter.convert(states, documents)
    progress(0.4, f"writing {weight_set.name}")
    with writing(folder):
        write_converted(
            path,
            converted,
            family=weight_set.family,
            name=weight_set.name,
            licence=weight_set.licence.spdx,
            source=SourceRecord(name=weight_set.name, origin=source.origin, files=digests),
            version=converter.version,
        )
    for old in folder.glob(_PATTERN):
        if old != path:
            for leaving in (old, card_path(old)):
                leaving.unlink(missing_ok=True)
    progress(1.0, f"{weight_set.name} is ready")
    return path


def _sweep(folder: Path) -> None:
    """Remove what a killed conversion left; called with the lock held."""
    for path in folder.glob(".*-converted-*"):
        with suppress(OSError):
            path.unlink()
