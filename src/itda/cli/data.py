"""`itda data`: training data from structures, its splits, and what leaks across them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli import complete
from itda.cli.options import Datasets, Overwrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from itda.structure.chains.chain import Chain
    from itda.structure.chains.dataset import ChainDataset
    from itda.structure.chains.rejection import Rejection

app = typer.Typer(
    add_completion=False, help="Training data: build, split, check, pack.", no_args_is_help=True
)
build = typer.Typer(help="Make a dataset.", no_args_is_help=True)
app.add_typer(build, name="build")

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The dataset folder to write.")]
Threads = Annotated[int, typer.Option(min=1, help="Processor cores for MMseqs2.")]


@build.command("promod3")
def build_promod3(
    out: Out,
    deb: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The promod3-data package file.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its structure_db.dat, unpacked.")
    ] = None,
    min_length: Annotated[int, typer.Option(min=1, help="Fewest residues.")] = 20,
    any_count: Annotated[
        bool, typer.Option("--any-count", help="Another release than 3.2.1 will do.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """20,895 chains with profiles from Debian's promod3-data.

    Without --deb or --file the package is fetched with `apt-get download`. Counts and peptide bonds
    are checked against what is published.
    """
    from itda.structure.chains.dataset import file_digest
    from itda.structure.chains.promod3 import read_structure_database
    from itda.structure.chains.promod3_package import structure_database

    with structure_database(deb=deb, file=file) as database_file:
        typer.echo(f"reading {database_file}", err=True)
        database = read_structure_database(database_file)
        if not any_count:
            database.check_counts()
        database.check_peptide_bonds()
        source = {
            "name": "promod3-data",
            "licence": "Apache-2.0",
            "resolution_limit_angstrom": 2.8,
            "files": [{"name": database_file.name, "sha256": file_digest(database_file)}],
        }
        chains = database.chains(minimum_length=min_length)
        _build(out, chains, source, {"minimum_length": min_length}, overwrite)


@build.command("structures")
def build_structures(
    folder: Annotated[Path, typer.Argument(help="mmCIF, BinaryCIF or PDB files, also gzipped.")],
    out: Out,
    max_resolution: Annotated[float, typer.Option(help="Worst resolution, angstrom.")] = 3.0,
    after: Annotated[str, typer.Option(help="Released on this day or later, YYYY-MM-DD.")] = "",
    before: Annotated[str, typer.Option(help="Released before this day, YYYY-MM-DD.")] = "",
    min_length: Annotated[int, typer.Option(min=1, help="Fewest residues.")] = 20,
    max_length: Annotated[int, typer.Option(min=1, help="Most residues.")] = 5000,
    min_completeness: Annotated[
        float, typer.Option(min=0, max=1, help="Least part of residues with a whole backbone.")
    ] = 0.9,
    overwrite: Overwrite = False,
) -> None:
    """All protein chains of a folder of structures, with every atom.

    Each chain or file that is left out stands in rejected.tsv with its reason.
    """
    from itda.structure.chains.structures import (
        StructureFilters,
        filters_as_parameters,
        read_structures,
        structure_files,
    )

    for option, date in (("--after", after), ("--before", before)):
        _check_date(option, date)
    filters = StructureFilters(
        max_resolution_angstrom=max_resolution,
        released_after=after,
        released_before=before,
        min_length=min_length,
        max_length=max_length,
        min_completeness=min_completeness,
    )
    files = structure_files(folder)
    source = {"name": str(folder), "files": [{"name": str(path)} for path in files]}
    chains = read_structures(files, filters)
    _build(out, chains, source, filters_as_parameters(filters), overwrite)


@build.command("atom37")
def build_atom37(
    file: Annotated[Path, typer.Argument(help="An .npz archive of atom37 chains.")],
    out: Out,
    min_length: Annotated[int, typer.Option(min=1, help="Fewest residues.")] = 20,
    overwrite: Overwrite = False,
) -> None:
    """Chains of an atom37 archive."""
    from itda.structure.chains.dataset import file_digest
    from itda.train.atom37 import read_atom37

    chains = read_atom37(file, minimum_length=min_length)
    source = {"name": file.name, "files": [{"name": file.name, "sha256": file_digest(file)}]}
    _build(out, chains, source, {"minimum_length": min_length}, overwrite)


@app.command("split")
def split(
    datasets: Annotated[list[Path], typer.Argument(help="All datasets that are used together.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The split to write.")],
    identity: Annotated[
        float, typer.Option(min=0, max=1, help="Chains of two parts are less alike than this.")
    ] = 0.3,
    test: Annotated[
        int | None,
        typer.Option(min=1, help="Test clusters. (default: 250, or one in ten of few)"),
    ] = None,
    test_side_chains: Annotated[
        int, typer.Option(min=0, help="How many of them have side chains.")
    ] = 50,
    validation: Annotated[
        int | None,
        typer.Option(min=0, help="Validation clusters. (default: 100, or one in twenty of few)"),
    ] = None,
    min_length: Annotated[
        int, typer.Option(min=1, help="Fewest residues of a chain that is evaluated.")
    ] = 40,
    max_length: Annotated[int, typer.Option(min=1, help="Most residues of one.")] = 400,
    max_resolution: Annotated[float, typer.Option(help="Worst resolution of one, Å.")] = 2.8,
    any_resolution: Annotated[
        bool, typer.Option("--any-resolution", help="Evaluate chains that say no resolution, too.")
    ] = False,
    hold_out: Annotated[
        Path | None, typer.Option(metavar="FASTA", help="Their homologues never enter training.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Cluster with MMseqs2 and give whole clusters to training, validation and test."""
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.assign import SplitSettings, split_datasets
    from itda.train.leakage import read_fasta

    made = split_datasets(
        [ChainDataset.open(path) for path in datasets],
        settings=SplitSettings(
            identity=identity,
            test=test,
            test_side_chains=test_side_chains,
            validation=validation,
            minimum_length=min_length,
            maximum_length=max_length,
            maximum_resolution_angstrom=max_resolution,
            any_resolution=any_resolution,
            seed=seed,
        ),
        hold_out=list(read_fasta(hold_out).values()) if hold_out else [],
        threads=threads,
        progress=lambda step: typer.echo(f"{step} …", err=True),
    )
    made.write(out, overwrite=overwrite)
    for part, counts in made.counts().items():
        typer.echo(f"{part}: {counts['chains']} chains in {counts['clusters']} clusters")


