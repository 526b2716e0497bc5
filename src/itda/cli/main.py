"""`itda`: finds the command and turns what goes wrong into a message and an exit status.

Exit status: 0 all done, 1 nothing done, 2 some done, 130 after Ctrl-C, 143 after SIGTERM. A wrong
option is 1, since nothing was done.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from itda.cli.output import print_error, print_problem, print_unexpected
from itda.errors import ItdaError
from itda.language import Message

INTERRUPTED, TERMINATED = 130, 143
STOPPED = (INTERRUPTED, TERMINATED)

COMMANDS = {
    "fold": "itda.cli.fold:fold",
    "plan": "itda.cli.plan:plan",
    "serve": "itda.cli.serve:serve",
    "worker": "itda.cli.worker:worker",
    "remote": "itda.cli.remote:app",
    "compare": "itda.cli.compare:compare",
    "models": "itda.cli.models:models",
    "weights": "itda.cli.weights:app",
    "cache": "itda.cli.cache:app",
    "doctor": "itda.cli.doctor:doctor",
    "examples": "itda.cli.examples:examples",
    "search": "itda.cli.search:app",
    "msa": "itda.cli.msa:app",
    "db": "itda.cli.db:app",
    "data": "itda.cli.data:app",
    "train": "itda.cli.train:train",
    "eval": "itda.cli.eval:evaluate",
    "parity": "itda.cli.parity:parity",
    "accounts": "itda.cli.accounts:app",
    "bench": "itda.cli.bench:app",
}

# typer 0.15 raises click's own classes, later versions theirs; both name them alike.
_USAGE_ERROR: type[Exception] = next(
    kind
    for kind in typer.BadParameter.__mro__
    if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)


class LazyGroup(TyperGroup):
    """A group of commands whose modules are imported when they are needed."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Return the command of a name; another name is an error that names the nearest."""
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            ctx.fail(
                f"there is no command '{cmd_name}'"
                + (f"; did you mean '{close[0]}'?" if close else "")
            )
        if cmd_name not in self.commands:
            self.commands[cmd_name] = load_command(cmd_name)
        return self.commands[cmd_name]


def load_command(name: str) -> Any:
    """Import a command and return it as typer runs it."""
    module, attribute = COMMANDS[name].split(":")
    target = getattr(importlib.import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(target)
        target = single
    command = typer.main.get_command(target)
    command.name = name
    return command


app = typer.Typer(
    name="itda",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from itda.version import itda_version

        typer.echo(f"itda {itda_version()}")
        raise typer.Exit


@app.callback()
def _itda(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Protein structure prediction on the computer that a laboratory already has.

    Fold a FASTA file:  itda fold proteins.fasta

    Exit status: 0 all done, 1 nothing done, 2 some done.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    status = run(sys.argv[1:] if arguments is None else arguments)
    if threading.active_count() > 1 and status in STOPPED:
        # A computation that was told to stop may still be inside a library; taking the interpreter
        # down around it can crash, and everything has been written.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    _write_any_letter()
    command = typer.main.get_command(app)
    try:
        status = command.main(args=list(arguments), prog_name="itda", standalone_mode=False)
    except ItdaError as error:
        print_error(error)
        return 1
    except _USAGE_ERROR as error:
        _print_usage_error(error)
        return 1
    except (typer.Abort, KeyboardInterrupt):
        print_problem(Message("stopped"))
        return INTERRUPTED
    except Exception as error:
        print_unexpected(error)
        return 1
    return status if isinstance(status, int) else 0


def _write_any_letter() -> None:
    """Let names in any script pass through terminals that know only some letters."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _print_usage_error(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    context = error.ctx
    path = context.command_path if context is not None else "itda"
    print_problem(error.format_message(), hint=Message("see {path} {--help}", path=path))
