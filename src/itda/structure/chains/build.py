"""From chains and rejections to a dataset folder, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from itda.errors import DataError
from itda.language import Message
from itda.storage import atomic_folder
from itda.structure.chains.chain import Chain
from itda.structure.chains.dataset import ChainDataset
from itda.structure.chains.rejection import Rejection, write_rejections
from itda.structure.chains.writer import DatasetWriter


def build_dataset(
    folder: Path | str,
    items: Iterable[Chain | Rejection],
    *,
    source: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    on_item: Callable[[Chain | Rejection], None] | None = None,
) -> tuple[ChainDataset, list[Rejection]]:
    """Write the chains to a dataset folder and the rejections to its `rejected.tsv`.

    Args:
        folder: Where to; its parents are made.
        items: Chains, and what was left out, in the order to keep.
        source: What the data is: name, version, licence, files with their digests.
        parameters: Settings of the build that a reader should know.
        overwrite: Whether a dataset that stands there is replaced.
        on_item: Called after each item, to show progress.

    Returns:
        The dataset, opened, and the rejections.

    Raises:
        DataError: No chain was accepted.
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    rejections: list[Rejection] = []
    with atomic_folder(folder, overwrite=overwrite) as work:
        with DatasetWriter(work, source=source, parameters=parameters) as writer:
            for item in items:
                if isinstance(item, Rejection):
                    rejections.append(item)
                elif item.id in writer:
                    rejections.append(
                        Rejection(item.id, item.source, "another chain of this id came first")
                    )
                else:
                    writer.add(item)
                if on_item is not None:
                    on_item(item)
            if len(writer) == 0:
                reasons = sorted({rejection.reason for rejection in rejections})[:3]
                raise DataError(
                    Message(
                        "no chain was accepted{what}",
                        what=Message(": {reasons:;}", reasons=reasons) if reasons else "",
                    )
                )
        write_rejections(work, rejections)
    return ChainDataset.open(folder), rejections
