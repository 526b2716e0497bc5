"""Arguments and options that several commands have, each said once."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli import complete
from itda.cli.progress_style import ProgressStyle
from itda.errors import InputError
from itda.language import Message

if TYPE_CHECKING:
    from itda.job.options import RunOptions
    from itda.train.split import Split


class MoleculeChoice(StrEnum):
    """What the records of a FASTA file are."""

    AUTO = "auto"
    PROTEIN = "protein"
    DNA = "dna"
    RNA = "rna"


class AmbiguousChoice(StrEnum):
    """What happens to ambiguous and rare letters."""

    REFUSE = "refuse"
    X = "x"


class EffortChoice(StrEnum):
    """How many candidate sets of templates are tried."""

    QUICK = "quick"
    NORMAL = "normal"
    THOROUGH = "thorough"


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FASTA|YAML|-",
        help="Files of sequences or jobs, folders of them, quoted patterns such as '*.fasta'; "
        "- reads standard input.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        autocompletion=complete.models,
        help="Model family; `itda models` says what each folds, and with which outputs.",
    ),
]
Molecule = Annotated[MoleculeChoice, typer.Option(help="What the records of a FASTA file are.")]
Ambiguous = Annotated[
    AmbiguousChoice,
    typer.Option(help="Letters such as B, Z, U: refuse the record, or read them as X."),
]
Samples = Annotated[
    int | None,
    typer.Option(
        min=1, help="Structures from each seed. (default: one for each set of templates, else 1)"
    ),
]
Effort = Annotated[
    EffortChoice,
    typer.Option(
        help="Fold after 1, up to 5 or up to 10 candidate sets of templates, and let confidence "
        "choose."
    ),
]
Recycles = Annotated[
    int | None, typer.Option(min=0, help="Passes beyond the first. (default: the family's)")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the random numbers. (default: 0)")]
Profile = Annotated[
    Path | None,
    typer.Option(help="Profile of the one record, or a folder with NAME.tsv for each."),
]
Msa = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCH|PATH",
        autocompletion=complete.searches,
        help="none, mmseqs, hmmer, hmmer:phmmer or server:URL to search for an alignment; "
        "or an alignment (A3M, Stockholm, aligned FASTA) of the one record, or a folder with "
        "NAME.a3m for each. (default: none)",
    ),
]
SequenceDatabases = Annotated[
    list[str] | None,
    typer.Option(
        "--db",
        metavar="NAME",
        autocompletion=complete.sequence_databases,
        help="Sequence database to search, of `itda db list`; may be given more than once. "
        "(default: the only one there is)",
    ),
]
Templates = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|none",
        autocompletion=complete.structure_databases,
        help="Database of structures to take templates from. (default: known-folds, which comes "
        "with Itda, where the family takes templates)",
    ),
]
OwnTemplates = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        metavar="FILE[:CHAIN]",
        help="Structure of your own to fold after: mmCIF, BinaryCIF or PDB. It goes to every "
        "protein whose sequence is alike; A=FILE:CHAIN names the one it is for. Stands before what "
        "--templates finds; may be given more than once.",
    ),
]
MaxTemplateDate = Annotated[
    str | None,
    typer.Option(metavar="YYYY-MM-DD", help="Take no template released after this day."),
]
MaxTemplateIdentity = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Take no template more like the query than this, 0 to 1."),
]
TemplateCount = Annotated[
    int | None, typer.Option(min=1, help="Most templates of a chain. (default: 4)")
]
Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="The same bits each time, at some cost in speed."),
]
FamilyParameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=VALUE",
        help="Parameter of the model family's own, of `itda models NAME`; may be given more than "
        "once.",
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor cores for searches. (default: all)")
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        autocompletion=complete.weight_sets,
        help="A set of `itda weights list`, or weights of your own. (default: the family's)",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        autocompletion=complete.devices,
        help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest.",
    ),
]
TrainingDevice = Annotated[
    str, typer.Option(autocompletion=complete.devices, help="auto, cpu, cuda or mps.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT", help="Take no more memory than this, such as 8G. (default: all)"
    ),
]
Trim = Annotated[
    bool,
    typer.Option(
        "--trim", help="Cut chains to what the model folds: a Fab or an IgG to its Fv (flashabb)."
    ),
]
ResultFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where results go. (default: INPUT_itda; of several, results_itda)"
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option(min=1, help="Most records that are folded in one batch. (default: what fits)"),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use no network: refuse at once what would need it.")
]
ReplaceResults = Annotated[
    bool, typer.Option("--overwrite", help="Replace results of another run in DIR.")
]
StageFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where work is kept for later runs. (default: your cache)"),
]
Progress = Annotated[
    ProgressStyle,
    typer.Option(
        help="How the run is shown: a bar, lines, JSON lines on standard output, or only "
        "problems; auto is a bar on a terminal."
    ),
]
JsonEvents = Annotated[bool, typer.Option("--json", help="The same as --progress json.")]
SentMsa = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCH", help="none, mmseqs, hmmer or hmmer:phmmer, on the server. (default: none)"
    ),
]
SentDatabases = Annotated[
    list[str] | None,
    typer.Option("--db", metavar="NAME", help="Sequence database of the server; may be repeated."),
]
SentTemplates = Annotated[
    str | None, typer.Option(metavar="NAME", help="Database of structures of the server, or none.")
]
Datasets = Annotated[
    str | None,
    typer.Option(
        help="Names of datasets below DIR, parted by commas. (default: those of the split)"
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")]
Host = Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for the whole network.")]
Database = Annotated[
    str | None, typer.Option(metavar="URL", help="The server's database; or ITDA_DATABASE.")
]


@dataclass(frozen=True, kw_only=True)
class SharedArguments:
    """Options of a run wherever it is made; each is called as the field of `RunOptions` is."""

    family: Model = "mini"
    samples: Samples = None
    effort: Effort = EffortChoice.NORMAL
    seed: Seed = None
    recycles: Recycles = None
    msa: Msa = None
    databases: SequenceDatabases = None
    templates: Templates = None
    template: OwnTemplates = None
    max_template_date: MaxTemplateDate = None
    max_template_identity: MaxTemplateIdentity = None
    template_count: TemplateCount = None
    trim: Trim = False
    molecule: Molecule = MoleculeChoice.AUTO
    ambiguous: Ambiguous = AmbiguousChoice.REFUSE
    deterministic: Deterministic = False
    parameters: FamilyParameters = None

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the defaults, by field of `RunOptions`.

        Raises:
            InputError: A parameter is no `NAME=VALUE`, or is given twice.
        """
        told = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        given = {
            name: value.value if isinstance(value, StrEnum) else value
            for name, (value, default) in told.items()
            if name == "family" or value not in (default, [])
        }
        if self.parameters:
            given["parameters"] = _by_name(self.parameters)
        return given


