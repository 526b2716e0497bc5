"""`itda remote`: jobs on a server that is elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.fold import RUN_INTERRUPTED, default_folder
from itda.cli.groups import spread
from itda.cli.options import Inputs, SentArguments
from itda.cli.output import (
    exit_status,
    print_error,
    print_fault,
    print_problem,
    print_warning,
    seconds_shown,
)
from itda.cli.remote_sending import Submitting, send_each, show_plans, with_neighbours
from itda.errors import ItdaError
from itda.language import Message

if TYPE_CHECKING:
    from itda.remote.client import Client
    from itda.wire import JobView

app = typer.Typer(
    help="Jobs on an Itda server: submit, watch, fetch.\n\n"
    "The server and the token are those of `itda remote login`, or ITDA_URL and ITDA_TOKEN.",
    no_args_is_help=True,
    add_completion=False,
)

Jobs = Annotated[list[str], typer.Argument(metavar="JOB...", help="Keys of jobs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Project = Annotated[str | None, typer.Option(metavar="KEY", help="Of `itda remote status`.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that hold something else.")
]

_LINE_STEP = 0.1


class PriorityChoice(StrEnum):
    """Classes of jobs."""

    URGENT = "urgent"
    NORMAL = "normal"
    BACKGROUND = "background"


@app.command("login")
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Such as https://itda.example.org.")],
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN|-", help="Of the page of your account; - reads it. (default: asks)"
        ),
    ] = None,
) -> None:
    """Keep a server and a token for later commands, in a file that only you can read."""
    from itda.remote.client import Client
    from itda.remote.profile import Profile, checked_url, is_open, write_profile

    address = checked_url(url)
    if is_open(address):
        print_warning(
            Message(
                "{address}: what is sent, the token too, can be read on its way", address=address
            )
        )
    secret = token or typer.prompt("token", hide_input=True)
    if secret == "-":
        secret = typer.get_text_stream("stdin").readline()
    secret = secret.strip()
    with Client(address, secret) as client:
        who = client.me()
    path = write_profile(Profile(address, secret))
    typer.echo(f"{who.user.name} ({who.user.email}) at {address}, kept in {path}")


@app.command("submit")
@spread
def submit(
    sources: Inputs,
    run: SentArguments,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Alignment or profile called after its job; may be repeated."),
    ] = None,
    project: Project = None,
    priority: Annotated[
        PriorityChoice, typer.Option(help="urgent is for managers of the project.")
    ] = PriorityChoice.NORMAL,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, and fetch the results.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where results go, with --wait. (default: INPUT_itda)"),
    ] = None,
    overwrite: Overwrite = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what it holds and would cost.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Send inputs to the server's queue; a bad file leaves the others alone.

    Exit status: 0 all records are queued (with --wait: done), 1 none, 2 some.
    """
    from itda.inputs import expand
    from itda.job.inputs import JOBS

    files = file or []
    options = run.given
    inputs = expand(sources, JOBS)
    for note in inputs.notes:
        print_warning(note)
    with _client() as client:
        if plan:
            plans, failed = send_each(
                inputs,
                lambda sent: client.plan(
                    sent, files=with_neighbours(sent, files, run.msa, run.family), **options
                ),
            )
            show_plans(plans, failed, json_output)
        told = Submitting(as_json=json_output and not wait, quiet=json_output)

        def send(sent: str | Path) -> None:
            told.show(
                client.submit(
                    sent,
                    files=with_neighbours(sent, files, run.msa, run.family),
                    project=project,
                    priority=priority.value,
                    **options,
                )
            )

        _, failed = send_each(inputs, send)
        total = told.total + failed
        if not wait:
            raise typer.Exit(exit_status(len(told.jobs), total))
        keys = [job.id for job in told.jobs]
        folder = out or default_folder(inputs)
        done = _watched(
            client, keys, json_output, lambda job: _fetch(client, job, folder, overwrite)
        )
        raise typer.Exit(exit_status(done, total))


@app.command("list")
def list_jobs(
    state: Annotated[
        list[str] | None,
        typer.Option(help="queued, running, done, failed or cancelled; may be repeated."),
    ] = None,
    text: Annotated[str, typer.Option(help="Only where the name holds this.")] = "",
    project: Project = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs.")] = 50,
    json_output: Json = False,
) -> None:
    """List jobs, newest first."""
    import itertools

    states: Any = state or ()
    with _client() as client:
        found = client.jobs(project=project, states=states, text=text, page=min(limit, 200))
        for job in itertools.islice(found, limit):
            typer.echo(job.model_dump_json() if json_output else _line(job))


