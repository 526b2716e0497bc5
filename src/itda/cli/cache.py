"""`itda cache`: what is kept of earlier runs, how much it may be, and how it goes."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itda.cli.options import AsJson
from itda.cli.output import print_hint, print_problem, print_table, print_warning
from itda.errors import InputError, OutputError
from itda.hub.folders import shown_bytes
from itda.language import Message

if TYPE_CHECKING:
    from itda.store.entries import Entry
    from itda.store.store import Pruned, Store

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Results of stages that are kept for later runs: what there is, and how it goes.",
    pretty_exceptions_enable=False,
)

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.IGNORECASE)
_SHORT_KEY = 12

Folder = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where work is kept. (default: your cache)"),
]
StageName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only results of this stage, such as predict or alignment."),
]


@app.command("info")
def info(cache: Folder = None, json_output: AsJson = False) -> None:
    """Say where the cache is, what it holds, how much it may hold."""
    from itda.store.workplace import work_folder

    store = _store(cache)
    entries = store.entries()
    limit = store.limit
    stages: dict[str, dict[str, int]] = {}
    for entry in entries:
        counted = stages.setdefault(entry.stage, {"entries": 0, "bytes": 0})
        counted["entries"] += 1
        counted["bytes"] += entry.size_bytes
    unfinished = sum(_bytes_in(store.folder / "waiting", work_folder(store)))
    content = {
        "folder": str(store.folder),
        "entries": len(entries),
        "bytes": sum(entry.size_bytes for entry in entries),
        "limit_bytes": limit.size_bytes,
        "limit_source": limit.source,
        "stages": dict(sorted(stages.items())),
        "unfinished_bytes": unfinished,
        "oldest_use": _time_of(entries[-1].used) if entries else None,
    }
    if json_output:
        _print_json(content)
        return
    typer.echo(f"folder      {content['folder']}")
    typer.echo(f"kept        {_counted(len(entries))}, {shown_bytes(_bytes(entries))}")
    for name, counted in sorted(stages.items()):
        what = f"{_counted(counted['entries'])}, {shown_bytes(counted['bytes'])}"
        typer.echo(f"  {name:<10}{what}")
    typer.echo(f"unfinished  {shown_bytes(unfinished)}")
    size = "none" if limit.size_bytes is None else shown_bytes(limit.size_bytes)
    typer.echo(f"limit       {size}, by {limit.source}")
    if entries:
        typer.echo(f"oldest use  {content['oldest_use']}")


@app.command("list")
def list_entries(
    cache: Folder = None, stage: StageName = None, json_output: AsJson = False
) -> None:
    """List what is kept, the last used first."""
    store = _store(cache)
    entries = [one for one in store.entries() if stage is None or one.stage == stage]
    _refuse_no_stage(store, stage, entries)
    if json_output:
        _print_json({"folder": str(store.folder), "entries": [_described(one) for one in entries]})
        return
    if not entries:
        typer.echo(f"nothing is kept in {store.folder}")
        return
    rows: list[tuple[str, ...]] = [("key", "stage", "size", "made", "last used", "itda")]
    for entry in entries:
        said = _described(entry)
        rows.append(
            (
                entry.key[:_SHORT_KEY],
                entry.stage,
                shown_bytes(entry.size_bytes),
                said["created"] or "unknown",
                said["used"],
                said["itda"] or "unknown",
            )
        )
    print_table(rows)


@app.command("verify")
def verify(
    cache: Folder = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is damaged; it is computed anew.")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Read every entry and compare each byte with its digest.

    A damaged entry is never used, whether or not it is removed.

    Exit status: 0 all that stay are whole, 1 all are damaged, 2 some are.
    """
    from itda.store.entries import read_entry
    from itda.store.store import DamagedEntryError

    store = _store(cache)
    damaged: dict[str, str] = {}
    removed = whole = 0
    for entry in store.entries():
        try:
            read_entry(entry.folder, entry.key)
        except DamagedEntryError as error:
            if not entry.folder.exists():  # another process removed it
                continue
            damaged[entry.key] = str(error)
            if remove:
                _discard(store, entry.key)
                removed += 1
        else:
            whole += 1
    if json_output:
        _print_json(
            {
                "folder": str(store.folder),
                "whole": whole,
                "removed": removed,
                "damaged": [{"key": key, "problem": said} for key, said in damaged.items()],
            }
        )
    else:
        for said in damaged.values():
            print_problem(
                Message("{said}{what}", said=said, what=Message("; removed") if remove else "")
            )
        typer.echo(f"{_counted(whole)} whole, {len(damaged)} damaged, {removed} removed")
        if len(damaged) > removed:
            print_hint(Message("`itda cache verify --remove` removes what is damaged"))
    if len(damaged) > removed:
        raise typer.Exit(2 if whole else 1)


