"""From published tensors to ours: converters, their books, and how the result is written."""

from __future__ import annotations

import fnmatch
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from itda.errors import WeightsError
from itda.hub import stamps
from itda.hub.folders import weights_folder
from itda.hub.weights import (
    CARD_VERSION,
    SourceRecord,
    WeightsCard,
    replacing_with_card,
    write_card,
)
from itda.language import Message
from itda.storage import write_pieces

if TYPE_CHECKING:
    from torch import Tensor

_NAMED_IN_FULL = 12


@dataclass(frozen=True)
class Converted:
    """What a converter gives.

    Attributes:
        tensors: Ours by name, in the order in which they are written and read.
        config: Sizes of the network, for the card.
        unused: Published tensors that were left out, and why that is right.
    """

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    unused: Mapping[str, str] = field(default_factory=dict)


class Converter(Protocol):
    """Turns the published files of a family into our tensors."""

    @property
    def version(self) -> int:
        """Raised when the same files give other tensors."""
        ...

    def convert(
        self, states: Mapping[str, Mapping[str, Tensor]], documents: Mapping[str, Any]
    ) -> Converted:
        """Convert.

        Args:
            states: Tensors by their names, for each `.pt`, `.ckpt`, `.bin` and `.safetensors` file
                by its name. They may lie in the file and not in memory; they are not modified.
            documents: The content of each `.json` and `.yaml` file by its name, and what a file of
                tensors holds beside them.

        Raises:
            WeightsError: A tensor is missing, left over, or of another shape.
        """
        ...


class StateReader:
    """Gives the tensors of one published file and keeps the books.

    Args:
        state: Tensors by name.
        source: Name of the file, for messages.
    """

    def __init__(self, state: Mapping[str, Tensor], *, source: str) -> None:
        self._state = state
        self._source = source
        self._taken: set[str] = set()
        self._skipped: dict[str, str] = {}

    def take(self, name: str) -> Tensor:
        """Return a tensor, once.

        Raises:
            WeightsError: There is none of this name, or it was taken or skipped before.
        """
        if name not in self._state:
            raise WeightsError(
                Message("{source}: the tensor {name} is missing", source=self._source, name=name),
                hint=Message("the file holds another model, or another version of it"),
            )
        if name in self._taken or name in self._skipped:
            raise WeightsError(
                Message(
                    "{source}: the tensor {name} is asked for a second time",
                    source=self._source,
                    name=name,
                ),
                hint=Message("this is a fault of the converter; each tensor has one use"),
            )
        self._taken.add(name)
        return self._state[name]

    def skip(self, name_or_glob: str, reason: str) -> None:
        """Leave out tensors that are proven to have no part in the result.

        Args:
            name_or_glob: A name, or a pattern with `*` and `?`. It may match nothing: some copies
                of a published file lack what is not used.
            reason: Why that is right.
        """
        for name in self._state:
            if name in self._taken or name in self._skipped:
                continue
            if name == name_or_glob or fnmatch.fnmatchcase(name, name_or_glob):
                self._skipped[name] = reason

    def finish(self) -> dict[str, str]:
        """Close the books.

        Returns:
            The reason for each tensor that was skipped.

        Raises:
            WeightsError: Tensors are left that were neither taken nor skipped; they are named.
        """
        left = [name for name in self._state if name not in self._taken | self._skipped.keys()]
        if left:
            more = len(left) - _NAMED_IN_FULL
            named = Message(
                "{left:,}{what}",
                left=left[:_NAMED_IN_FULL],
                what=Message(" and {more} more", more=more) if more > 0 else "",
            )
            raise WeightsError(
                Message(
                    "{source}: {count} of {number_of__state} tensors are not known: {named}",
                    source=self._source,
                    count=len(left),
                    number_of__state=len(self._state),
                    named=named,
                ),
                hint=Message("the file holds another model, or another version of it"),
            )
        return dict(self._skipped)


def write_converted(
    path: Path,
    converted: Converted,
    *,
    family: str,
    name: str,
    licence: str = "",
    source: SourceRecord | None = None,
    version: int | None = None,
) -> WeightsCard:
    """Write converted tensors with their card; both appear whole or not at all.

    Number formats are kept. Tensors stand in the order given, those of wider numbers first, so
    that each lies at a multiple of its number's size. One tensor at a time is in memory beside
    what the mapping holds.

    Args:
        path: The safetensors file.
        converted: What the converter gave.
        family: That runs them.
        name: Of the set.
        licence: SPDX identifier.
        source: The files that they were made of.
        version: Of the converter.

    Raises:
        OSError: They cannot be written; nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_with_card(path) as (waiting, waiting_card):
        digest = _write_tensors(waiting, converted.tensors)
        card = WeightsCard(
            version=CARD_VERSION,
            family=family,
            name=name,
            sha256=digest,
            licence=licence,
            config=dict(converted.config),
            source=source,
            converter=version,
            unused=dict(converted.unused),
        )
        write_card(waiting_card, card)
    if path.resolve().is_relative_to(weights_folder().resolve()):
        stamps.stamp(path, digest)
    return card


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a safetensors file: 8 bytes of length, a JSON header, the numbers; give its SHA-256."""
    # safetensors' own writer sorts by name, and readers here go through the file from its start.
    order = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header: dict[str, Any] = {}
    end = 0
    for name in order:
        tensor = tensors[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _format_name(name, tensor),
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head: list[bytes | memoryview] = [struct.pack("<Q", len(text)), text]
    return write_pieces(path, chain(head, (_bytes(tensors[name]) for name in order)))[0]


def _bytes(tensor: Tensor) -> memoryview:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    numbers: memoryview = flat.view(torch.uint8).numpy().data
    return numbers


def _format_name(name: str, tensor: Tensor) -> str:
    import torch

    names = {
        torch.float64: "F64",
        torch.float32: "F32",
        torch.float16: "F16",
        torch.bfloat16: "BF16",
        torch.int64: "I64",
        torch.int32: "I32",
        torch.int16: "I16",
        torch.int8: "I8",
        torch.uint8: "U8",
        torch.bool: "BOOL",
    }
    if tensor.dtype not in names:
        raise WeightsError(
            Message(
                "the tensor {name} has numbers of the kind {dtype}", name=name, dtype=tensor.dtype
            ),
            hint=Message("known: {names:,}", names=(str(kind) for kind in names)),
        )
    return names[tensor.dtype]
