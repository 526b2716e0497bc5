"""Weights as one safetensors file with a card beside it that says what they are.

`NAME.safetensors` holds the tensors; `NAME.json`, its card, holds the SHA-256 of that file, the
sizes of the network, the licence, and how the weights were made. Weights without a card, or whose
digest is another, are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from itda.errors import DependencyError, WeightsError
from itda.hub import stamps
from itda.hub.folders import weights_folder
from itda.language import Message
from itda.storage import file_digest, replacing

if TYPE_CHECKING:
    from torch import Tensor

CARD_VERSION = 1


class SourceRecord(BaseModel):
    """The published files that converted weights were made of.

    Attributes:
        name: Of the set.
        origin: Package and version, or repository and revision, or address.
        files: SHA-256 of each file by its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    origin: str
    files: dict[str, str]


class WeightsCard(BaseModel):
    """What a set of weights is and where it comes from.

    Attributes:
        version: Of this format.
        family: Model family that the weights belong to.
        name: Of this set.
        sha256: Of the safetensors file.
        licence: SPDX identifier.
        config: Sizes of the network.
        training: Recipe, steps, data, device and date, as the training run knew them.
        evaluation: Scores on held-out chains, as `itda eval` gave them.
        source: The published files of converted weights; None for our own.
        converter: Version of the converter that made them; None for our own.
        unused: Published tensors that were left out, and why that is right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(CARD_VERSION, ge=1, le=CARD_VERSION)
    family: str
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    config: dict[str, Any]
    training: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}
    source: SourceRecord | None = None
    converter: int | None = None
    unused: dict[str, str] = {}


def card_path(weights: Path) -> Path:
    """Give the place of the card that belongs to a safetensors file."""
    return weights.with_suffix(".json")


def read_card(weights: Path) -> WeightsCard:
    """Read a card without touching the weights.

    Raises:
        WeightsError: The weights or their card are missing, or the card breaks its format.
    """
    card = card_path(weights)
    for path in (weights, card):
        if not path.is_file():
            raise WeightsError(
                Message("{path} is missing", path=path),
                hint=Message("weights are a .safetensors file with its .json card beside it"),
            )
    try:
        return WeightsCard.model_validate_json(card.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise WeightsError(
            Message("{card}: {place}: {first}", card=card, place=place, first=first["msg"])
        ) from error


def verify(weights: Path, *, anew: bool = False) -> WeightsCard:
    """Read the card and check that the weights have the digest it names.

    A file below `weights_folder()` is hashed again only where it changed since it was hashed last.

    Args:
        weights: The safetensors file.
        anew: Whether it is hashed in any case.

    Raises:
        WeightsError: A file is missing, truncated or altered.
    """
    card = read_card(weights)
    if weights.resolve().is_relative_to(weights_folder().resolve()):
        if anew:
            stamps.forget(weights)
        digest = stamps.digest_of(weights)
    else:
        digest = file_digest(weights)
    if digest != card.sha256:
        where = Message("copy the weights and their card again")
        if card.source is not None:
            where = Message(
                "`itda weights remove {source} --converted`; the next use makes it",
                source=card.source.name,
            )
        raise WeightsError(
            Message(
                "{weights} ({st_size} bytes) has SHA-256 {digest}…, but its card says "
                "{sha256}…: it was truncated or altered",
                weights=weights,
                st_size=weights.stat().st_size,
                digest=digest[:16],
                sha256=card.sha256[:16],
            ),
            hint=Message("{where} again", where=where)
            if card.source
            else Message("install Itda again, or {where}", where=where),
        )
    return card


def verify_for(weights: Path, *, family: str) -> WeightsCard:
    """Check that weights are whole and belong to a family, without reading them into memory.

    Args:
        weights: The safetensors file.
        family: The family that is to run them.

    Raises:
        WeightsError: They are not whole, or belong to another family.
    """
    card = verify(weights)
    if card.family != family:
        raise WeightsError(
            Message(
                "{weights} holds weights of the family {family}, not {family_2}",
                weights=weights,
                family=card.family,
                family_2=family,
            ),
            hint=Message("choose {--model:{family}}", family=card.family),
        )
    return card


def load(weights: Path, *, family: str) -> tuple[WeightsCard, dict[str, Tensor]]:
    """Read verified weights as float32 tensors.

    Args:
        weights: The safetensors file.
        family: The family that is to run them.

    Raises:
        WeightsError: They are not whole, or belong to another family.
        DependencyError: PyTorch is not installed.
    """
    card = verify_for(weights, family=family)
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise DependencyError(
            Message("PyTorch is not installed"), hint=Message('pip install "itda[engine]"')
        ) from error
    return card, {name: tensor.float() for name, tensor in load_file(weights).items()}


def save(weights: Path, tensors: Mapping[str, Tensor], *, card: Mapping[str, Any]) -> WeightsCard:
    """Write tensors as float16 with a card; each file appears whole or not at all.

    Args:
        weights: The safetensors file to write.
        tensors: By name.
        card: What `WeightsCard` holds, but for the digest.
    """
    import torch
    from safetensors.torch import save_file

    weights.parent.mkdir(parents=True, exist_ok=True)
    with replacing_with_card(weights) as (waiting, waiting_card):
        save_file(
            {name: t.detach().cpu().to(torch.float16).contiguous() for name, t in tensors.items()},
            waiting,
        )
        filled = WeightsCard(sha256=file_digest(waiting), **card)
        write_card(waiting_card, filled)
    return filled


@contextmanager
def replacing_with_card(weights: Path) -> Iterator[tuple[Path, Path]]:
    """Give paths for weights and their card, which get their names if the block ends well.

    Raises:
        OSError: They cannot be written; nothing is left.
    """
    # The weights are given their name first: without a card they are not read.
    with replacing(card_path(weights)) as waiting_card, replacing(weights) as waiting:
        yield waiting, waiting_card


def write_card(path: Path, card: WeightsCard) -> None:
    """Write a card as JSON."""
    path.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