def _by_name(parameters: list[str]) -> dict[str, Any]:
    """Take `NAME=VALUE` apart; a value in brackets is JSON, any other stays text."""
    found: dict[str, Any] = {}
    for text in parameters:
        name, parted, value = text.partition("=")
        if not (name and parted):
            raise InputError(
                Message("{--parameter:{text}}: is no NAME=VALUE", text=text),
                hint=Message("write it as {--parameter} steps=200"),
            )
        if name in found:
            raise InputError(
                Message("{--parameter:{name}}: is given twice", name=name),
                hint=Message("give it once"),
            )
        try:
            found[name] = json.loads(value) if value.startswith(("[", "{")) else value
        except ValueError as error:
            raise InputError(
                Message("{--parameter:{text}}: the value is no JSON", text=text),
                hint=Message('write lists as ["a", "b"]'),
            ) from error
    return found


@dataclass(frozen=True, kw_only=True)
class RunArguments(SharedArguments):
    """Options of a run on this machine."""

    profile: Profile = None
    weights: Weights = None
    threads: Threads = None

    def options(self) -> RunOptions:
        """Return what they stand for.

        Raises:
            InputError: A value breaks a rule.
        """
        from itda.job.options import RunOptions

        return RunOptions.checked(**self.given)


@dataclass(frozen=True, kw_only=True)
class SentArguments(SharedArguments):
    """Options of a run on a server, whose databases are its own."""

    msa: SentMsa = None
    databases: SentDatabases = None
    templates: SentTemplates = None


def named_datasets(named: str | None, split: Split) -> list[str]:
    """Return the names of the datasets that are asked for.

    Raises:
        DataError: None are named, and the split does not say.
    """
    return split.datasets if named is None else [name.strip() for name in named.split(",")]
