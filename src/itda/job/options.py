"""How a run is to be made: the options that command line, Python, REST and workers have in common.

`RunOptions` is said once, here. A face gives its users the fields that make sense there, and hands
a `RunOptions` on; `itda.engine.run_settings` makes the engine's settings of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from itda.errors import InputError
from itda.job.letters import Ambiguous
from itda.job.model import MAXIMUM_SAMPLES
from itda.job.problems import explain
from itda.job.sequences import MoleculeOption
from itda.language import Message

Effort = Literal["quick", "normal", "thorough"]

TEMPLATE_SETS: Mapping[Effort, int] = {"quick": 1, "normal": 5, "thorough": 10}
"""Most candidate sets of templates that a chain is folded after, by effort."""


class SharedOptions(BaseModel):
    """What may be said to any machine: nothing of it is a path or an address."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    family: str = "mini"
    """The model family."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    """Replaces the seeds that jobs name."""

    samples: Annotated[int, Field(ge=1, le=MAXIMUM_SAMPLES)] | None = None
    """Structures from each seed; replaces what jobs name."""

    effort: Effort = "normal"
    """How many candidate sets of templates are tried: at most 1, 5 or 10."""

    recycles: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Passes of the trunk beyond the first; the family's choice unless told."""

    databases: tuple[str, ...] = ()
    """Sequence databases to search; the only one there is unless told."""

    templates: str | None = None
    """Database of structures that templates are taken from, or `none`; unless told the library of
    known folds, for a family that takes templates."""

    max_template_date: datetime.date | None = None
    """Take no template that was released after this day."""

    max_template_identity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """Take no template more like the query than this, 0 to 1."""

    template_count: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Most templates of a chain."""

    deterministic: bool = False
    """The same bits each time, at some cost in speed."""

    molecule: MoleculeOption = "auto"
    """What the records of a FASTA file are."""

    ambiguous: Ambiguous = "refuse"
    """Letters such as B, Z, U: refuse the record, or read them as X."""

    trim: bool = False
    """Cut chains to what the family folds, such as a Fab to its Fv (`flashabb`)."""

    parameters: Mapping[str, Any] = {}
    """Parameters of the family's own by their names; `itda models NAME` lists them."""


class RunOptions(SharedOptions):
    """All that says how jobs are read and folded; what is None is the family's or job's choice."""

    model_config = ConfigDict(strict=True)

    msa: str | Path | None = None
    """How alignments are searched, `server:URL` among the ways; or a file or folder of them."""

    profile: str | Path | None = None
    """A profile, or a folder of them."""

    template: tuple[str | Path, ...] = ()
    """Structures of one's own to fold after, `FILE:CHAIN`; `ID=FILE:CHAIN` for one chain."""

    weights: str | Path | None = None
    """A published set by its name, or a file of one's own."""

    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor cores for searches; all that this process may use unless told."""

    @classmethod
    def checked(cls, **options: Any) -> Self:
        """Check what a user gave.

        Raises:
            InputError: A field is not known, or its value breaks a rule.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            raise explain(error) from error

    @field_validator("databases", "template", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else tuple(value or ())

    @field_validator("max_template_date", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise InputError(
                Message("{--max-template-date:{value}}: is no date", value=value),
                hint=Message("write it as 2021-09-30"),
            ) from None
