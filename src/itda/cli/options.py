"""Arguments and options that several commands have, each said once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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


Input = Annotated[
    str,
    typer.Argument(metavar="FASTA|YAML|-", help="Sequences or jobs; - reads standard input."),
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
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A set of `itda weights list`, or weights of your own. (default: the family's)",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest.")
]
TrainingDevice = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT", help="Take no more memory than this, such as 8G. (default: all)"
    ),
]
Datasets = Annotated[str, typer.Option(help="Names of datasets below DIR, parted by commas.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of text.")]
Host = Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for the whole network.")]
Database = Annotated[
    str | None, typer.Option(metavar="URL", help="The server's database; or ITDA_DATABASE.")
]
