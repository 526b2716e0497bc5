"""What is sent to be folded, and what a server understood of it."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from itda.job.options import RunOptions, SharedOptions
from itda.wire.base import (
    Answer,
    DatabaseName,
    Document,
    Identifier,
    Made,
    Message,
    Name,
    Parameters,
)

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"

Verdict = Literal["runs", "runs frugally", "runs in smaller batches", "refused"]
PriorityName = Literal["urgent", "normal", "background"]


class Options(Message, SharedOptions):
    """How jobs are read and folded; what is left out is the family's or the job's own choice.

    Of `RunOptions` all but what only the machine that folds can know: its files, its addresses.
    """

    family: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$", examples=["mini"])] = "mini"
    """The model family, one of `GET /models`."""

    msa: Literal["none", "mmseqs", "hmmer", "hmmer:phmmer"] | None = None
    """How an alignment is searched for chains that bring none."""

    databases: Annotated[tuple[DatabaseName, ...], Field(max_length=20)] = ()
    """Sequence databases to search, of `GET /databases`; the only one there is unless told."""

    templates: DatabaseName | None = None
    """Database of structures that templates are taken from, of `GET /databases`, or `none`; unless
    told `known-folds`, for a family that takes templates."""

    template: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=300)], ...],
        Field(max_length=100, examples=[["1ubq.cif:A"]]),
    ] = ()
    """Files of this request to fold after, `FILE:CHAIN`; `ID=FILE:CHAIN` for one chain of a job."""

    parameters: Parameters = Field(default={})
    """Parameters of the family's own by their names; `GET /models` lists them."""

    @field_serializer("max_template_date")
    def _date_as_text(self, value: datetime.date | None) -> str | None:
        return None if value is None else value.isoformat()

    @property
    def run(self) -> RunOptions:
        """The same for the machine that folds, where jobs name their own templates."""
        names = Options.model_fields.keys() - {"template"}
        return RunOptions(**{name: getattr(self, name) for name in names})

    def settings(self) -> dict[str, Any]:
        """What of this a job's run is told: all that is not said by the job or left out."""
        reading = {"family", "molecule", "ambiguous", "trim", "template"}
        return self.model_dump(
            mode="json", exclude=reading, exclude_defaults=True, exclude_none=True
        )


class Submission(Options):
    """Jobs to fold: the text of an input file, and how.

    Files that jobs name (alignments, profiles, templates, components) come as parts of a
    `multipart/form-data` request.
    """

    input: Annotated[str, Field(max_length=64 * 2**20, examples=[f">ubiquitin\n{UBIQUITIN}\n"])]
    """FASTA, YAML or JSON, as `itda fold` reads it; or a sequence alone."""

    project: Identifier | None = None
    """Whose jobs they will be; may be left out where the asker can submit to one project only."""

    priority: PriorityName = "normal"
    """`urgent` is for managers of the project."""

    @property
    def options(self) -> Options:
        """What of it says how jobs are folded."""
        return Options(**{name: getattr(self, name) for name in Options.model_fields})


class PlanRequest(Options):
    """An input, to be told what it holds and what it would cost; nothing is kept of it."""

    input: Annotated[str, Field(max_length=64 * 2**20, examples=[f">ubiquitin\n{UBIQUITIN}\n"])]
    """FASTA, YAML or JSON, as `itda fold` reads it; or a sequence alone."""

    @property
    def options(self) -> Options:
        """What of it says how jobs are folded."""
        return Options(**{name: getattr(self, name) for name in Options.model_fields})


class Fault(Made):
    """What is wrong, and what would work."""

    kind: Annotated[str, Field(examples=["InputError"])]
    """Kind of error, as the Python package calls it."""

    problem: Annotated[str, Field(examples=["record 2 'x' (line 3): sequence is empty"])]
    """What was found, naming the file, record or field and the rule it breaks."""

    hint: str = ""
    """What would work instead."""


