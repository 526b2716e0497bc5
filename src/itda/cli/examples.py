"""`itda examples`: the files that the tutorial begins with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from itda.cli.options import Overwrite
from itda.errors import OutputError
from itda.language import Message


def examples(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; made if missing.")
    ] = Path("examples"),
    overwrite: Overwrite = False,
) -> None:
    """Write a sequence and an experimental structure to begin with (ubiquitin, PDB 1UBQ).

    Files that are there and equal are left; another of the same name is kept unless --overwrite.
    """
    from itda.atomic import write_bytes

    for source in sorted(files("itda.data.examples").iterdir(), key=lambda one: one.name):
        target, content = folder / source.name, source.read_bytes()
        if target.exists() and not overwrite and target.read_bytes() != content:
            raise OutputError(
                Message("{target} exists already and is another", target=target),
                hint=Message("name a folder, or {--overwrite}"),
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)
        typer.echo(str(target))
