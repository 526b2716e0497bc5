"""Published files brought from the network or from a folder, each verified before it is used."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from itda.errors import InputError, WeightsError
from itda.hub import stamps
from itda.hub.fetch import DownloadError, OnTransfer, Remote, Transferred, download, partial_path
from itda.hub.folders import (
    RECEIVED,
    download_folder,
    require_room,
    source_folder,
    writing,
)
from itda.hub.installed import set_lock
from itda.hub.licence import require_acknowledged
from itda.hub.registry import BuiltIn, Package, PublishedFile, WeightSet
from itda.hub.remote import file_url, is_offline, look_up
from itda.hub.source import check_file, find_source, origin_of, read_received
from itda.language import Message
from itda.progress import Progress, ignore_progress
from itda.storage import file_digest, pieces_of, sync, waiting_path, write_pieces, write_whole


@dataclass(frozen=True)
class Imported:
    """What came out of a folder or file.

    Attributes:
        taken: Names of the set's files that are here now.
        left: Names of other files of the folder, which were not opened.
        missing: Names of the set's files that are still not here.
        unpublished: Digests of taken files whose digest the publisher does not give, by name.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]
    missing: tuple[str, ...]
    unpublished: Mapping[str, str]


def pull(
    weight_set: WeightSet,
    *,
    mirror: str = "",
    offline: bool = False,
    on_transfer: OnTransfer = lambda transferred: None,
    progress: Progress = ignore_progress,
) -> tuple[str, ...]:
    """Bring the files of a set that are not here.

    A download that was stopped goes on where it was.

    Args:
        weight_set: Which.
        mirror: A server in place of the publisher's; see `itda.hub.remote.file_url`.
        offline: Whether to fail at once and say what to bring by hand.
        on_transfer: Told the bytes so far; may raise to stop.
        progress: Told what is being done; may raise to stop.

    Returns:
        The files that were brought; empty where all were here.

    Raises:
        DownloadError: A server refuses, cannot be reached, or there is no network.
        WeightsError: What came is not what was published; it was removed.
        OutputError: The disk is full or cannot be written.
    """
    require_acknowledged(weight_set)
    if isinstance(weight_set.source, BuiltIn | Package):
        find_source(weight_set)
        return ()
    if not _missing(weight_set):
        return ()
    if offline or is_offline():
        raise _offline_error(weight_set, mirror)
    with set_lock(weight_set, progress):
        # Another process may have brought some while this one waited.
        missing = _missing(weight_set)
        remotes = [look_up(weight_set, file, mirror) for file in missing]
        _require_room(weight_set, remotes)
        for file, remote in zip(missing, remotes, strict=True):
            _bring(weight_set, file, remote, on_transfer, progress)
        shutil.rmtree(download_folder(weight_set.name), ignore_errors=True)
    return tuple(file.name for file in missing)


def import_files(
    weight_set: WeightSet,
    path: Path,
    *,
    link: bool = False,
    progress: Progress = ignore_progress,
) -> Imported:
    """Take files that were brought by hand.

    Only names in the set's table are taken; each is checked before its content is used, and what
    is checked is what is kept.

    Args:
        weight_set: Which.
        path: A file, or a folder that holds the set's files under their published names.
        link: Whether the files stay where they are and a link is made.
        progress: Told what is being done; may raise to stop.

    Raises:
        InputError: The path is not there, or holds no file of the set.
        WeightsError: A file is not as published.
        OutputError: The disk is full or cannot be written.
    """
    require_acknowledged(weight_set)
    if isinstance(weight_set.source, BuiltIn):
        raise InputError(
            Message("weights {weight_set} come with Itda", weight_set=weight_set.name),
            hint=Message("there is nothing to import"),
        )
    found, left = _offered(weight_set, path)
    unpublished: dict[str, str] = {}
    with set_lock(weight_set, progress):
        folder = source_folder(weight_set.name)
        for file, origin in found.items():
            if file.bytes is not None and origin.stat().st_size != file.bytes:
                check_file(weight_set, file, origin, "")
            progress(0.0, f"checking {file.name}")
            if not link:
                require_room(folder, origin.stat().st_size, f"importing {file.name}")
            digest = _take(weight_set, file, origin, link=link)
            if file.sha256 is None:
                unpublished[file.name] = digest
    missing = tuple(file.name for file in _missing(weight_set))
    return Imported(tuple(file.name for file in found), left, missing, unpublished)


def _missing(weight_set: WeightSet) -> list[PublishedFile]:
    folder = source_folder(weight_set.name)
    return [file for file in weight_set.files if not (folder / file.name).is_file()]


def _require_room(weight_set: WeightSet, remotes: list[Remote]) -> None:
    """Ask for room for what comes, and for the converted file that is made of it."""
    folder = download_folder(weight_set.name)
    coming = 0
    for remote in remotes:
        file = weight_set.file(remote.name)
        size = remote.size if remote.size is not None else file and file.expected_bytes
        partial = partial_path(folder, remote.name)
        here = partial.stat().st_size if partial.is_file() else 0
        coming += max(0, (size or 0) - here)
    whole = sum(remote.size or 0 for remote in remotes)
    require_room(folder, coming + whole, f"pulling and converting {weight_set.name}")