class ChainGroup(Answer):
    """A molecule and its copies."""

    ids: Annotated[tuple[str, ...], Field(examples=[["A"]])]
    """Chain ids, one for each copy."""

    molecule: Literal["protein", "dna", "rna", "ligand", "ion"]
    """What it is."""

    length: Annotated[int, Field(examples=[76])]
    """Residues of one copy; 1 for a ligand or ion."""

    label: str = ""
    """CCD codes or SMILES of what has no sequence, cut where it is long."""


class RecordUnderstood(Answer):
    """One record of an input, and what it would cost with the chosen family."""

    index: Annotated[int, Field(examples=[1])]
    """Place in the input, counted from 1."""

    file: str = ""
    """File that it stands in; empty where text was pasted."""

    name: Annotated[str, Field(examples=["ubiquitin"])]
    """Name of the job; may be empty where the record cannot be read."""

    chains: tuple[ChainGroup, ...] = ()
    """Its molecules."""

    residues: Annotated[int, Field(examples=[76])] = 0
    """Of all chains; what has no sequence counts as one."""

    samples: int = 1
    """Structures that will come of it, over all seeds."""

    warnings: tuple[str, ...] = ()
    """What was changed in it, or looks like a slip."""

    verdict: Verdict = "refused"
    """Whether the chosen family will fold it."""

    seconds: Annotated[float | None, Field(examples=[18.3])] = None
    """What folding takes, weights loaded, over all seeds; None where it is refused."""

    bytes: Annotated[int | None, Field(examples=[3_626_388_936])] = None
    """Peak memory."""

    error: Fault | None = None
    """Why it is refused."""


class FamilyUnderstood(Answer):
    """Whether a family can fold an input."""

    name: Annotated[str, Field(examples=["mini"])]
    """As it is chosen."""

    title: str
    """One line about it."""

    able: int
    """Records that it can fold."""

    of: int
    """Records that could be read."""

    seconds: float | None = None
    """Of all that it can fold, one after the other, with loading; None where that is nothing."""

    bytes: int | None = None
    """Peak memory of the largest."""

    licence: str
    """Of its weights."""

    non_commercial: bool
    """Whether its licence forbids commercial use."""

    available: bool
    """Whether its weights are on the server."""

    refusals: tuple[Fault, ...] = ()
    """Why it cannot: of up to five records."""

    @property
    def can(self) -> bool:
        """Whether it folds every record that could be read."""
        return self.available and self.of > 0 and self.able == self.of


class Understood(Answer):
    """What an input holds, who can fold it, at what cost, and when it would start."""

    records: tuple[RecordUnderstood, ...] = ()
    """Every record, in order."""

    total: int = 0
    """How many records there are; `records` may be the first of them only."""

    families: tuple[FamilyUnderstood, ...] = ()
    """Every family of the server."""

    family: str = "mini"
    """The chosen one."""

    accepted: int = 0
    """Records that the chosen family will fold."""

    seconds: float = 0.0
    """What they take, one after the other, loading of weights included."""

    bytes: int = 0
    """Peak memory of the largest."""

    device_kind: Annotated[str, Field(examples=["cpu"])] = "cpu"
    """`cpu` or `gpu`."""

    device: str = ""
    """On which the cost was reckoned."""

    reckoned: str = ""
    """Where the constants of the prediction come from."""

    starts_in_seconds: float | None = None
    """When the first would start; None where no worker is known."""

    problems: tuple[Fault, ...] = ()
    """What is wrong with the input as a whole, its files or its options."""

    @property
    def ok(self) -> bool:
        """Whether anything can be submitted."""
        return not self.problems and self.accepted > 0


__all__ = [
    "UBIQUITIN",
    "ChainGroup",
    "Document",
    "FamilyUnderstood",
    "Fault",
    "Name",
    "Options",
    "PlanRequest",
    "PriorityName",
    "RecordUnderstood",
    "Submission",
    "Understood",
    "Verdict",
]