@app.command("prune")
def prune(
    cache: Folder = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Only what was not used for so long: 12h, 30d, 8w."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Until no more is kept: 5G, 500M. Oldest use goes first."
        ),
    ] = None,
    stage: StageName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Remove what is old, too much, or of one stage; options together narrow it down.

    Without an option, down to the limit. What a running process uses stays.
    """
    from itda.store.limit import parse_size

    unused = 0.0 if older_than is None else _seconds(older_than)
    aim = 0 if to is None else parse_size(to, what="--to")
    store = _store(cache)
    if stage is not None:
        _refuse_no_stage(store, stage, [one for one in store.entries() if one.stage == stage])
    if older_than is None and to is None and stage is None:
        limit = store.limit.size_bytes
        aim = sys.maxsize if limit is None else limit
    pruned = _pruned(store, stage=stage, unused_for_seconds=unused, to_bytes=aim, dry=dry_run)
    _report(store, pruned, json_output=json_output, dry=dry_run)


@app.command("clear")
def clear(
    cache: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_output: AsJson = False,
) -> None:
    """Remove all that is kept, and what stopped searches left behind.

    Results that were written to folders of your own stay, and so does what a running process uses.
    """
    from itda.store.workplace import clear_work

    store = _store(cache)
    entries = store.entries()
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                Message("clear: asks before it removes, and there is nobody to ask"),
                hint=Message("add {--yes} to remove without asking"),
            )
        what = f"{_counted(len(entries))}, {shown_bytes(_bytes(entries))}"
        if not typer.confirm(f"Remove all that is kept in {store.folder} ({what})?", err=True):
            typer.echo("nothing was removed", err=True)
            raise typer.Exit(1)
    pruned = _pruned(store)
    try:
        _, busy = clear_work(store)
    except OSError as error:
        raise _cannot_write(store, error) from error
    _report(store, pruned, json_output=json_output)
    if busy:
        print_warning(Message("{busy} searches are being made, and their folders stay", busy=busy))


@app.command("limit")
def limit(
    size: Annotated[
        str | None,
        typer.Argument(metavar="[SIZE]", help="5G, 500M, none, or default to forget what was set."),
    ] = None,
    cache: Folder = None,
    json_output: AsJson = False,
) -> None:
    """Say how much may be kept, or set it.

    $ITDA_CACHE_LIMIT goes before what is set here.
    """
    from itda.store.limit import VARIABLE, limit_of, set_limit
    from itda.store.paths import stage_folder

    folder = cache or stage_folder()
    if size is not None:
        set_limit(folder, None if size.strip().lower() == "default" else size)
    now = limit_of(folder)
    if size is not None and now.source == f"${VARIABLE}":
        print_warning(Message("${variable} is set and goes before it", variable=VARIABLE))
    if json_output:
        _print_json({"limit_bytes": now.size_bytes, "limit_source": now.source})
        return
    shown = "none" if now.size_bytes is None else shown_bytes(now.size_bytes)
    typer.echo(f"{shown}, by {now.source}")


def _store(cache: Path | None) -> Store:
    from itda.store.paths import stage_folder
    from itda.store.store import Store

    folder = cache or stage_folder()
    if folder.exists() and not folder.is_dir():
        raise InputError(
            Message("{--cache:{folder}}: is a file, not a folder", folder=folder),
            hint=Message("name a folder"),
        )
    if cache is not None and not folder.exists():
        raise InputError(
            Message("{--cache:{folder}}: there is no such folder", folder=folder),
            hint=Message("name another one"),
        )
    return Store(folder)


def _pruned(store: Store, **how: Any) -> Pruned:
    try:
        return store.prune(**how)
    except OSError as error:
        raise _cannot_write(store, error) from error


def _discard(store: Store, key: str) -> None:
    try:
        store.discard(key)
    except OSError as error:
        raise _cannot_write(store, error) from error


def _cannot_write(store: Store, error: OSError) -> OutputError:
    return OutputError(
        Message(
            "{folder}: cannot be written: {strerror}",
            folder=store.folder,
            strerror=error.strerror or error,
        ),
        hint=Message("only who may write there can remove what is kept"),
    )


def _report(store: Store, pruned: Pruned, *, json_output: bool, dry: bool = False) -> None:
    if json_output:
        _print_json(
            {
                "folder": str(store.folder),
                "dry_run": dry,
                "removed": [_described(entry) for entry in pruned.removed],
                "removed_bytes": _bytes(pruned.removed),
                "in_use": [entry.key for entry in pruned.in_use],
                "bytes": pruned.left_bytes,
            }
        )
    else:
        typer.echo(
            f"{'would remove' if dry else 'removed'} {_counted(len(pruned.removed))}, "
            f"{shown_bytes(_bytes(pruned.removed))}; {shown_bytes(pruned.left_bytes)} "
            f"{'would stay' if dry else 'stay'}"
        )
    if pruned.in_use:
        print_warning(
            Message(
                "a running process uses {count}, and so they stay",
                count=_counted(len(pruned.in_use)),
            )
        )


def _refuse_no_stage(store: Store, stage: str | None, found: list[Entry]) -> None:
    if stage is None or found:
        return
    there = sorted({entry.stage for entry in store.entries()})
    raise InputError(
        Message(
            "{--stage:{stage}}: nothing of that stage is kept in {folder}",
            stage=stage,
            folder=store.folder,
        ),
        hint=Message("there is: {there:,}", there=there)
        if there
        else Message("nothing at all is kept"),
    )


def _described(entry: Entry) -> dict[str, Any]:
    said = entry.manifest
    return {
        "key": entry.key,
        "stage": entry.stage,
        "version": said.get("version"),
        "bytes": entry.size_bytes,
        "created": said.get("created"),
        "used": _time_of(entry.used),
        "itda": said.get("itda"),
    }


def _seconds(age: str) -> float:
    match = _AGE.fullmatch(age.strip())
    if match is None:
        raise InputError(
            Message("{--older-than}: {age!r} is no age", age=age),
            hint=Message("write an age such as 12h or 30d"),
        )
    return float(match[1]) * _SECONDS[match[2].lower()]


def _bytes(entries: list[Entry] | tuple[Entry, ...]) -> int:
    return sum(entry.size_bytes for entry in entries)


def _bytes_in(*folders: Path) -> list[int]:
    from itda.store.entries import bytes_on_disk

    return [bytes_on_disk(folder) - 4096 for folder in folders if folder.is_dir()]


def _counted(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _time_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
