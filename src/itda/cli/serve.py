"""`itda serve`: the web page and the REST interface, with the workers behind them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from itda.cli.extras import require_extra
from itda.cli.options import Host
from itda.cli.output import print_error, print_warning
from itda.cli.signals import stopped_by_signals
from itda.errors import ItdaError
from itda.language import Message


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")
    ] = 8787,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in a browser.")
    ] = False,
    host: Host = "127.0.0.1",
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where all data is. (default: ITDA_HOME/server)"),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="postgresql://… in place of a file; or ITDA_DATABASE."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where jobs are folded: local, local:4 (processes), ray, HOST:PORT (Ray), or none "
            "for workers started with `itda worker`; or ITDA_CLUSTER. (default: local)",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="How browsers reach it through a proxy, https://…"),
    ] = None,
) -> None:
    """Serve the web page and the REST interface.

    With nothing told: this machine only, one worker, and a link that signs its owner in. Ctrl-C
    ends it; what was being folded goes on from its last stage at the next start.
    """
    try:
        with require_extra("server"):
            from itda.server.serve import serve as run
            from itda.server.settings import ServerSettings

        settings = ServerSettings.from_environment(
            home=home,
            database_url=database,
            cluster_url=cluster,
            public_url=public_url,
            host=host,
            port=port,
        )
        if not settings.alone and not (settings.public_url or "").startswith("https://"):
            print_warning(
                Message(
                    "passwords and structures cross the network unencrypted: put a proxy "
                    "with TLS before it, and say {--public-url} https://…"
                )
            )
        with stopped_by_signals(), contextlib.suppress(KeyboardInterrupt):
            run(settings, browser=not no_browser, say=typer.echo)
    except ItdaError as error:
        print_error(error)
        raise typer.Exit(1) from error
