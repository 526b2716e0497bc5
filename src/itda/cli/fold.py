"""`itda fold`: from a FASTA file or a job to structures on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from itda.cli.groups import spread
from itda.cli.offline import go_offline
from itda.cli.options import (
    AtOnce,
    Device,
    Inputs,
    JsonEvents,
    Memory,
    Offline,
    Progress,
    ReplaceResults,
    ResultFolder,
    RunArguments,
    StageFolder,
)
from itda.cli.output import (
    exit_status,
    print_error,
    print_hint,
    print_problem,
    print_warning,
    write_log,
)
from itda.cli.progress_style import ProgressStyle
from itda.cli.signals import stopped_by_signals
from itda.errors import OutputError
from itda.language import Message, counted

if TYPE_CHECKING:
    from itda.cli.asked import Asked
    from itda.cli.progress import View
    from itda.engine.engine import Engine
    from itda.engine.events import JobFailed
    from itda.engine.plan import Plan
    from itda.inputs import Inputs as ExpandedInputs
    from itda.results.folder import OutputFolder

RUN_INTERRUPTED, RUN_TERMINATED = 130, 143
FINISHED, STOPPED, INTERRUPTED, LOST = "finished", "stopped", "interrupted", "lost"
RUN_LOST = 1
MOST_NAMED = 10


@spread
def fold(
    sources: Inputs,
    run: RunArguments,
    out: ResultFolder = None,
    device: Device = "auto",
    memory: Memory = None,
    at_once: AtOnce = None,
    offline: Offline = False,
    overwrite: ReplaceResults = False,
    cache: StageFolder = None,
    progress: Progress = ProgressStyle.AUTO,
    json_events: JsonEvents = False,
) -> None:
    """Fold proteins.

    Chains that are folded together stand in one record with colons between them: HEAVY:LIGHT.
    Several files and folders are folded as one; a bad one leaves the others alone.

    Small records are folded in batches, with the same results as alone. `itda plan` says beforehand
    what each record needs; one that does not fit into memory is refused before anything is folded.

    Writes for each record NAME.cif, NAME.confidence.json, NAME.html and, where the model predicts
    it, NAME.pae.npz; and for the run summary.json and summary.tsv. The same command again goes on
    where it was stopped.

    Exit status: 0 all done, 1 none done, 2 some done, 130 stopped with Ctrl-C. It is 1 as well if a
    fault of Itda lost a record, which summary.tsv then calls lost.
    """
    from itda.cli.asked import ask
    from itda.cli.progress import failures_told
    from itda.engine.search_options import split_msa
    from itda.results.folder import OutputFolder

    style = ProgressStyle.JSON if json_events else progress
    with failures_told(style):
        options = run.options()
        search, _ = split_msa(options.msa)
        if offline:
            go_offline(search)
        asked = ask(sources, options, device=device, memory=memory, at_once=at_once, cache=cache)
        folder = OutputFolder(
            out or default_folder(asked.inputs),
            asked.plan.requests,
            refused=[*asked.rejected, *asked.plan.refused],
            settings=asked.plan.settings.shown(),
            overwrite=overwrite,
            sources=asked.batch.sources,
        )
        for note in asked.notes:
            print_warning(note)
        if search is not None and search.startswith("server:") and asked.plan.requests:
            server = asked.plan.settings.searches.titles()["alignments"]
            print_warning(
                Message(
                    "the sequences leave this machine: they are sent to {server}", server=server
                )
            )
    raise typer.Exit(_fold(asked, folder, style))


def _fold(asked: Asked, folder: OutputFolder, style: ProgressStyle) -> int:
    """Fold what was admitted, show how it goes, and return the exit status."""
    from itda.cli.estimate import costs_of
    from itda.cli.progress import choose_view
    from itda.engine.events import JobFailed

    engine, plan, batch = asked.engine, asked.plan, asked.batch
    with (
        stopped_by_signals() as terminated,
        choose_view(
            costs_of(plan),
            style=style,
            seconds=engine.seconds(plan),
            sources={name: batch.sources[place] for name, place in batch.places.items()},
        ) as view,
    ):
        folder.prepare()
        for name, place, error in asked.rejected:
            told = batch.sources[place]
            view.show(JobFailed(job=name, error=error, refused=True, source=told))
        status = _run(engine, plan, folder, view)
        code = RUN_LOST if status == LOST else exit_status(folder.done, plan.total)
        if terminated:
            code = RUN_TERMINATED
        elif status == INTERRUPTED:
            code = RUN_INTERRUPTED
        view.end(
            {
                "status": status,
                "exit_status": code,
                "done": folder.done,
                "total": plan.total,
                "folder": str(folder.folder),
            }
        )
    if style not in (ProgressStyle.JSON, ProgressStyle.NONE):
        _print_results(folder, plan.total)
    if status == INTERRUPTED:
        print_problem(
            Message(
                "stopped: {done} of {total} done and saved in {folder}",
                done=folder.done,
                total=plan.total,
                folder=folder.folder,
            ),
            hint=Message("the same command goes on from there"),
        )
    return code


def default_folder(inputs: ExpandedInputs) -> Path:
    """Return where results go unless told: beside where the user is, named after the input."""
    return Path(f"{inputs.name}_itda")


def _run(engine: Engine, plan: Plan, folder: OutputFolder, view: View) -> str:
    """Fold, write each result as it comes, and return how the run ended."""
    from itda.atomic import DiskFullError
    from itda.engine.events import JobFailed, JobFinished, JobWarned
    from itda.engine.lost import lost

    warnings: dict[str, list[str]] = {}
    status = STOPPED
    try:
        for event in engine.run_plan(plan):
            if isinstance(event, JobFinished):
                try:
                    view.finished(event, folder.write(event.result, warnings.get(event.job, ())))
                except OutputError as error:
                    _fail(JobFailed(job=event.job, error=error), folder, view)
                    if isinstance(error, DiskFullError):
                        return status
                continue
            if isinstance(event, JobWarned):
                warnings.setdefault(event.job, []).append(event.message)
            if isinstance(event, JobFailed):
                _fail(event, folder, view)
            else:
                view.show(event)
        # What this loop forgot would be as lost as what the run did.
        for name in folder.waiting:
            _fail(lost(name), folder, view)
        status = LOST if folder.lost else FINISHED
    except KeyboardInterrupt:
        status = INTERRUPTED
    finally:
        try:
            folder.write_summary(status)
        except OutputError as error:
            print_error(error)
    return status


def _fail(failure: JobFailed, folder: OutputFolder, view: View) -> None:
    view.show(failure)
    if not failure.refused:
        folder.fail(failure)
    if failure.traceback:
        log = folder.log(failure) or write_log(failure.traceback)
        print_hint(
            Message("this is a fault of Itda; the details are in {log}", log=log) if log else ""
        )


def _print_results(folder: OutputFolder, total: int) -> None:
    if not folder.done:
        return
    typer.echo(f"{folder.done} of {total} done, in {folder.folder} (summary.tsv lists them)")
    wrong = [name for name, level in folder.levels.items() if level == "untrusted"]
    if wrong and total > 1:
        print_warning(
            counted(
                "{count} of {total} is not to be trusted: {names:,}",
                "{count} of {total} are not to be trusted: {names:,}",
                len(wrong),
                total=total,
                names=[*wrong[:MOST_NAMED], *(["…"] if len(wrong) > MOST_NAMED else [])],
            )
        )
    first = next((name for name in folder.written if name.endswith(".html")), None)
    if first is not None:
        typer.echo(f"open {folder.folder / first} in a browser to look at a result")