@app.command("check")
def check(
    dataset: Annotated[Path, typer.Argument(help="The dataset.")],
    against: Annotated[Path, typer.Option(metavar="FASTA", help="What it must not have seen.")],
    identity: Annotated[
        float, typer.Option(min=0, max=1, help="From which on it is a leak.")
    ] = 0.3,
    report: Annotated[
        Path | None, typer.Option(metavar="TSV", help="Every leak, one a line.")
    ] = None,
    remove: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the dataset without the leaks.")
    ] = None,
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Say which chains resemble the sequences of a FASTA file.

    Exit status: 0 no leak, or all removed; 1 leaks found.
    """
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.leakage import find_leaks, read_fasta, remove_leaks, write_leaks

    opened = ChainDataset.open(dataset)
    leaks = find_leaks(opened, read_fasta(against), identity=identity, threads=threads)
    chains = len({leak.chain for leak in leaks})
    typer.echo(
        f"{chains} of {len(opened)} chains are {identity:.0%} identical or more to "
        f"{len({leak.target for leak in leaks})} of the sequences"
    )
    for leak in leaks[:20]:
        typer.echo(
            f"  {leak.chain}  {leak.target}  identity {leak.identity:.0%}  "
            f"coverage {leak.chain_coverage:.0%}  E-value {leak.e_value:.1g}"
        )
    if len(leaks) > 20:
        typer.echo(f"  … and {len(leaks) - 20} more" + ("" if report else "; --report lists all"))
    if report is not None:
        write_leaks(report, leaks)
        typer.echo(f"every leak: {report}")
    if remove is not None:
        kept = remove_leaks(opened, leaks, remove, identity=identity, overwrite=overwrite)
        typer.echo(f"{remove}: {len(kept)} chains without them")
    elif leaks:
        raise typer.Exit(1)


@app.command("info")
def info(
    dataset: Annotated[Path, typer.Argument(help="The dataset.")],
    verify: Annotated[bool, typer.Option("--verify", help="Check every digest.")] = False,
) -> None:
    """Say what a dataset holds."""
    from itda.structure.chains.dataset import ChainDataset

    opened = ChainDataset.open(dataset, verify=verify)
    source = opened.manifest["source"]
    typer.echo(f"source: {source.get('name', '')} (licence: {source.get('licence', 'unknown')})")
    for name, count in opened.manifest["counts"].items():
        typer.echo(f"{name.replace('_', ' ')}: {count:,}")


@app.command("pack")
def pack(
    datasets: Annotated[list[Path], typer.Argument(help="Datasets of one split.")],
    split: Annotated[Path, typer.Option(metavar="DIR", help="The split that was made of them.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    max_mb: Annotated[float, typer.Option(min=0.1, help="Largest size, megabytes.")] = 40.0,
    per_cluster: Annotated[
        int | None, typer.Option(min=1, help="Most chains of a training cluster.")
    ] = None,
) -> None:
    """Put training data into one file small enough to travel."""
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.pack.archive import pack_datasets

    with _fractions() as report:
        result = pack_datasets(
            [ChainDataset.open(path) for path in datasets],
            split,
            out,
            max_megabytes=max_mb,
            per_cluster=per_cluster,
            report=report,
        )
    for name, chains in result.chains.items():
        typer.echo(f"{name}: {chains:,} chains, {result.residues[name]:,} residues")
    typer.echo(f"{out}: {result.size_bytes / 1e6:.1f} MB; {result.left_out:,} chains had no room")


@app.command("unpack")
def unpack(
    file: Annotated[Path, typer.Argument(help="A file that `itda data pack` wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to.")] = Path("data"),
    overwrite: Overwrite = False,
) -> None:
    """Write the datasets and the split of a packed file."""
    from itda.train.pack.archive import unpack_datasets

    with _fractions() as report:
        folders = unpack_datasets(file, out, overwrite=overwrite, report=report)
    for folder in folders:
        typer.echo(str(folder))


@app.command("templates")
def find_templates(
    database: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete.structure_databases,
            help="A structure database; `itda db list` shows them.",
        ),
    ],
    out: Out,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Holds the datasets whose chains are searched.")
    ] = Path("data"),
    datasets: Datasets = None,
    split: Annotated[str, typer.Option(help="Name of the split below DIR.")] = "split",
    most: Annotated[int, typer.Option(min=1, help="Templates of one chain, the best first.")] = 100,
    threads: Threads = 2,
    overwrite: Overwrite = False,
) -> None:
    """Find templates for every chain, for training and for `itda eval --templates`.

    A chain is never its own template. Which of them may be seen (training chains only, identity
    below a limit) is decided when they are used.
    """
    from itda.search.databases.registry import Databases
    from itda.search.templates.mmseqs import align_many
    from itda.search.templates.settings import SearchSettings
    from itda.structure.chains.dataset import ChainDataset
    from itda.train.split import Split
    from itda.train.template_table import TemplateTable, distinct_queries

    found = Databases().get(database)
    found.dataset()
    if datasets is None:
        datasets = ",".join(Split.read(data / split).datasets)
    queries = distinct_queries(
        ChainDataset.open(data / name.strip()) for name in datasets.split(",")
    )
    settings = SearchSettings(max_hits=3 * most)
    with _fractions() as report:
        hits = align_many(
            [sequence for _, sequence in queries],
            found,
            settings=settings,
            threads=threads,
            progress=lambda fraction, step: report(step, fraction),
        )
        rows = ((queries[index], own[:most]) for index, own in hits)
        TemplateTable.write(
            out,
            rows,
            search={"database": found.name, "digest": found.digest, **settings.key()},
            overwrite=overwrite,
        )
    table = TemplateTable.open(out, found.dataset())
    counts = table.manifest["counts"]
    typer.echo(f"{out}: {counts['hits']:,} templates for {counts['chains_with_hits']:,} chains")


def _build(
    out: Path,
    items: Iterator[Chain | Rejection],
    source: Mapping[str, Any],
    parameters: Mapping[str, Any],
    overwrite: bool,
) -> None:
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from itda.structure.chains.build import build_dataset
    from itda.structure.chains.rejection import REJECTED_TABLE, summarise_rejections

    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("chains", total=None)
        dataset, rejections = build_dataset(
            out,
            items,
            source=source,
            parameters=parameters,
            overwrite=overwrite,
            on_item=lambda _: progress.advance(task),
        )
    _print_counts(dataset)
    for reason, count in summarise_rejections(rejections).items():
        typer.echo(f"left out: {count} ({reason})")
    if rejections:
        typer.echo(f"each of them: {out / REJECTED_TABLE}")


def _print_counts(dataset: ChainDataset) -> None:
    counts = dataset.manifest["counts"]
    typer.echo(
        f"{dataset.folder}: {counts['chains']:,} chains, {counts['residues']:,} residues, "
        f"{counts['chains_with_profile']:,} with profile, "
        f"{counts['chains_with_side_chains']:,} with side chains"
    )


def _check_date(option: str, date: str) -> None:
    import datetime

    if not date:
        return
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        raise typer.BadParameter(f"{date!r} is not a date", param_hint=option) from None


@contextmanager
def _fractions() -> Iterator[Callable[[str, float], None]]:
    """Show what is done, how far, and the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, fraction: progress.update(task, description=what, completed=fraction)
