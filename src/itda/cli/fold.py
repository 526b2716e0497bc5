"""`itda fold`: from a FASTA file or a job to structures on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli import complete
from itda.cli.offline import go_offline
from itda.cli.options import (
    Ambiguous,
    AmbiguousChoice,
    Device,
    Inputs,
    MaxTemplateDate,
    MaxTemplateIdentity,
    Memory,
    Molecule,
    MoleculeChoice,
    Msa,
    Profile,
    Recycles,
    Samples,
    Seed,
    SequenceDatabases,
    TemplateCount,
    Templates,
    Trim,
    Weights,
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

if TYPE_CHECKING:
    from itda.cli.progress import View
    from itda.engine.engine import Engine
    from itda.engine.events import JobFailed
    from itda.engine.plan import Plan
    from itda.inputs import Inputs as ExpandedInputs
    from itda.results.folder import OutputFolder

RUN_INTERRUPTED, RUN_TERMINATED = 130, 143
FINISHED, STOPPED, INTERRUPTED, LOST = "finished", "stopped", "interrupted", "lost"
RUN_LOST = 1


def fold(
    sources: Inputs,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            autocompletion=complete.models,
            help="Model family; `itda models` says what each folds, and with which outputs.",
        ),
    ] = "mini",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where results go. (default: INPUT_itda; of several, results_itda)"
        ),
    ] = None,
    samples: Samples = None,
    seed: Seed = None,
    recycles: Recycles = None,
    profile: Profile = None,
    msa: Msa = None,
    db: SequenceDatabases = None,
    templates: Templates = None,
    max_template_date: MaxTemplateDate = None,
    max_template_identity: MaxTemplateIdentity = None,
    template_count: TemplateCount = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor cores for searches. (default: all)")
    ] = None,
    trim: Trim = False,
    molecule: Molecule = MoleculeChoice.AUTO,
    ambiguous: Ambiguous = AmbiguousChoice.REFUSE,
    device: Device = "auto",
    memory: Memory = None,
    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="Most records that are folded in one batch. (default: what fits)"),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic", help="The same bits each time, at some cost in speed."),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Use no network: refuse at once what would need it."),
    ] = False,
    weights: Weights = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of another run in DIR.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where work is kept for later runs. (default: your cache)"
        ),
    ] = None,
    progress: Annotated[
        ProgressStyle,
        typer.Option(
            help="How the run is shown: a bar, lines, JSON lines on standard output, or only "
            "problems; auto is a bar on a terminal."
        ),
    ] = ProgressStyle.AUTO,
    json_events: Annotated[
        bool, typer.Option("--json", help="The same as --progress json.")
    ] = False,
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
    from itda.cli.estimate import costs_of
    from itda.cli.progress import choose_view, failures_told
    from itda.engine.events import JobFailed
    from itda.engine.search_options import SearchOptions, split_msa
    from itda.results.folder import OutputFolder

    style = ProgressStyle.JSON if json_events else progress
    with failures_told(style):
        search, _ = split_msa(msa)
        if offline:
            go_offline(search)
        asked = ask(
            sources,
            model=model,
            msa=msa,
            search=SearchOptions(
                databases=tuple(db or ()),
                templates=templates,
                max_template_date=max_template_date,
                max_template_identity=max_template_identity,
                template_count=template_count,
                threads=threads,
            ),
            profile=profile,
            trim=trim,
            molecule=molecule,
            ambiguous=ambiguous,
            seed=seed,
            samples=samples,
            recycles=recycles,
            weights=weights,
            device=device,
            memory=memory,
            deterministic=deterministic,
            at_once=at_once,
            cache=cache,
        )
        engine, plan, rejected = asked.engine, asked.plan, asked.rejected
        folder = OutputFolder(
            out or default_folder(asked.inputs),
            plan.requests,
            refused=[*rejected, *plan.refused],
            settings=plan.settings.shown(),
            overwrite=overwrite,
            sources=asked.batch.sources,
        )
        for note in asked.notes:
            print_warning(note)
        if search is not None and search.startswith("server:") and plan.requests:
            server = plan.settings.searches.titles()["alignments"]
            print_warning(f"the sequences leave this machine: they are sent to {server}")
    with (
        stopped_by_signals() as terminated,
        choose_view(
            costs_of(plan),
            style=style,
            seconds=engine.seconds(plan),
            sources={
                name: asked.batch.sources[place] for name, place in asked.batch.places.items()
            },
        ) as view,
    ):
        folder.prepare()
        for name, place, error in rejected:
            told = asked.batch.sources[place]
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
            f"stopped: {folder.done} of {plan.total} done and saved in {folder.folder}",
            hint="the same command goes on from there",
        )
    raise typer.Exit(code)


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
        print_hint(f"this is a fault of Itda; the details are in {log}" if log else "")


def _print_results(folder: OutputFolder, total: int) -> None:
    if not folder.done:
        return
    typer.echo(f"{folder.done} of {total} done, in {folder.folder} (summary.tsv lists them)")
    first = next((name for name in folder.written if name.endswith(".html")), None)
    if first is not None:
        typer.echo(f"open {folder.folder / first} in a browser to look at a result")