def _bring(
    weight_set: WeightSet,
    file: PublishedFile,
    remote: Remote,
    on_transfer: OnTransfer,
    progress: Progress,
) -> None:
    partial = download(remote, download_folder(weight_set.name), on_transfer)
    progress(0.0, f"checking {file.name}")
    on_transfer(Transferred(file.name, partial.stat().st_size, remote.size, "checking its digest"))
    digest = file_digest(partial)
    try:
        check_file(weight_set, file, partial, digest, origin=remote.shown)
        if file.sha256 is None:
            _check_servers_digest(partial, remote, digest)
    except WeightsError as error:
        for leaving in (partial, partial.with_name(f"{partial.name}.json")):
            leaving.unlink(missing_ok=True)
        raise DownloadError(
            Message("{problem}; it was removed", problem=error.problem),
            hint=Message(
                "give the same command again; if it comes to the same, try another {--mirror}"
            ),
        ) from error
    place = source_folder(weight_set.name) / file.name
    with writing(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        sync(partial)
        partial.replace(place)
        partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)
        _write_received(weight_set, file.name, digest, origin_of(weight_set))
    stamps.stamp(place, digest)


def _check_servers_digest(path: Path, remote: Remote, digest: str) -> None:
    """Compare with the hub's own mark: SHA-256 of a large file, or a git blob's name."""
    found = digest
    if len(remote.digest) == 40:
        header = f"blob {path.stat().st_size}\0".encode()
        found = hashlib.sha1(header + path.read_bytes(), usedforsecurity=False).hexdigest()
    elif len(remote.digest) != 64:
        return
    if found != remote.digest:
        raise WeightsError(
            Message(
                "{path} of {shown} has digest {found}, not {digest}",
                path=path,
                shown=remote.shown,
                found=found,
                digest=remote.digest,
            )
        )


def _offered(
    weight_set: WeightSet, path: Path
) -> tuple[dict[PublishedFile, Path], tuple[str, ...]]:
    """Choose what a path offers by names alone; nothing is opened."""
    names = ", ".join(file.name for file in weight_set.files)
    if path.is_dir():
        found = {f: path / f.name for f in weight_set.files if (path / f.name).is_file()}
        taken = {file.name for file in found}
        left = tuple(sorted({entry.name for entry in path.iterdir()} - taken))
        if not found:
            raise InputError(
                Message(
                    "{path} holds no file of weights {weight_set}",
                    path=path,
                    weight_set=weight_set.name,
                ),
                hint=Message("its files: {names}", names=names),
            )
        return found, left
    file = next((f for f in weight_set.files if Path(f.name).name == path.name), None)
    if file is None:
        raise InputError(
            Message(
                "{path} is no file of weights {weight_set}, and was not opened",
                path=path,
                weight_set=weight_set.name,
            ),
            hint=Message("its files: {names}", names=names),
        )
    if not path.is_file():
        raise InputError(
            Message("{path} is not there, or is no file", path=path),
            hint=Message("its files: {names}", names=names),
        )
    return {file: path}, ()


def _take(weight_set: WeightSet, file: PublishedFile, origin: Path, *, link: bool) -> str:
    place = source_folder(weight_set.name) / file.name
    waiting = waiting_path(place)
    with writing(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    try:
        if link:
            digest = file_digest(origin)
            waiting.symlink_to(origin.resolve())
        else:
            with writing(place.parent):
                digest, _ = write_pieces(waiting, pieces_of(origin))
        check_file(weight_set, file, waiting, digest, origin=str(origin))
        with writing(place.parent):
            waiting.replace(place)
            _write_received(weight_set, file.name, digest, f"imported {origin.name}")
    finally:
        with suppress(OSError):
            waiting.unlink()
    stamps.stamp(place, digest)
    return digest


def _write_received(weight_set: WeightSet, name: str, digest: str, origin: str) -> None:
    before = read_received(weight_set)
    content = {
        "origin": origin,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {**before.get("files", {}), name: digest},
    }
    place = source_folder(weight_set.name) / RECEIVED
    write_whole(place, f"{json.dumps(content, indent=1)}\n".encode())


def _offline_error(weight_set: WeightSet, mirror: str) -> DownloadError:
    missing = _missing(weight_set)
    listed = "".join(f"\n  {file_url(weight_set, file, mirror)}" for file in missing)
    return DownloadError(
        Message(
            "weights {weight_set} are not here, and the network is not to be used. Missing: "
            "{missing:,}; to fetch elsewhere:{listed}",
            weight_set=weight_set.name,
            missing=(file.name for file in missing),
            listed=listed,
        ),
        hint=Message(
            "bring them here and `itda weights import {weight_set} FOLDER`, or put them into "
            "{source_folder}",
            weight_set=weight_set.name,
            source_folder=source_folder(weight_set.name),
        ),
    )
