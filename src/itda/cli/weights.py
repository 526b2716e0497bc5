"""`itda weights`: weights of the model families, brought, checked, licensed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli import complete
from itda.cli.output import exit_status, print_error, print_problem, print_table, print_warning
from itda.cli.step_progress import step_progress
from itda.hub.folders import shown_bytes, weights_folder
from itda.language import Message

if TYPE_CHECKING:
    from itda.hub.convert import Converter
    from itda.hub.registry import WeightSet

app = typer.Typer(
    help="Weights of the model families: list, pull, import, verify, remove, licence.\n\n"
    "They are in $ITDA_WEIGHTS, else in itda/weights in the user's data folder.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[
    str,
    typer.Argument(
        autocompletion=complete.weight_sets, help="Of a set, as `itda weights list` shows it."
    ),
]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept-licence", help="Acknowledge a licence that forbids commercial use; kept."
    ),
]


@app.command("list")
def list_weights(
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of the table.")
    ] = False,
) -> None:
    """Say which sets there are, where they come from, and how far each is on this machine."""
    from itda.hub.manage import half_downloaded
    from itda.hub.registry import weight_sets

    entries = [_entry(weight_set) for weight_set in weight_sets().values()]
    if json_output:
        content = {"folder": str(weights_folder()), "weights": entries}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    rows = [("name", "family", "source", "size", "licence", "state")]
    for entry in entries:
        size = entry["bytes"] if entry["bytes"] is not None else entry["about_bytes"]
        rows.append(
            (
                entry["name"],
                entry["family"],
                _shortened(entry["source"]),
                ("" if entry["bytes"] is not None else "about ") + shown_bytes(size),
                entry["licence"] + (", non-commercial" if entry["non_commercial"] else ""),
                entry["state"],
            )
        )
    print_table(rows)
    for weight_set in weight_sets().values():
        if half := half_downloaded(weight_set):
            typer.echo(
                f"{weight_set.name}: {shown_bytes(half)} of a stopped download; "
                f"`itda weights pull {weight_set.name}` goes on"
            )
    typer.echo(f"in {weights_folder()}")


@app.command("pull")
def pull(
    name: Name,
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL", help="A server in place of the publisher's. (default: $ITDA_MIRROR)"
        ),
    ] = "",
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Do not use the network; say what to bring by hand instead."
        ),
    ] = False,
    accept_licence: Accept = False,
    json_events: Annotated[
        bool, typer.Option("--json", help="Write progress to standard output, as JSON lines.")
    ] = False,
) -> None:
    """Bring a set from its publisher, verify it, and convert it.

    A pull that was stopped goes on where it was when the same command is given again.
    """
    from itda.cli.transfer_progress import transfer_progress
    from itda.hub.pull import pull as pull_set
    from itda.hub.registry import BuiltIn, get_weight_set

    weight_set = get_weight_set(name)
    _settle_licence(weight_set, accept_licence)
    if isinstance(weight_set.source, BuiltIn):
        _say(f"{name} comes with Itda; there is nothing to pull", json_events)
        return
    with transfer_progress(name, json_lines=json_events) as on_transfer:
        brought = pull_set(
            weight_set,
            mirror=mirror,
            offline=offline,
            on_transfer=on_transfer,
            progress=_Waiting(),
        )
    for file in brought:
        _say(f"{name}: {file} is here and verified", json_events)
    _convert(weight_set, json_events)


@app.command("import")
def import_weights(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A file of the set, or a folder with its files.")],
    link: Annotated[
        bool, typer.Option("--link", help="Link to the files where they are; do not copy.")
    ] = False,
    accept_licence: Accept = False,
) -> None:
    """Take files that were brought by hand, such as to a machine without network.

    Only files that the set names are taken, under their published names, and each is verified.
    """
    from itda.hub.pull import import_files
    from itda.hub.registry import get_weight_set
    from itda.hub.source import has_source

    weight_set = get_weight_set(name)
    _settle_licence(weight_set, accept_licence)
    with step_progress(f"importing {name}") as progress:
        imported = import_files(weight_set, path, link=link, progress=progress)
    for file in imported.taken:
        digest = imported.unpublished.get(file)
        how = f"its publisher gives no digest; it has SHA-256 {digest}" if digest else "verified"
        typer.echo(f"{name}: {file} is here; {how}")
    if imported.left:
        print_warning(
            Message(
                "not taken, since {name} has no such files: {left:,}", name=name, left=imported.left
            )
        )
    if not has_source(weight_set):
        print_warning(
            Message("{name} still needs {missing:,}", name=name, missing=imported.missing)
        )
        raise typer.Exit(2)
    _convert(weight_set, False)


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            autocompletion=complete.weight_sets,
            help="Which. (default: all here)",
        ),
    ] = None,
) -> None:
    """Hash every file of sets anew.

    Exit status: 0 all whole, 1 none, 2 some.
    """
    from itda.hub.installed import state_of
    from itda.hub.manage import check_set
    from itda.hub.registry import get_weight_set, weight_sets
    from itda.hub.source import how_to_get

    if names:
        chosen = [get_weight_set(name) for name in dict.fromkeys(names)]
    else:
        chosen = [one for one in weight_sets().values() if state_of(one) != "not here"]
    whole = 0
    for weight_set in chosen:
        with step_progress(f"verifying {weight_set.name}") as progress:
            report = check_set(weight_set, progress=progress)
        for path, digest in report.whole.items():
            typer.echo(f"{weight_set.name}: {path} is whole, SHA-256 {digest}")
        for problem in report.problems:
            print_error(problem, name=weight_set.name)
        if not report.whole and not report.problems:
            print_problem(
                Message("{weight_set}: nothing of it is here", weight_set=weight_set.name),
                hint=how_to_get(weight_set),
            )
        whole += bool(report.whole) and not report.problems
    raise typer.Exit(exit_status(whole, len(chosen)))


@app.command("remove")
def remove(
    name: Name,
    published: Annotated[
        bool,
        typer.Option("--published", help="Only the files as published; what runs stays."),
    ] = False,
    converted: Annotated[
        bool, typer.Option("--converted", help="Only converted files; the next use makes them.")
    ] = False,
) -> None:
    """Remove a set from this machine, also a half download."""
    from itda.hub.manage import remove as remove_set
    from itda.hub.registry import Package, get_weight_set

    weight_set = get_weight_set(name)
    both = published == converted
    freed = remove_set(weight_set, published=published or both, converted=converted or both)
    typer.echo(f"{name} removed, {shown_bytes(freed)} freed")
    if isinstance(weight_set.source, Package) and published == converted:
        typer.echo(f"the package stays: pip uninstall {weight_set.source.distribution}")


@app.command("licence")
def licence(name: Name, accept_licence: Accept = False) -> None:
    """Show the licence of a set, what it forbids, and whether you acknowledged it."""
    from itda.hub.licence import acknowledge, acknowledged, summary
    from itda.hub.registry import get_weight_set, licence_text

    weight_set = get_weight_set(name)
    typer.echo(licence_text(weight_set.licence))
    typer.echo(f"{name}: {weight_set.licence.title} ({weight_set.licence.spdx})")
    typer.echo(summary(weight_set))
    if not weight_set.licence.non_commercial:
        typer.echo("It needs no acknowledgement.")
        return
    entry = acknowledge(weight_set) if accept_licence else acknowledged(weight_set)
    typer.echo(
        f"Acknowledged by {entry.user} on {entry.date}."
        if entry
        else "Not acknowledged yet: --accept-licence does it."
    )


class _Waiting:
    """Says once that another process is at work, and not each time that it is asked."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, fraction: float, message: str) -> None:
        if message != self._said and "waiting" in message:
            typer.echo(message, err=True)
        self._said = message


