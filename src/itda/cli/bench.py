"""`itda bench`: measurements that anyone can run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.language import Message

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Measure: ops, blocks beside other packages, whole folds; make the page of results.\n\n"
    "Sides that are compared run in turn in one run, on one thread. Results are JSON with machine, "
    "versions and commit.",
    no_args_is_help=True,
    add_completion=False,
)

RESULTS = Path("benchmarks/results")
Tokens = Annotated[str, typer.Option(metavar="N,N,...", help="Sizes.")]
Repeats = Annotated[int | None, typer.Option(min=1, help="Of each measurement. (default: by size)")]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help=f"Where results go. (default: {RESULTS}/bench_NAME.json)"),
]


@app.command()
def rivals(
    python: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Python of an environment that has the packages."),
    ] = None,
    names: Annotated[
        str, typer.Option("--rivals", metavar="NAME,...", help="Packages to compare with.")
    ] = "boltz,openfold3,protenix",
    tokens: Tokens = "128,256,384,512",
    parts_up_to: Annotated[
        int, typer.Option(metavar="N", help="Largest size at which parts are measured too.")
    ] = 256,
    repeats: Repeats = None,
    output: Output = None,
) -> None:
    """Measure our Pairformer block and its parts beside those of other packages.

    First all must compute the same numbers from the same weights. Sizes are AlphaFold 3's: 128
    pair and 384 single channels.
    """
    from itda.bench.rivals.compare import compare

    began = _began()
    found = compare(
        names.split(","),
        python=python,
        tokens=_sizes(tokens),
        parts_up_to=parts_up_to,
        repeats=repeats,
        report=_reporter(),
    )
    _write("rivals", found, output, began)
    wrong = [
        name
        for name, one in found["numbers"].items()
        if not (one["float32"]["passed"] and one["a_weight_changed"]["noticed"])
    ]
    if wrong:
        typer.echo(f"the numbers of {', '.join(wrong)} and ours differ", err=True)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def ops(
    tokens: Tokens = "64,128,256,384,512",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    repeats: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
    compile_reference: Annotated[
        bool, typer.Option("--compile", help="Measure torch.compile too; compiling takes minutes.")
    ] = False,
    output: Output = None,
) -> None:
    """Measure each op's backends and the families' trunk blocks at AlphaFold 3's sizes."""
    from itda.bench.ops import measure
    from itda.errors import InputError

    for name, value, known in (
        ("--device", device, ("cpu", "cuda")),
        ("--dtype", dtype, ("float32", "bfloat16", "float16")),
    ):
        if value not in known:
            raise InputError(
                Message("{name} {value}: there is no such", name=name, value=value),
                hint=Message("one of {known:,}", known=known),
            )
    began = _began()
    found = measure(
        tokens=_sizes(tokens),
        device=device,
        dtype=dtype,
        repeats=repeats,
        compile_reference=compile_reference,
        report=_reporter(),
    )
    _write(f"ops_{device}_{dtype}", found, output, began)


@app.command()
def fold(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="Of `itda models`.")] = "mini",
    tokens: Tokens = "50,100,150,200,300,400",
    repeats: Annotated[int, typer.Option(min=1, help="Of each command.")] = 3,
    weights: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="As `itda fold --weights` takes it.")
    ] = None,
    output: Output = None,
) -> None:
    """Measure whole `itda fold` commands by length, beside the same with plain reference ops."""
    from itda.bench.fold import measure

    began = _began()
    found = measure(
        family, tokens=_sizes(tokens), repeats=repeats, weights=weights, report=_reporter()
    )
    _write(f"fold_{family}", found, output, began)


@app.command()
def report(
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the files of results are.")
    ] = RESULTS,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The page.")] = Path(
        "docs/benchmarks.md"
    ),
) -> None:
    """Write the page of benchmarks from the files of results."""
    from itda.atomic import write_bytes
    from itda.bench.report import page, read_results
    from itda.errors import InputError

    found = read_results(results)
    if not found:
        raise InputError(
            Message("{results} has no results of `itda bench`", results=results),
            hint=Message("run `itda bench rivals` first"),
        )
    write_bytes(output, page(found).encode())
    typer.echo(f"written to {output}")


@app.command()
def calibrate(
    families: Annotated[
        str, typer.Argument(metavar="FAMILY,...|all", help="Model families to fit.")
    ] = "all",
    device: Annotated[str, typer.Option(help="cpu, cuda:0 or mps.")] = "cpu",
) -> None:
    """Fit this machine's constants of time and memory, which `itda plan` and every run ask."""
    from itda.cost.calibrate import calibrate as run
    from itda.models.registry import FAMILIES

    say = _reporter()
    run(
        list(FAMILIES) if families == "all" else families.split(","),
        device,
        lambda fraction, message: say(f"{fraction:4.0%} {message}"),
    )


def _sizes(text: str) -> list[int]:
    from itda.errors import InputError

    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise InputError(
            Message("{text!r} is not a list of sizes", text=text),
            hint=Message("whole numbers with commas between: 128,256"),
        )
    return sizes


def _reporter() -> Callable[[str], None]:
    console = _errors()
    return lambda text: console.print(text, style="dim")


def _errors() -> Console:
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False)


def _began() -> dict[str, Any]:
    from itda.bench.record import provenance

    return provenance()


def _write(name: str, values: dict[str, Any], output: Path | None, began: dict[str, Any]) -> None:
    from itda.bench.record import write_record

    path = output or RESULTS / f"bench_{name}.json"
    write_record(path, f"bench_{name}", values, began=began)
    typer.echo(f"written to {path}")
