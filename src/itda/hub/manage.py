"""What there is of a set on this machine: counted, checked to the last byte, removed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from itda.errors import InputError, WeightsError
from itda.hub import stamps
from itda.hub.folders import download_folder, set_folder, source_folder, writing
from itda.hub.installed import converted_files, set_lock
from itda.hub.registry import BuiltIn, WeightSet
from itda.hub.source import checked_digests, find_source, has_source
from itda.hub.weights import card_path, verify
from itda.language import Message
from itda.progress import Progress, ignore_progress


@dataclass(frozen=True)
class CheckReport:
    """What a check of a set found.

    Attributes:
        whole: Paths of files that are as they should be, with their SHA-256.
        problems: What is wrong, one sentence each, with what would work.
    """

    whole: dict[Path, str]
    problems: tuple[WeightsError, ...]


def check_set(weight_set: WeightSet, *, progress: Progress = ignore_progress) -> CheckReport:
    """Hash every file of a set anew: those published and those converted.

    Args:
        weight_set: Which.
        progress: Told what is being done; may raise to stop.
    """
    whole: dict[Path, str] = {}
    problems: list[WeightsError] = []
    if isinstance(weight_set.source, BuiltIn):
        ours = [p for p in find_source(weight_set).paths.values() if p.suffix == ".safetensors"]
    else:
        ours = list(converted_files(weight_set))
        if has_source(weight_set):
            found = find_source(weight_set)
            for path in found.paths.values():
                progress(0.0, path.name)
                stamps.forget(path)
            try:
                digests = checked_digests(weight_set, found)
                whole |= {path: digests[name] for name, path in found.paths.items()}
            except WeightsError as error:
                problems.append(error)
    for path in ours:
        progress(0.5, path.name)
        try:
            whole[path] = verify(path, anew=True).sha256
        except WeightsError as error:
            problems.append(error)
    return CheckReport(whole, tuple(problems))


def remove(weight_set: WeightSet, *, published: bool = True, converted: bool = True) -> int:
    """Remove what is here of a set.

    Args:
        weight_set: Which.
        published: Whether the files as published go, and half downloads; a link goes alone, and
            files inside a Python package stay.
        converted: Whether converted files go; the next use makes them again.

    Returns:
        The bytes that were freed.

    Raises:
        InputError: The set comes with Itda.
        WeightsError: There is nothing of it.
        OutputError: It cannot be removed.
    """
    if isinstance(weight_set.source, BuiltIn):
        raise InputError(
            Message("weights {weight_set} come with Itda", weight_set=weight_set.name),
            hint=Message("they go when Itda is uninstalled"),
        )
    folder = set_folder(weight_set.name)
    if not folder.is_dir():
        raise WeightsError(
            Message(
                "there is nothing of weights {weight_set} in {parent}",
                weight_set=weight_set.name,
                parent=folder.parent,
            ),
            hint=Message("`itda weights list` says what there is"),
        )
    with set_lock(weight_set, ignore_progress):
        leaving: list[Path] = []
        if converted:
            for path in folder.glob("*converted-*.safetensors"):
                leaving += [path, card_path(path)]
        if published:
            leaving += _files_below(source_folder(weight_set.name))
            leaving += _files_below(download_folder(weight_set.name))
        freed = 0
        with writing(folder):
            for path in leaving:
                if not path.is_file() and not path.is_symlink():
                    continue
                stamps.forget(path)
                freed += path.lstat().st_size
                path.unlink()
            if published:
                for empty in (source_folder(weight_set.name), download_folder(weight_set.name)):
                    shutil.rmtree(empty, ignore_errors=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return freed


def bytes_here(weight_set: WeightSet) -> int:
    """Count what a set takes of the weights folder; 0 where it comes with Itda or a package."""
    return sum(path.lstat().st_size for path in _files_below(set_folder(weight_set.name)))


def half_downloaded(weight_set: WeightSet) -> int:
    """Count the bytes of downloads that were stopped; `itda weights pull` goes on with them."""
    return sum(path.lstat().st_size for path in _files_below(download_folder(weight_set.name)))


def _files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink()]
