"""What the commands of `itda db` share: options, and how a database is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from itda.hub.folders import shown_bytes

if TYPE_CHECKING:
    from itda.search.databases.database import Database
    from itda.search.databases.known_folds import KnownFolds

Name = Annotated[str, typer.Argument(help="What to call it: letters, digits, '.', '_', '-'.")]
Shards = Annotated[
    int | None, typer.Option(min=1, help="Cut into so many parts of about equal size.")
]
ShardResidues = Annotated[
    int | None,
    typer.Option(min=1, help="Begin a new part after so many residues. (default: 500,000,000)"),
]
Index = Annotated[
    bool,
    typer.Option("--index", help="Compute MMseqs2's index beforehand: 1 GB and more a part."),
]
Gpu = Annotated[
    bool, typer.Option("--gpu", help="Lay MMseqs2's files out for a GPU; not with --index.")
]
NoMmseqs = Annotated[
    bool, typer.Option("--no-mmseqs", help="Make no MMseqs2 files; hmmer alone searches it.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor cores for MMseqs2. (default: all)")
]


def describe(database: Database) -> None:
    """Print what a database holds."""

    from itda.search.databases.known_folds import KnownFolds
    from itda.structure.chains.rejection import REJECTED_TABLE

    if isinstance(database, KnownFolds):
        _describe_library(database)
        return
    manifest = database.manifest
    counts = manifest["counts"]
    what = "chain" if database.kind == "structures" else "sequence"
    typer.echo(
        f"{database.name}: {_counted(database.sequences, what)}, "
        f"{_counted(database.residues, 'residue')} in {_counted(len(database.shards), 'part')}, "
        f"{shown_bytes(database.size_bytes)}"
    )
    typer.echo(f"  folder: {database.folder}")
    typer.echo(f"  digest: {database.digest}")
    typer.echo(f"  MMseqs2: {mmseqs_state(database)}")
    if database.kind == "structures":
        dates = counts["release_dates"]
        known = "none known: a limit by date leaves out every chain"
        if dates["known"]:
            known = f"{dates['known']:,} known, {dates['first']} to {dates['last']}"
        typer.echo(f"  release dates: {known}")
    if counts.get("changed"):
        typer.echo(f"  rid of gaps or stops: {_counted(counts['changed'], 'sequence')}")
    if counts.get("repeated_names"):
        typer.echo(
            f"  repeated names: {_counted(counts['repeated_names'], 'record')}, such as "
            f"{', '.join(counts['repeated_examples'])}; all are kept"
        )
    for reason, count in counts["left_out"].items():
        typer.echo(f"  left out: {count:,} ({reason})")
    if counts["left_out"]:
        typer.echo(f"  each of them: {database.folder / REJECTED_TABLE}")


def _describe_library(library: KnownFolds) -> None:
    facts = library.manifest
    typer.echo(
        f"{library.name}: {_counted(library.sequences, 'chain')} with profiles, "
        f"{_counted(library.residues, 'residue')}, {shown_bytes(library.size_bytes)}"
    )
    typer.echo(f"  file: {library.folder}")
    typer.echo(f"  digest: {library.digest}")
    typer.echo(f"  what: {facts['title']}, backbones to {facts['step_angstrom']} angstrom")
    typer.echo(f"  source: {facts['source']}; {facts['licence']}")
    typer.echo(f"  released before {library.knows_until}; no single dates are known")


def mmseqs_state(database: Database) -> str:
    """Say which files of MMseqs2 a database has."""
    if not database.has_mmseqs:
        return "none"
    version = str(database.manifest["mmseqs"]["version"])[:12]
    if database.manifest["mmseqs"]["gpu"]:
        return f"{version}, for GPUs"
    return f"{version}, {'with index' if database.has_index else 'no index'}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
