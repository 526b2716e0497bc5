"""Arguments and options that several commands have, each said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli import complete

if TYPE_CHECKING:
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


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FASTA|YAML|-",
        help="Files of sequences or jobs, folders of them, quoted patterns such as '*.fasta'; "
        "- reads standard input.",
    ),
]
Molecule = Annotated[MoleculeChoice, typer.Option(help="What the records of a FASTA file are.")]
Ambiguous = Annotated[
    AmbiguousChoice,
    typer.Option(help="Letters such as B, Z, U: refuse the record, or read them as X."),
]
Samples = Annotated[int | None, typer.Option(min=1, help="Structures from each seed. (default: 1)")]
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
        help="Database of structures to take templates from. (default: none)",
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


def named_datasets(named: str | None, split: Split) -> list[str]:
    """Return the names of the datasets that are asked for.

    Raises:
        DataError: None are named, and the split does not say.
    """
    return split.datasets if named is None else [name.strip() for name in named.split(",")]
