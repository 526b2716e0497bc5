"""The sets of weights that Itda knows, read from `weight_sets.yaml`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from itda.errors import WeightsError
from itda.language import Message

_SETS = "weight_sets.yaml"
_LICENCES = "licences"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Record):
    """One file of a set, as its publisher gives it.

    Attributes:
        name: Path below the set's folder, with `/`.
        bytes: Exact size; None where it is not published.
        about_bytes: Rough size for people and for the check of free disk, where `bytes` is None.
        sha256: Of the file; None where it is not published.
    """

    name: str
    bytes: int | None = Field(ge=0)
    about_bytes: int | None = Field(None, ge=0)
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("name")
    @classmethod
    def _stays_in_the_folder(cls, name: str) -> str:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or "\\" in name or ".." in path.parts:
            raise ValueError("must be a path below the set's folder")
        return name

    @property
    def expected_bytes(self) -> int | None:
        """The size, exact or rough; None where nothing is known."""
        return self.bytes if self.bytes is not None else self.about_bytes


class Licence(_Record):
    """What may be done with a set of weights.

    Attributes:
        spdx: SPDX identifier, or `LicenseRef-...` where there is none.
        title: For people.
        text: File with the whole text, in `hub/licences`.
        non_commercial: Whether commercial use is forbidden; such a licence is acknowledged once.
        forbids: What it forbids or demands, in plain sentences.
    """

    spdx: str
    title: str
    text: str
    non_commercial: bool
    forbids: tuple[str, ...]


class BuiltIn(_Record):
    """Weights that come with Itda.

    Attributes:
        folder: Inside the package `itda`.
    """

    kind: Literal["built-in"]
    folder: str


class Package(_Record):
    """Weights inside another Python package.

    Attributes:
        distribution: As pip installs it.
        versions: Those that may hold these weights, as pip writes a range.
        digests_of_version: The version that the digests in this table are of.
        folder: Inside the installed package.
        extra: Of Itda, which installs it.
    """

    kind: Literal["package"]
    distribution: str
    versions: str
    digests_of_version: str
    folder: str
    extra: str


class HuggingFace(_Record):
    """Weights in a repository of the Hugging Face hub.

    Attributes:
        repo: Such as `facebook/esmfold_v1`.
        revision: Commit; a name such as `main` would move.
    """

    kind: Literal["huggingface"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")


class Http(_Record):
    """Weights on a web server.

    Attributes:
        url: Of the folder that the files are in.
    """

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://")


Source = Annotated[BuiltIn | Package | HuggingFace | Http, Field(discriminator="kind")]


class WeightSet(_Record):
    """One published set of weights.

    Attributes:
        name: As it is chosen: `itda weights pull NAME`.
        family: Model family that runs it.
        title: One line for a list.
        source: Where its files come from.
        files: Its files, as published. No other file is read.
        licence: What may be done with it.
        citations: What to cite for results.
        homepage: Where to read more; empty for none.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    family: str
    title: str
    source: Source
    files: tuple[PublishedFile, ...] = Field(min_length=1)
    licence: Licence
    citations: tuple[str, ...]
    homepage: str

    @model_validator(mode="after")
    def _names_are_unique(self) -> WeightSet:
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError("two files have one name")
        return self

    @property
    def expected_bytes(self) -> int:
        """Size of all files together, as far as it is known."""
        return sum(file.expected_bytes or 0 for file in self.files)

    def file(self, name: str) -> PublishedFile | None:
        """Return the file of a name; None where the set has none."""
        return next((file for file in self.files if file.name == name), None)


@cache
def weight_sets() -> Mapping[str, WeightSet]:
    """Return all sets by name, in the order of the table.

    >>> list(weight_sets())
    ['mini', 'flashabb', 'esmfold_v1']
    """
    import yaml

    text = resources.files("itda.hub").joinpath(_SETS).read_text(encoding="utf-8")
    sets = TypeAdapter(tuple[WeightSet, ...]).validate_python(yaml.safe_load(text))
    return MappingProxyType({weight_set.name: weight_set for weight_set in sets})


def get_weight_set(name: str) -> WeightSet:
    """Return the set of a name.

    Raises:
        WeightsError: No set has this name; the nearest is named.
    """
    sets = weight_sets()
    if name in sets:
        return sets[name]
    close = difflib.get_close_matches(name.lower(), sets, n=1)
    raise WeightsError(
        Message("there is no set of weights '{name}'", name=name),
        hint=Message("did you mean {close}?", close=close[0])
        if close
        else Message("known: {sets:,}", sets=sets),
    )


def sets_of_family(family: str) -> tuple[WeightSet, ...]:
    """Return the sets that a family runs, its default first; empty for an unknown family."""
    return tuple(one for one in weight_sets().values() if one.family == family)


def licence_text(licence: Licence) -> str:
    """Return the whole text of a licence."""
    return resources.files("itda.hub").joinpath(_LICENCES, licence.text).read_text(encoding="utf-8")
