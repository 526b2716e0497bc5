"""`itda worker`: folds what a server's queue holds, on this machine or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itda.cli.extras import require_extra
from itda.cli.options import Database, Device, Memory
from itda.cli.output import print_error
from itda.errors import ItdaError


def worker(
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The server's data, or the same folder over a network. (default: "
            "ITDA_HOME/server)",
        ),
    ] = None,
    database: Database = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Jobs at a time. (default: 1; one for each GPU; Ray: all cores)"),
    ] = None,
    device: Device = "auto",
    memory: Memory = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor cores of each job. (default: shared out)")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Fold on a Ray cluster: auto for the one that this machine is part of, HOST:PORT, "
            "ray://HOST:PORT, or local to start one here.",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Most small jobs that are taken together.")
    ] = 16,
    grace: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a stage may go on after SIGTERM."),
    ] = 20.0,
    lease: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="As the server has it; a quarter is the heartbeat."),
    ] = 60.0,
    leave_after: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Leave after as long without anything to do, so that a scheduler gets its nodes "
            "back. (default: never)",
        ),
    ] = None,
    with_parent: Annotated[
        bool,
        typer.Option("--with-parent", hidden=True, help="Leave when standard input closes."),
    ] = False,
) -> None:
    """Fold jobs of a server's queue until told to stop.

    SIGTERM or Ctrl-C: it takes nothing new, lets the stage end within the grace, gives back what is
    left, and leaves; a second one stops at once.

    Exit status: 0 when it was told to stop, or had nothing to do for as long as --leave-after says.
    """
    try:
        with require_extra("server"):
            from itda.server.settings import ServerSettings
            from itda.server.work.command import Options, work

        from itda.cost.memory import parse_bytes

        settings = ServerSettings.from_environment(
            home=home, database_url=database, lease_seconds=lease
        )
        options = Options(
            jobs=jobs,
            device=device,
            memory_bytes=None if memory is None else parse_bytes(memory),
            threads=threads,
            ray=ray,
            batch=batch,
            grace_seconds=grace,
            with_parent=with_parent,
            leave_after_seconds=leave_after,
        )
        work(settings, options)
    except ItdaError as error:
        print_error(error)
        raise typer.Exit(1) from error