def _settle_licence(weight_set: WeightSet, accept: bool) -> None:
    """Have a licence acknowledged that needs it: by the option, or a typed yes on a terminal."""
    from itda.hub.licence import acknowledge, acknowledged, summary
    from itda.hub.registry import licence_text

    if not weight_set.licence.non_commercial or acknowledged(weight_set):
        return
    typer.echo(licence_text(weight_set.licence), err=True)
    typer.echo(f"{weight_set.licence.title}. {summary(weight_set)}", err=True)
    if not accept and sys.stdin.isatty():
        answer = typer.prompt("Type yes to acknowledge this licence", default="no", err=True)
        accept = answer.strip().lower() == "yes"
    if accept:
        acknowledge(weight_set)


def _convert(weight_set: WeightSet, json_events: bool) -> None:
    from itda.hub.installed import ensure

    converter = _converter_of(weight_set)
    if converter is None:
        _say(
            f"{weight_set.name}: this version of Itda has no family {weight_set.family} that "
            "converts it; the files as published are kept",
            json_events,
        )
        return
    with step_progress(f"preparing {weight_set.name}") as progress:
        path = ensure(weight_set, converter, progress=progress)
    _say(f"{weight_set.name} is ready: {path}", json_events)


def _converter_of(weight_set: WeightSet) -> Converter | None:
    from itda.models.registry import FAMILIES, get_family

    if weight_set.family not in FAMILIES:
        return None
    converter: Converter | None = getattr(get_family(weight_set.family), "converter", None)
    return converter


def _entry(weight_set: WeightSet) -> dict[str, Any]:
    from itda.hub.installed import state_of
    from itda.hub.licence import acknowledged
    from itda.hub.manage import bytes_here
    from itda.hub.registry import BuiltIn
    from itda.hub.source import find_source, how_to_get, origin_of

    known = [file.bytes for file in weight_set.files]
    if isinstance(weight_set.source, BuiltIn):
        known = [path.stat().st_size for path in find_source(weight_set).paths.values()]
    sizes = [size for size in known if size is not None]
    entry = acknowledged(weight_set) if weight_set.licence.non_commercial else None
    return {
        "name": weight_set.name,
        "family": weight_set.family,
        "title": weight_set.title,
        "source": origin_of(weight_set),
        "bytes": sum(sizes) if len(sizes) == len(known) else None,
        "about_bytes": weight_set.expected_bytes or sum(sizes),
        "bytes_here": bytes_here(weight_set),
        "licence": weight_set.licence.spdx,
        "non_commercial": weight_set.licence.non_commercial,
        "forbids": list(weight_set.licence.forbids),
        "acknowledged": entry.date if entry else None,
        "state": state_of(weight_set),
        "how_to_get": how_to_get(weight_set),
        "citations": list(weight_set.citations),
        "homepage": weight_set.homepage,
    }


def _shortened(origin: str) -> str:
    """Cut a commit to what people read."""
    start, at, revision = origin.partition("@")
    return f"{start}{at}{revision[:8]}"


def _say(message: str, json_events: bool) -> None:
    if json_events:
        typer.echo(json.dumps({"event": "message", "message": message}, ensure_ascii=False))
    else:
        typer.echo(message)
