"""`itda search`: alignments alone, and the server that makes them for a laboratory."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli import complete
from itda.cli.extras import require_extra
from itda.cli.options import Host, Inputs
from itda.cli.output import (
    exit_status,
    print_error,
    print_problem,
    print_unexpected,
    print_warning,
    seconds_shown,
)
from itda.cli.signals import stopped_by_signals
from itda.cli.step_progress import step_progress
from itda.errors import InputError, ItdaError
from itda.language import Message
from itda.machine import usable_cores
from itda.network import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from itda.engine.stored_alignments import StoredAlignments
    from itda.job.model import Job
    from itda.search.folder import AlignmentFolder
    from itda.search.sources.source import Source

INTERRUPTED, TERMINATED = 130, 143
TOKEN_VARIABLE = "ITDA_SEARCH_TOKEN"

app = typer.Typer(
    add_completion=False, help="Alignments alone, and a search server.", no_args_is_help=True
)

Msa = Annotated[str, typer.Option(help="What searches: mmseqs, hmmer, hmmer:phmmer or server:URL.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--db",
        metavar="NAME",
        autocompletion=complete.sequence_databases,
        help="A database, see `itda db list`; may be given more than once. (default: the only one)",
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor cores of one search. (default: all)")
]


@app.command("run")
def run(
    sources: Inputs,
    msa: Msa = "mmseqs",
    db: Names = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where alignments go. (default: INPUT_msa)"),
    ] = None,
    threads: Threads = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace alignments of another search in DIR.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where searches are kept for later runs. (default: your cache)"
        ),
    ] = None,
) -> None:
    """Search the relatives of proteins; writes NAME.a3m for each record.

    `itda fold --msa DIR` folds with them; with the same --msa and --db it finds them again, and
    this command finds what a fold searched. The same command again goes on where it was stopped.

    Exit status: 0 all done, 1 none done, 2 some done, 130 stopped with Ctrl-C.
    """
    from itda.engine.ahead import Wanted
    from itda.engine.many_inputs import read_inputs
    from itda.engine.search_options import NONE
    from itda.engine.stored_alignments import StoredAlignments
    from itda.inputs import expand
    from itda.job.inputs import JOBS
    from itda.search.folder import AlignmentFolder
    from itda.store.paths import stage_folder
    from itda.store.store import Store

    inputs = expand(sources, JOBS)
    batch = read_inputs(inputs.sources, msa=NONE)
    searcher = _choose(msa, db, threads)
    for record in batch.rejected:
        print_error(record.error, name=record.name)
    for note in (*inputs.notes, *batch.warnings):
        print_warning(str(note))
    folder = out or Path(f"{inputs.name}_msa")
    stored = StoredAlignments(searcher, Store(cache or stage_folder()), print_warning)
    alignments = AlignmentFolder(folder, stored, overwrite=overwrite)
    stored.expect(
        Wanted(job.name, query)
        for job in batch.jobs
        for name, query in _queries(job)
        if alignments.lacks(name, query)
    )
    typer.echo(f"searching with {searcher.title}", err=True)
    total, done = batch.total, 0
    with stopped_by_signals() as terminated:
        try:
            for number, job in enumerate(batch.jobs, start=1):
                place = f"[{number}/{len(batch.jobs)}]"
                done += _search_job(job, alignments, stored, place)
        except KeyboardInterrupt:
            print_problem(
                Message(
                    "stopped: {done} of {total} done and saved in {folder}",
                    done=done,
                    total=total,
                    folder=folder,
                ),
                hint=Message("the same command goes on from there"),
            )
            raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from None
    if done:
        typer.echo(f"{done} of {total} done, in {folder}")
    raise typer.Exit(exit_status(done, total))


@app.command("serve")
def serve(
    msa: Msa = "mmseqs",
    db: Names = None,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Queue and results. (default: in your cache)"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Searches at one time.")] = 1,
    threads: Threads = None,
    token: Annotated[
        str,
        typer.Option(
            envvar=TOKEN_VARIABLE, help="What clients must give; better in the variable than here."
        ),
    ] = "",
    max_length: Annotated[int, typer.Option(min=1, help="Most residues of a sequence.")] = 4000,
    max_sequences: Annotated[int, typer.Option(min=1, help="Most sequences of a ticket.")] = 32,
    max_queue: Annotated[int, typer.Option(min=1, help="Most tickets that wait.")] = 500,
    rate: Annotated[
        float, typer.Option(min=0.01, help="New tickets of one client a minute.")
    ] = 30.0,
    burst: Annotated[int, typer.Option(min=1, help="How many of them may come at once.")] = 60,
    keep_days: Annotated[
        float, typer.Option(min=0.01, help="How long results are kept that nobody asks for.")
    ] = 30.0,
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="Clients are told apart by X-Forwarded-For."),
    ] = False,
) -> None:
    """Serve searches to a laboratory, in the protocol of ColabFold's server.

    `itda fold --msa server:http://HOST:8765` uses it, and so does
    `colabfold_batch --host-url http://HOST:8765`. Ctrl-C stops it; what waits goes on at the next
    start.
    """
    from itda.search.service.limits import Limits
    from itda.search.service.service import SearchService
    from itda.store.paths import cache_folder

    with require_extra("search"):
        from itda.search.service.http import SearchServer

    if msa == "none":
        raise InputError(
            Message("{--msa:none} finds nothing that could be served"),
            hint=Message("{--msa:mmseqs}"),
        )
    searcher = _choose(msa, db, threads)
    folder = data or cache_folder() / "serve"
    limits = Limits(max_length, max_sequences, max_queue, rate, burst, keep_days)
    service = SearchService(searcher, folder, limits=limits, workers=workers, log=_log)
    try:
        # The key is read before anybody asks, so that a database that cannot be used is said now.
        service.alignments.digest()
        server = SearchServer(service, host, port, token=token, behind_proxy=behind_proxy)
    except BaseException:
        service.stop()
        raise
    _log(f"serving {searcher.title} at {server.url}; queue and results in {folder}")
    if host not in LOOPBACK_HOSTS and not token:
        print_warning(
            Message("whoever reaches this address can search here; {--token} limits that")
        )
    service.start()
    with stopped_by_signals():
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _log("stopping")
        finally:
            server.server_close()
            service.stop()
    _log(f"stopped; {service.tickets.waiting} tickets wait for the next start")
    if threading.active_count() > 1:
        # A search may still be inside a library; all that it had is on disk.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _queries(job: Job) -> list[tuple[str, str]]:
    """Give the name of the file and the sequence of each protein of a job."""
    from itda.job.entities import Protein

    proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
    stem, one = job.file_stem, len(proteins) == 1
    return [(stem if one else f"{stem}_{each.ids[0]}", each.sequence) for each in proteins]


def _search_job(
    job: Job, alignments: AlignmentFolder, stored: StoredAlignments, place: str
) -> bool:
    """Search each protein of a job; say and return whether all went well."""
    from itda.job.entities import Protein

    queries = _queries(job)
    if not queries:
        print_error(
            InputError(
                Message("{job}: has no protein", job=job.name),
                hint=Message("only proteins are searched"),
            )
        )
        return False
    others = [entity for entity in job.entities if not isinstance(entity, Protein)]
    if others:
        names = ", ".join(chain for entity in others for chain in entity.ids)
        print_warning(
            Message(
                "{job}: chains {names} are no proteins and are not searched",
                job=job.name,
                names=names,
            )
        )
    good = True
    for name, query in queries:
        try:
            with step_progress(f"{place} {name}") as progress:
                written = alignments.write(name, query, progress)
        except ItdaError as error:
            print_error(error, name=name)
            good = False
        except Exception as error:
            print_unexpected(error)
            good = False
        else:
            searched = None if written.found_again else stored.finished.pop(query, None)
            again = searched is None or searched.cached
            how = "found again" if again or searched is None else seconds_shown(searched.seconds)
            typer.echo(f"{place} {name}: {len(written.alignment):,} rows, {how}", err=True)
    return good


def _choose(msa: str, names: Sequence[str] | None, threads: int | None) -> Source:
    from itda.search.databases.choose import sequence_databases
    from itda.search.sources.choose import choose_source

    wants_database = msa == "mmseqs" or msa.startswith("hmmer")
    databases = sequence_databases(names or [], program=msa) if wants_database or names else []
    return choose_source(msa, databases=databases, threads=threads or usable_cores())


def _log(line: str) -> None:
    typer.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", err=True)
