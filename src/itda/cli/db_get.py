"""`itda db get`: databases that others publish, by name."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli import complete
from itda.cli.db_shared import (
    Gpu,
    Index,
    NoMmseqs,
    ShardResidues,
    Shards,
    Threads,
    describe,
)
from itda.cli.output import print_table, seconds_shown
from itda.cli.step_progress import step_progress
from itda.cli.transfer_progress import transfer_progress
from itda.errors import InputError
from itda.hub.folders import shown_bytes
from itda.language import Message
from itda.machine import usable_cores

if TYPE_CHECKING:
    from itda.hub.fetch import OnTransfer, Transferred
    from itda.progress import Progress
    from itda.published.plan import Plan

ASKS_FROM_BYTES = 1_000_000_000
"""A fetch of less is told and done; a larger one is asked about."""


def get(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete.published_databases, help="Which. (default: list them)"
        ),
    ] = None,
    list_them: Annotated[
        bool, typer.Option("--list", help="Say what there is, and fetch nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, however large it is.")
    ] = False,
    mirror: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="A server in place of the publisher's: URL/NAME/FILE. (default: $ITDA_MIRROR)",
        ),
    ] = "",
    shards: Shards = None,
    shard_residues: ShardResidues = None,
    index: Index = False,
    gpu: Gpu = False,
    no_mmseqs: NoMmseqs = False,
    threads: Threads = None,
) -> None:
    """Fetch a database by its name, verify it, and build it.

    Source, size, time, disk and licence are told first; from 1 GB on it asks. What was stopped goes
    on when the same command is given again. Without a name it lists what there is.
    """
    from itda.published.entries import get_entry
    from itda.published.get import get as get_published
    from itda.published.get import plan as plan_published
    from itda.search.databases.build import BuildOptions, BuildSettings
    from itda.search.databases.database import Database
    from itda.search.databases.registry import Databases

    if name is None or list_them:
        _list(name)
        return
    entry = get_entry(name)
    databases = Databases()
    # What cannot be built is refused before anything is fetched.
    options = BuildOptions(
        shards=shards,
        shard_residues=shard_residues,
        index=index,
        gpu=gpu,
        mmseqs=not no_mmseqs,
        threads=threads or usable_cores(),
    )
    BuildSettings(**options)
    planned = plan_published(entry, databases, mirror)
    _tell(planned)
    if not _agreed(planned, yes):
        typer.echo("nothing was fetched", err=True)
        raise typer.Exit(1)
    with _Phases(name) as phases:
        made = get_published(
            planned,
            databases,
            on_transfer=phases.on_transfer,
            progress=phases.progress,
            **options,
        )
    if not isinstance(made, Database):
        typer.echo(f"{name}: {made.components:,} components, {made.path}")
        typer.echo(components_line())
        return
    describe(made)
    for file in made.manifest["source"].get("files", ()):
        how = f"its publisher's MD5 {file['published_md5']}; " if "published_md5" in file else ""
        typer.echo(f"  {file['name']}: {how}SHA-256 {file['sha256']}")
    for lost, reason in made.manifest["source"].get("lost", {}).items():
        typer.echo(f"  not to be had: {lost}: {reason}")


class _Phases(ExitStack):
    """One bar at a time: bytes while a file is fetched, steps while something is made of it."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._transfer: OnTransfer | None = None
        self._step: Progress | None = None

    def on_transfer(self, event: Transferred) -> None:
        """Show how far a file is."""
        if self._transfer is None:
            self.close()
            self._step = None
            self._transfer = self.enter_context(transfer_progress(self._title))
        self._transfer(event)

    def progress(self, fraction: float, step: str) -> None:
        """Show how far the whole is."""
        if self._step is None:
            self.close()
            self._transfer = None
            self._step = self.enter_context(step_progress(f"building {self._title}"))
        self._step(fraction, step)


def components_line() -> str:
    """Say which Chemical Component Dictionary is read, and of when it is."""
    from importlib import metadata

    from itda.chem.component_file import fetched_components

    own = fetched_components()
    if own is None:
        version = metadata.version("biotite")
        return f"components: of biotite {version}; `itda db get ccd` fetches those of today"
    return f"components: {own.components:,}, of {own.date}, fetched {own.fetched[:10]}"


def _list(name: str | None) -> None:
    from itda.chem.component_file import fetched_components
    from itda.published.entries import ENTRIES, get_entry
    from itda.search.databases.registry import Databases

    here = {*Databases().names(), *(["ccd"] if fetched_components() is not None else [])}
    chosen = [get_entry(name)] if name is not None else list(ENTRIES.values())
    rows = [("name", "fetch", "disk", "build", "licence", "here", "what")]
    rows += [
        (
            entry.name,
            shown_bytes(entry.download_bytes),
            shown_bytes(entry.disk_bytes),
            seconds_shown(entry.build_seconds),
            entry.licence.partition(",")[0],
            "yes" if entry.name in here else "",
            entry.title,
        )
        for entry in chosen
    ]
    print_table(rows)
    typer.echo("about; `itda db get NAME` asks for the exact size, says where from, and fetches")


def _tell(planned: Plan) -> None:
    entry = planned.entry
    about = "" if planned.is_exact else "about "
    source = planned.remote.shown if planned.remote is not None else f"apt, {entry.file}"
    release = f", release {planned.release}" if planned.release else ""
    here = f", of which {shown_bytes(planned.here)} are here" if planned.here else ""
    checked = f"the publisher's MD5 {planned.md5}" if planned.md5 else planned.unverified
    typer.echo(f"{entry.name}: {entry.title}")
    typer.echo(f"  source: {source}{release}")
    typer.echo(f"  to fetch: {about}{shown_bytes(planned.size)}{here}")
    typer.echo(
        f"  disk: about {shown_bytes(planned.disk_bytes)} when it is done; "
        f"{shown_bytes(planned.needed_bytes)} are to be free now"
    )
    typer.echo(
        f"  time: about {seconds_shown(planned.seconds)} at 10 MB/s, then about "
        f"{seconds_shown(entry.build_seconds)} to build on two cores"
    )
    typer.echo(f"  licence: {entry.licence}")
    typer.echo(f"  verified: {checked}")
    if entry.note:
        typer.echo(f"  note: {entry.note}")


def _agreed(planned: Plan, yes: bool) -> bool:
    if yes or planned.size < ASKS_FROM_BYTES:
        return True
    if not sys.stdin.isatty():
        raise InputError(
            Message(
                "{name}: asks before it fetches {size}, and there is nobody to ask",
                name=planned.entry.name,
                size=shown_bytes(planned.size),
            ),
            hint=Message("add {--yes} to fetch without asking"),
        )
    return typer.confirm("Fetch it?", err=True)