@app.command("status")
def status(
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="[JOB...]", help="None for the account.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Say where jobs are; without a job, who you are and which projects you reach."""
    with _client() as client:
        if not jobs:
            _show_account(client, json_output)
            return
        for key in jobs:
            job = client.job(key)
            if json_output:
                typer.echo(job.model_dump_json(indent=2))
                continue
            typer.echo(_line(job))
            if job.state == "queued" and job.ahead is not None:
                when = job.starts_in_seconds
                told = "" if when is None else f", starts in about {seconds_shown(when)}"
                typer.echo(f"  {job.ahead} before it{told}")
            for stage in client.stages(job):
                spent = "" if stage.seconds is None else f" in {seconds_shown(stage.seconds)}"
                found = " (found from before)" if stage.cached else ""
                typer.echo(f"  {stage.name}: {stage.state}{spent}{found} {stage.message}".rstrip())
            _say_error(job)


@app.command("watch")
def watch(jobs: Jobs, json_output: Json = False) -> None:
    """Wait until jobs end, and show how far they are.

    Ctrl-C ends the watching, not the jobs. Exit status: 0 all done, 1 none, 2 some.
    """
    with _client() as client:
        done = _watched(client, jobs, json_output, lambda _: None)
    raise typer.Exit(exit_status(done, len(jobs)))


@app.command("fetch")
def fetch(
    jobs: Jobs,
    out: Out = Path(),
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="structure, confidence, pae, report, alignment, templates, sample_0, …; may be "
            "repeated."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the results of jobs to a folder; what is there already is not fetched again.

    Exit status: 0 all fetched, 1 none, 2 some.
    """
    fetched = 0
    with _client() as client:
        for key in jobs:
            try:
                written = client.download(key, out, kinds=kind or (), overwrite=overwrite)
            except ItdaError as error:
                print_error(error, name=key)
                continue
            fetched += 1
            for path in written.values():
                typer.echo(str(path))
    raise typer.Exit(exit_status(fetched, len(jobs)))


@app.command("cancel")
def cancel(jobs: Jobs) -> None:
    """End jobs. Exit status: 0 all, 1 none, 2 some."""
    _each(jobs, "cancel")


@app.command("retry")
def retry(jobs: Jobs) -> None:
    """Queue failed or cancelled jobs again. Exit status: 0 all, 1 none, 2 some."""
    _each(jobs, "retry")


@app.command("usage")
def usage(
    start: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="First day not counted.")
    ] = None,
    project: Project = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json_output: Json = False,
) -> None:
    """Say what your projects used, by month. (default: this month)"""
    with _client() as client:
        if csv:
            typer.echo(client.usage_csv(project=project, start=start, end=end), nl=False)
            return
        found = client.usage(project=project, start=start, end=end)
        if json_output:
            typer.echo(found.model_dump_json(indent=2))
            return
        for line in found.lines:
            typer.echo(
                f"{line.month}  {line.project_name}  {line.user_name}  {line.device_kind}  "
                f"{line.done} done, {line.failed} failed  {line.device_hours:.3f} h"
            )
        if not found.lines:
            typer.echo(f"nothing from {found.start} to {found.end}")


@app.command("models")
def models(json_output: Json = False) -> None:
    """List the model families of the server."""
    with _client() as client:
        found = client.models()
        if json_output:
            typer.echo(found.model_dump_json(indent=2))
            return
        for model in found.models:
            there = "" if model.available else " (its weights are not on the server)"
            typer.echo(f"{model.name}: {model.title}{there}")


def _client() -> Client:
    from itda.remote.client import Client

    return Client()


def _each(keys: list[str], action: str) -> None:
    done = 0
    with _client() as client:
        for key in keys:
            try:
                job = getattr(client, action)(key)
            except ItdaError as error:
                print_error(error, name=key)
                continue
            done += 1
            typer.echo(_line(job))
    raise typer.Exit(exit_status(done, len(keys)))


def _watched(client: Client, keys: list[str], json_output: bool, then: Any) -> int:
    """Wait for each job, do something with those that are done, and return how many are."""
    done = 0
    try:
        for key in keys:
            try:
                job = client.wait(key, progress=_shower(json_output))
                if job.state == "done":
                    then(job)
                    done += 1
            except ItdaError as error:
                print_error(error, name=key)
                continue
            _say_error(job)
    except KeyboardInterrupt:
        print_problem(
            Message("stopped watching; the jobs go on"),
            hint=Message("itda remote watch {keys}", keys=" ".join(keys)),
        )
        raise typer.Exit(RUN_INTERRUPTED) from None
    return done


def _shower(json_output: bool) -> Any:
    shown: tuple[str, float] = ("", 0.0)

    def show(job: JobView) -> None:
        nonlocal shown
        if json_output:
            typer.echo(job.model_dump_json())
            return
        if job.state == shown[0] and job.fraction < shown[1] + _LINE_STEP:
            return
        shown = job.state, job.fraction
        typer.echo(_line(job))

    return show


def _fetch(client: Client, job: JobView, folder: Path, overwrite: bool) -> None:
    for path in client.download(job, folder, overwrite=overwrite).values():
        typer.echo(str(path), err=True)


def _line(job: JobView) -> str:
    told: str = job.state
    if job.state == "running":
        told = f"running {job.fraction:.0%} {job.message}"
    elif job.state == "done" and job.summary:
        plddt = job.summary.get("mean_plddt")
        told = f"done, mean pLDDT {plddt}" if plddt is not None else told
        # A server of before there were verdicts says none.
        level = (job.summary.get("verdict") or {}).get("level")
        told = f"{told}, {level}" if level else told
    return f"{job.id}  {job.name}  {told}".rstrip()


def _say_error(job: JobView) -> None:
    if job.error is not None:
        print_fault(job.error, start=f"{job.name}: ")
        if job.error.log:
            typer.echo(job.error.log, err=True)


def _show_account(client: Client, json_output: bool) -> None:
    who = client.me()
    if json_output:
        typer.echo(who.model_dump_json(indent=2))
        return
    typer.echo(f"{who.user.name} ({who.user.email}) at {client.url}, Itda {who.version}")
    typer.echo(f"may {', '.join(who.scopes)}")
    for project in who.projects:
        typer.echo(f"{project.id}  {project.name}  {project.role}")
        for quota in project.quotas:
            typer.echo(
                f"  {quota.device_kind} a {quota.period}: {quota.used_seconds / 3600:.2f} of "
                f"{quota.device_seconds / 3600:.2f} h ({quota.level})"
            )
