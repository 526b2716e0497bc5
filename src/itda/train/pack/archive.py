"""A pack: datasets and their split in one file, and the way back to folders."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itda.errors import DataError, OutputError
from itda.language import Message
from itda.storage import atomic_folder
from itda.structure.chains.dataset import ChainDataset
from itda.structure.chains.writer import DatasetWriter
from itda.train.pack.choose import choose_chains
from itda.train.pack.codec import SECTIONS, decode_chains, encode_chains
from itda.train.split import MANIFEST, TABLE, Part, Split

FORMAT = "itda-pack"
FORMAT_VERSION = 1
INDEX = "pack.json"
SPLIT_NAME = "split"
MEGABYTE = 1_000_000
BLOCK_RESIDUES = 250_000

_SAMPLE_CHAINS = 200
# Estimates from a sample are a little off; a pack that is too large is made again, smaller.
_AIM = 0.98
_ATTEMPTS = 4
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class PackResult:
    """What went into a pack.

    Attributes:
        size_bytes: Of the file.
        chains: Chains by dataset name.
        residues: Residues by dataset name.
        left_out: Chains of the wanted parts that had no room.
    """

    size_bytes: int
    chains: dict[str, int]
    residues: dict[str, int]
    left_out: int


def pack_datasets(
    datasets: Sequence[ChainDataset],
    split_folder: Path | str,
    path: Path | str,
    *,
    max_megabytes: float = 40.0,
    per_cluster: int | None = None,
    parts: Sequence[Part] = ("train", "validation", "test"),
    report: Report | None = None,
) -> PackResult:
    """Write as many chains as fit into one file.

    Of validation and test, the chains that evaluation uses go in first. Then each training
    cluster gives one chain, then a second one, and so on; chains with side chains come first.

    Args:
        datasets: With folder names that differ, which are their names in the pack.
        split_folder: The split that was made of them.
        path: The file to write; one that stands there is replaced.
        max_megabytes: Largest size, in 10^6 bytes.
        per_cluster: Most chains of a training cluster; all that fit unless told.
        parts: Parts of the split to take.
        report: Called with what is done and the fraction of it that is done.

    Raises:
        DataError: The datasets do not go with the split, or nothing fits.
        OutputError: The file cannot be written.
    """
    split_folder, path = Path(split_folder), Path(path)
    say = report or (lambda _what, _fraction: None)
    names = [dataset.folder.name for dataset in datasets]
    if len(set(names)) != len(names) or SPLIT_NAME in names:
        raise DataError(
            Message("the folders {names:,} cannot stand beside each other in a pack", names=names),
            hint=Message(
                "give each dataset folder a name of its own, other than {split_name!r}",
                split_name=SPLIT_NAME,
            ),
        )
    split = Split.read(split_folder)
    ordered = choose_chains(datasets, split, parts=parts, per_cluster=per_cluster)
    say("measuring", 0.0)
    rates = [_bytes_per_residue(dataset) for dataset in datasets]
    limit = max_megabytes * MEGABYTE
    fixed = sum((split_folder / name).stat().st_size / 4 for name in (TABLE, MANIFEST))
    scale = _AIM
    for _ in range(_ATTEMPTS):
        chosen = _fit(datasets, ordered, rates, scale * limit - fixed)
        if not chosen:
            break
        _write(path, datasets, names, chosen, split_folder, say)
        size = path.stat().st_size
        if size <= limit:
            residues = [
                sum(int(dataset.lengths[index]) for which, index in chosen if which == number)
                for number, dataset in enumerate(datasets)
            ]
            chains = [
                sum(which == number for which, _ in chosen) for number in range(len(datasets))
            ]
            return PackResult(
                size,
                dict(zip(names, chains, strict=True)),
                dict(zip(names, residues, strict=True)),
                len(ordered) - len(chosen),
            )
        scale *= _AIM * limit / size
        path.unlink()
    raise DataError(
        Message("no pack of {max_megabytes:g} MB could be made", max_megabytes=max_megabytes),
        hint=Message("raise {--max-mb}"),
    )


def unpack_datasets(
    path: Path | str,
    folder: Path | str,
    *,
    overwrite: bool = False,
    report: Report | None = None,
) -> list[Path]:
    """Write each dataset of a pack, and `split`, as folders inside a folder.

    Args:
        path: A file that `pack_datasets` wrote.
        folder: Where to; made if it is not there.
        overwrite: Whether a folder that stands there is replaced.
        report: Called with what is done and the fraction of it that is done.

    Returns:
        The folders written.

    Raises:
        DataError: The file is no pack, of another version, or not whole.
        OutputError: A folder cannot be written.
    """
    path, folder = Path(path), Path(folder)
    say = report or (lambda _what, _fraction: None)
    try:
        with zipfile.ZipFile(path) as archive:
            index = _read_index(archive, path)
            targets = [folder / name for name in (*index["datasets"], SPLIT_NAME)]
            standing = [target for target in targets if target.exists()]
            if standing and not overwrite:
                raise OutputError(
                    Message("{standing} exists already", standing=standing[0]),
                    hint=Message("choose another {--out}, or pass {--overwrite}"),
                )
            for name, facts in index["datasets"].items():
                _unpack_one(archive, name, facts, folder, overwrite=overwrite, say=say)
            with atomic_folder(folder / SPLIT_NAME, overwrite=overwrite) as work:
                for name in (TABLE, MANIFEST):
                    (work / name).write_bytes(archive.read(f"{SPLIT_NAME}/{name}"))
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(
            Message("{path} cannot be read as a pack: {error}", path=path, error=error)
        ) from error
    return targets


def _bytes_per_residue(dataset: ChainDataset) -> float:
    stride = max(1, len(dataset) // _SAMPLE_CHAINS)
    sample = [dataset[index] for index in range(0, len(dataset), stride)]
    packed = encode_chains(sample)
    return sum(map(len, packed.values())) / sum(len(chain) for chain in sample)


def _fit(
    datasets: Sequence[ChainDataset],
    ordered: Sequence[tuple[int, int]],
    rates: Sequence[float],
    limit_bytes: float,
) -> list[tuple[int, int]]:
    chosen = []
    used = 0.0
    for which, index in ordered:
        used += float(datasets[which].lengths[index]) * rates[which]
        if used > limit_bytes:
            break
        chosen.append((which, index))
    return chosen


def _write(
    path: Path,
    datasets: Sequence[ChainDataset],
    names: Sequence[str],
    chosen: Sequence[tuple[int, int]],
    split_folder: Path,
    say: Report,
) -> None:
    waiting = path.with_name(f".{path.name}.part")
    index: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION, "datasets": {}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(waiting, "w", zipfile.ZIP_STORED) as archive:
            for number, (name, dataset) in enumerate(zip(names, datasets, strict=True)):
                rows = sorted(row for which, row in chosen if which == number)
                if not rows:
                    continue
                blocks = _blocks(dataset, rows)
                for block, members in enumerate(blocks):
                    say(f"packing {name}", (number + block / len(blocks)) / len(datasets))
                    packed = encode_chains([dataset[row] for row in members])
                    for section, data in packed.items():
                        _add(archive, f"{name}/{block}/{section}", data)
                index["datasets"][name] = {
                    "chains": len(rows),
                    "blocks": len(blocks),
                    "source": dataset.manifest["source"],
                    "parameters": dataset.manifest["parameters"],
                }
            for file in (TABLE, MANIFEST):
                data = (split_folder / file).read_bytes()
                _add(archive, f"{SPLIT_NAME}/{file}", data, compressed=False)
            _add(archive, INDEX, json.dumps(index).encode(), compressed=False)
        waiting.replace(path)
    except OSError as error:
        raise OutputError(
            Message(
                "{path} cannot be written: {strerror}", path=path, strerror=error.strerror or error
            )
        ) from error
    finally:
        waiting.unlink(missing_ok=True)


def _blocks(dataset: ChainDataset, rows: Sequence[int]) -> list[list[int]]:
    """Part chains, shortest first, into blocks that fit into memory together with their copies."""
    blocks: list[list[int]] = [[]]
    residues = 0
    for row in sorted(rows, key=lambda row: (int(dataset.lengths[row]), row)):
        if residues + int(dataset.lengths[row]) > BLOCK_RESIDUES and blocks[-1]:
            blocks.append([])
            residues = 0
        blocks[-1].append(row)
        residues += int(dataset.lengths[row])
    return blocks


def _add(archive: zipfile.ZipFile, name: str, data: bytes, *, compressed: bool = True) -> None:
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.compress_type = zipfile.ZIP_STORED if compressed else zipfile.ZIP_DEFLATED
    archive.writestr(entry, data)


def _read_index(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        index = json.loads(archive.read(INDEX))
    except ValueError as error:
        raise DataError(Message("{path} is not a pack: {error}", path=path, error=error)) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise DataError(Message("{path} is not a pack of datasets", path=path))
    if index.get("version") != FORMAT_VERSION:
        raise DataError(
            Message(
                "{path} has pack version {get}, this Itda reads {format_version}",
                path=path,
                get=index.get("version"),
                format_version=FORMAT_VERSION,
            ),
            hint=Message("pack the datasets again"),
        )
    for name in index["datasets"]:
        if not name or Path(name).name != name or name.startswith("."):
            raise DataError(
                Message(
                    "{path} names a dataset {name!r}, which is no plain folder name",
                    path=path,
                    name=name,
                )
            )
    return index


def _unpack_one(
    archive: zipfile.ZipFile,
    name: str,
    facts: dict[str, Any],
    folder: Path,
    *,
    overwrite: bool,
    say: Report,
) -> None:
    parameters = {**facts["parameters"], "packed": "0.05 angstrom, profile in 12 square-root steps"}
    with (
        atomic_folder(folder / name, overwrite=overwrite) as work,
        DatasetWriter(work, source=facts["source"], parameters=parameters) as writer,
    ):
        for block in range(facts["blocks"]):
            packed = {section: archive.read(f"{name}/{block}/{section}") for section in SECTIONS}
            for chain in decode_chains(packed):
                writer.add(chain)
                say(f"unpacking {name}", len(writer) / facts["chains"])
        if len(writer) != facts["chains"]:
            raise DataError(
                Message(
                    "{name} has {count} chains, its index says {facts}",
                    name=name,
                    count=len(writer),
                    facts=facts["chains"],
                )
            )
