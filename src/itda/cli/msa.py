"""`itda msa`: what alignments hold, fewer rows of them, other formats, pictures, pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.options import Overwrite
from itda.cli.output import exit_status, print_error, print_warning
from itda.errors import InputError, ItdaError, OutputError
from itda.language import Message

if TYPE_CHECKING:
    from itda.inputs import Refused
    from itda.search.alignments.alignment import Alignment

app = typer.Typer(
    add_completion=False,
    help="Alignments: look at, filter, convert, plot, pair.",
    no_args_is_help=True,
)

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="A3M, Stockholm or aligned FASTA, also gzipped; folders of them, quoted patterns.",
    ),
]
_CHAIN_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class OrderChoice(StrEnum):
    """What ranks the rows of one species."""

    IDENTITY = "identity"
    ROW = "row"


class FormatChoice(StrEnum):
    """Formats of alignments."""

    A3M = "a3m"
    FASTA = "fasta"
    STOCKHOLM = "sto"


@app.command("info")
def info(
    files: Sources,
    identity: Annotated[
        float, typer.Option(min=0, max=1, help="Rows alike from here on share one weight in Neff.")
    ] = 0.8,
    entropy: Annotated[
        bool, typer.Option("--entropy", help="HH-suite's Neff too; slow for deep alignments.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how deep, how diverse and how well labelled alignments are.

    Exit status: 0 all read, 1 none, 2 some.
    """

    found: dict[str, dict[str, Any]] = {}
    sources = _expanded(files)
    for source in sources:
        try:
            alignment = _read(_path_of(source))
        except ItdaError as error:
            print_error(error)
            continue
        file = str(source)
        found[file] = _described(alignment, identity, entropy)
        if _looks_like_nucleotides(alignment):
            print_warning(
                Message("{file}: looks like RNA or DNA; it was read as protein", file=file)
            )
        if not as_json:
            _print_description(file, found[file])
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    raise typer.Exit(exit_status(len(found), len(sources)))


@app.command("filter")
def filter_rows(
    files: Sources,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A3M to write; of several files, a folder.")
    ],
    min_coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Least part of the columns that a row fills.")
    ] = 0.0,
    min_identity: Annotated[
        float, typer.Option(min=0, max=1, help="Least identity to the query.")
    ] = 0.0,
    max_identity: Annotated[
        float, typer.Option(min=0, max=1, help="Most identity of two rows.")
    ] = 0.9,
    diff: Annotated[
        int, typer.Option(min=0, help="The most diverse rows, so many a stretch of 50; 0: all.")
    ] = 0,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Then draw so many at random, the query with them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Keep fewer rows, by the rules of HH-suite's hhfilter; the query stays."""
    from itda.search.alignments.filter import filter_alignment, subsample

    def filtered(alignment: Alignment, path: Path) -> tuple[str, str]:
        kept = filter_alignment(
            alignment,
            min_coverage=min_coverage,
            min_identity_to_query=min_identity,
            max_pairwise_identity=max_identity,
            diff=diff,
        )
        if rows is not None:
            kept = subsample(kept, rows, seed=seed)
        return kept.to_a3m(), f"{len(kept):,} of {len(alignment):,} rows"

    _write_each(files, out, ".a3m", filtered, overwrite=overwrite)


