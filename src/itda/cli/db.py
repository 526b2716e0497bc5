"""`itda db`: databases to search for alignments and templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli import complete
from itda.cli.db_get import components_line, get
from itda.cli.db_shared import (
    Gpu,
    Index,
    Name,
    NoMmseqs,
    ShardResidues,
    Shards,
    Threads,
    describe,
    mmseqs_state,
)
from itda.cli.output import exit_status, print_error, print_hint, print_problem, print_table
from itda.cli.step_progress import step_progress
from itda.errors import InputError
from itda.hub.folders import shown_bytes
from itda.language import Message
from itda.machine import usable_cores

if TYPE_CHECKING:
    from itda.search.databases.sources import FastaSource

app = typer.Typer(
    help="Databases to search for alignments and templates: get, add, list, check, remove.\n\n"
    "They are in $ITDA_DATABASES, else in itda/databases in the user's data folder.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("get")(get)


@app.command("add")
def add(
    name: Name,
    fasta: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FASTA|DEB]...",
            help="Protein sequences, also compressed with gzip or zstd; or Debian's "
            "metastudent-data.",
        ),
    ] = None,
    shards: Shards = None,
    shard_residues: ShardResidues = None,
    index: Index = False,
    gpu: Gpu = False,
    no_mmseqs: NoMmseqs = False,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave records that cannot be used out, and list them."),
    ] = False,
    any_count: Annotated[
        bool, typer.Option("--any-count", help="metastudent-data: another release than 2.0.1.")
    ] = False,
    threads: Threads = None,
) -> None:
    """Make a database of FASTA files.

    It appears whole or not at all; a build that was killed goes on when the same command is given
    again. `swissprot-2014` without a file is fetched with `apt-get download metastudent-data`.
    """
    from itda.search.databases.registry import Databases

    source = _sequences_of(name, fasta or [], any_count)

    with step_progress(f"building {name}") as progress:
        database = Databases().add_sequences(
            name,
            source,
            shards=shards,
            shard_residues=shard_residues,
            index=index,
            gpu=gpu,
            mmseqs=not no_mmseqs,
            skip_bad=skip_bad,
            threads=threads or usable_cores(),
            progress=progress,
        )
    describe(database)


@app.command("add-structures")
def add_structures(
    name: Name,
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|promod3",
            help="A folder of mmCIF, BinaryCIF or PDB files, also gzipped; or Debian's "
            "promod3-data.",
        ),
    ],
    max_date: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="Only entries released by this day.")
    ] = "",
    max_resolution: Annotated[
        float | None, typer.Option(min=0, help="Worst resolution, angstrom. (default: 9)")
    ] = None,
    min_completeness: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Least part of residues with a whole backbone. (default: 0.5)"
        ),
    ] = None,
    min_length: Annotated[int, typer.Option(min=1, help="Fewest residues of a chain.")] = 20,
    deb: Annotated[
        Path | None, typer.Option(metavar="FILE", help="promod3: the package file.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="promod3: its structure_db.dat, unpacked.")
    ] = None,
    any_count: Annotated[
        bool, typer.Option("--any-count", help="promod3: another release than 3.2.1.")
    ] = False,
    shards: Shards = None,
    shard_residues: ShardResidues = None,
    index: Index = False,
    gpu: Gpu = False,
    no_mmseqs: NoMmseqs = False,
    threads: Threads = None,
) -> None:
    """Make a database that templates are taken from.

    `promod3` is fetched with `apt-get download` unless --deb or --file is given; a folder of that
    name is ./promod3. What is left out stands in rejected.tsv with its reason.
    """
    from dataclasses import replace

    from itda.search.databases.registry import Databases
    from itda.search.databases.structures import (
        TEMPLATE_FILTERS,
        FolderStructures,
        Promod3Structures,
        StructureSource,
        released_by,
    )

    opened: StructureSource
    filters = {"max_resolution_angstrom": max_resolution, "min_completeness": min_completeness}
    given = {key: value for key, value in filters.items() if value is not None}
    if source == "promod3":
        _refuse_options(
            "promod3, which holds whole X-ray backbones of 2.8 angstrom or better",
            {"--max-resolution": max_resolution, "--min-completeness": min_completeness},
        )
        opened = Promod3Structures(deb, file, min_length, any_count, max_date)
    else:
        _refuse_options(
            "a folder of structures",
            {"--deb": deb, "--file": file, "--any-count": any_count or None},
        )
        rules: Any = {**given, "min_length": min_length}
        opened = FolderStructures(
            Path(source), released_by(replace(TEMPLATE_FILTERS, **rules), max_date)
        )
    with step_progress(f"building {name}") as progress:
        database = Databases().add_structures(
            name,
            opened,
            shards=shards,
            shard_residues=shard_residues,
            index=index,
            gpu=gpu,
            mmseqs=not no_mmseqs,
            threads=threads or usable_cores(),
            progress=progress,
        )
    describe(database)


@app.command("list")
def list_databases() -> None:
    """Say which databases there are and what they hold."""
    from itda.errors import DataError
    from itda.search.databases.registry import Databases

    databases = Databases()
    names, unfinished = databases.names(), databases.unfinished()
    half_fetched = databases.half_fetched()
    if not names and not unfinished and not half_fetched:
        typer.echo(f"no databases in {databases.folder}")
        typer.echo(components_line())
        return
    damaged = 0
    rows = [("name", "kind", "sequences", "residues", "parts", "size", "MMseqs2", "added")]
    for name in names:
        try:
            database = databases.get(name)
        except DataError as error:
            print_error(error, name=name)
            damaged += 1
            continue
        rows.append(
            (
                name,
                database.kind,
                f"{database.sequences:,}",
                f"{database.residues:,}",
                str(len(database.shards)),
                shown_bytes(database.size_bytes),
                mmseqs_state(database),
                database.added,
            )
        )
    if len(rows) > 1:
        print_table(rows)
    for name in sorted(unfinished.keys() | half_fetched):
        size = unfinished.get(name, 0) + half_fetched.get(name, 0)
        again = f"`itda db get {name}`" if name in half_fetched else "the same `itda db add` again"
        typer.echo(
            f"{name}: unfinished, {shown_bytes(size)}; {again} goes on, "
            f"`itda db remove {name}` frees it"
        )
    typer.echo(components_line())
    typer.echo(f"in {databases.folder}")
    raise typer.Exit(exit_status(len(names) - damaged, len(names)))


@app.command("check")
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", autocompletion=complete.databases, help="Which. (default: all)"
        ),
    ] = None,
) -> None:
    """Compare every byte and record with what the manifest says.

    Exit status: 0 all whole, 1 none, 2 some.
    """
    from itda.search.databases.known_folds import NAME as KNOWN_FOLDS
    from itda.search.databases.registry import Databases

    databases = Databases()
    chosen = tuple(dict.fromkeys(names)) if names else databases.names()
    if not chosen:
        typer.echo(f"no databases in {databases.folder}")
        return
    for name in chosen:
        databases.path(name)
    whole = 0
    for name in chosen:
        with step_progress(f"checking {name}") as progress:
            report = databases.check(name, progress=progress)
        if report.database is not None:
            whole += 1
            describe(report.database)
            typer.echo("  whole: every file, record and digest is as the manifest says")
        for problem in report.problems:
            print_problem(Message("{name}: {problem}", name=name, problem=problem))
        if report.problems:
            print_hint(
                Message("install Itda again")
                if name == KNOWN_FOLDS
                else Message("`itda db remove {name}` and add it again", name=name)
            )
        for note in report.notes:
            typer.echo(f"  note: {note}")
    raise typer.Exit(exit_status(whole, len(chosen)))


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(autocompletion=complete.databases, help="Which.")],
) -> None:
    """Remove a database, or what a killed build left of it; `ccd` is the fetched dictionary."""
    from itda.published.components import remove_components
    from itda.search.databases.registry import Databases

    databases = Databases()
    freed = 0
    if name == "ccd" and name not in databases.names():
        freed = remove_components()
    freed = freed or databases.remove(name)
    typer.echo(f"{name} removed, {shown_bytes(freed)} freed")


def _sequences_of(name: str, files: list[Path], any_count: bool) -> list[Path] | FastaSource:
    """Tell a package of Debian by its content; without files, by the name of the database."""
    from itda.debian import is_package
    from itda.search.databases.swissprot2014 import NAME, SwissProt2014

    packages = [path for path in files if is_package(path)]
    if packages and len(files) > 1:
        raise InputError(
            Message("{package} is a Debian package, and stands with others", package=packages[0]),
            hint=Message("give it alone: one package makes one database"),
        )
    if packages or (not files and name == NAME):
        return SwissProt2014(packages[0] if packages else None, any_count)
    _refuse_options("FASTA files", {"--any-count": any_count or None})
    return files


def _refuse_options(what: str, options: dict[str, object | None]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise typer.BadParameter(f"has no meaning for {what}", param_hint=given[0])