@app.command("convert")
def convert(
    files: Sources,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="NAME.a3m, NAME.fasta (aligned) or NAME.sto; of several, a folder."
        ),
    ],
    form: Annotated[
        FormatChoice | None,
        typer.Option("--format", help="Of the files in the folder OUT. (default: OUT's ending)"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write alignments in another format, with all their insertions."""
    from itda.search.alignments.alignment import Alignment
    from itda.search.alignments.writers import to_fasta, to_stockholm

    writers = {
        ".a3m": Alignment.to_a3m,
        **dict.fromkeys((".fasta", ".fa", ".afa"), to_fasta),
        **dict.fromkeys((".sto", ".stk"), to_stockholm),
    }
    suffix = f".{form.value}" if form is not None else out.suffix
    if suffix not in writers:
        hint = Message(
            "end it with {writers:,}; for a folder, {--format} a3m, fasta or sto", writers=writers
        )
        raise InputError(Message("{out}: unknown format", out=out), hint=hint)

    if form is not None and out.suffix in writers and out.suffix != suffix:
        raise InputError(
            Message("{out}: does not end with {suffix}", out=out, suffix=suffix),
            hint=Message("leave {--format} out"),
        )

    def converted(alignment: Alignment, path: Path) -> tuple[str, str]:
        told = f"{len(alignment):,} rows, {alignment.length} columns"
        return writers[suffix](alignment), told

    _write_each(files, out, suffix, converted, overwrite=overwrite)


@app.command("plot")
def plot(
    files: Sources,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="The picture, NAME.svg; of several files, a folder."),
    ],
    title: Annotated[str, typer.Option(help="Over the picture. (default: the file's name)")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Draw which residues the rows cover, coloured by identity to the query."""
    from itda.search.alignments.coverage_plot import coverage_plot

    if out.suffix not in ("", ".svg"):
        raise InputError(
            Message("{out}: pictures are SVG", out=out),
            hint=Message("end it with .svg, or name a folder"),
        )

    def drawn(alignment: Alignment, path: Path) -> tuple[str, str]:
        return coverage_plot(alignment, title=title or path.name), ""

    _write_each(files, out, ".svg", drawn, overwrite=overwrite)


@app.command("pair")
def pair_chains(
    files: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]FILE...", help="One a chain; named A, B, … unless told."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.")],
    limit: Annotated[int, typer.Option(min=1, help="Most paired rows.")] = 8191,
    order: Annotated[
        OrderChoice, typer.Option(help="What ranks the rows of one species.")
    ] = OrderChoice.IDENTITY,
    collective: Annotated[
        bool, typer.Option(help="Whether codes of whole groups, such as 9BACT, are a species.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Pair the rows of chains by species, as AlphaFold 3 does.

    Writes for each chain NAME.paired.a3m, all with the same rows, and NAME.unpaired.a3m; and
    pairs.tsv, which says what stands in each paired row.
    """
    from itda.search.alignments.pairing import pair
    from itda.storage import atomic_folder

    paths = _chains(files)
    alignments = {name: _read(path) for name, path in paths.items()}
    paired = pair(alignments, limit=limit, order=order.value, collective=collective)
    with atomic_folder(out, overwrite=overwrite) as folder:
        for name in alignments:
            (folder / f"{name}.paired.a3m").write_text(paired.paired[name].to_a3m())
            (folder / f"{name}.unpaired.a3m").write_text(paired.unpaired[name].to_a3m())
        lines = ["\t".join(("species", *(f"row_{name}" for name in alignments)))]
        for species, rows in zip(paired.species, paired.rows.tolist(), strict=True):
            shown = (str(row + 1) if row >= 0 else "" for row in rows)
            lines.append("\t".join((species or "query", *shown)))
        (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    for chains, count in paired.count_by_chains().items():
        typer.echo(f"{count:,} rows pair {chains} chains")
    for name in alignments:
        typer.echo(f"{name}: {len(paired.unpaired[name]) - 1:,} unpaired rows beside the query")
    if not len(paired):
        print_warning(Message("no species has rows in two chains; nothing is paired"))


def _read(path: Path) -> Alignment:
    """Read an alignment, and say what was changed in it."""
    from itda.search.alignments.formats import read_alignment

    alignment = read_alignment(path, query=None)
    for note in alignment.notes:
        print_warning(Message("{path}: {note}", path=path, note=note))
    return alignment


def _expanded(files: list[str]) -> tuple[str | Refused, ...]:
    from itda.inputs import Kind, expand
    from itda.job.inputs import ALIGNMENTS

    # In a folder `.fasta` is rather the sequence that an alignment belongs to.
    inputs = expand(files, Kind("alignment (A3M, Stockholm, .afa)", ALIGNMENTS))
    for note in inputs.notes:
        print_warning(note)
    return inputs.sources


def _path_of(source: str | Refused) -> Path:
    if isinstance(source, str):
        return Path(source)
    raise source.error


def _write_each(
    files: list[str],
    out: Path,
    suffix: str,
    make: Callable[[Alignment, Path], tuple[str, str]],
    *,
    overwrite: bool,
) -> None:
    """Write what is made of each alignment: to OUT, or of several to NAME in the folder OUT."""
    from itda.inputs import stem

    sources = _expanded(files)
    several = len(sources) > 1 or out.is_dir() or any(Path(file).is_dir() for file in files)
    written: dict[Path, str] = {}
    for source in sources:
        try:
            path = _path_of(source)
            target = out / f"{stem(path)}{suffix}" if several else out
            if target in written:
                raise OutputError(
                    Message(
                        "{path}: {target} is of {written} already",
                        path=path,
                        target=target,
                        written=written[target],
                    ),
                    hint=Message("give them to different folders"),
                )
            text, told = make(_read(path), path)
            _write(target, text, overwrite)
        except ItdaError as error:
            if not several:
                raise
            print_error(error)
            continue
        written[target] = str(path)
        typer.echo(f"{target}: {told}" if told else str(target))
    raise typer.Exit(exit_status(len(written), len(sources)))


def _chains(files: list[str]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for name, path in _named(files):
        name = name or _CHAIN_NAMES[len(paths) % len(_CHAIN_NAMES)]
        if not name.replace("_", "").isalnum() or name in paths:
            raise InputError(
                Message("chain name {name!r} is given twice or is no name", name=name),
                hint=Message("name chains with letters and digits: A=first.a3m B=second.a3m"),
            )
        paths[name] = path
    return paths


def _named(files: list[str]) -> Iterator[tuple[str, Path]]:
    for file in files:
        name, equals, path = file.partition("=")
        if equals and not Path(file).exists():
            yield name, Path(path)
        else:
            for source in _expanded([file]):
                yield "", _path_of(source)


def _described(alignment: Alignment, identity: float, entropy: bool) -> dict[str, Any]:
    from itda.search.alignments.depth import (
        coverage_of_rows,
        identity_to_query,
        neff_entropy,
        residues_of_columns,
        row_weights,
    )

    labelled = [species for species in alignment.species[1:] if species]
    beside = len(alignment) - 1
    weights = row_weights(alignment, identity=identity)
    described: dict[str, Any] = {
        "rows": len(alignment),
        "columns": alignment.length,
        "neff": round(float(weights.sum()), 2),
        "neff_identity": identity,
        "mean_coverage": round(float(coverage_of_rows(alignment)[1:].mean()), 4) if beside else 0.0,
        "mean_identity": (
            round(float(identity_to_query(alignment)[1:].mean()), 4) if beside else 0.0
        ),
        "least_rows_of_a_column": int(residues_of_columns(alignment).min()),
        "rows_with_species": len(labelled),
        "species": len(set(labelled)),
        "digest": alignment.digest,
    }
    if entropy:
        described["neff_entropy"] = round(neff_entropy(alignment), 2)
    return described


def _print_description(file: str, found: Mapping[str, Any]) -> None:
    beside = max(found["rows"] - 1, 1)
    lines = [
        f"{file}: {found['rows']:,} rows, {found['columns']:,} columns",
        f"  Neff {found['neff']:,.1f} at {found['neff_identity']:.0%} identity"
        + (f", {found['neff_entropy']:.1f} by entropy" if "neff_entropy" in found else ""),
        f"  mean coverage {found['mean_coverage']:.0%}, identity {found['mean_identity']:.0%}; "
        f"each column has {found['least_rows_of_a_column']:,} rows or more",
        f"  species: {found['rows_with_species'] / beside:.0%} of the rows say theirs, "
        f"{found['species']:,} in all",
        f"  {found['digest']}",
    ]
    typer.echo("\n".join(lines))


def _looks_like_nucleotides(alignment: Alignment) -> bool:
    letters = set().union(*(text.upper() for text in alignment.texts[:50]))
    return letters <= set("ACGTUN-") and alignment.length > 10


def _write(path: Path, text: str, overwrite: bool) -> None:
    from itda.atomic import write_bytes

    if path.exists() and not overwrite:
        raise OutputError(
            Message("{path} exists already", path=path),
            hint=Message("choose another, or pass {--overwrite}"),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())
