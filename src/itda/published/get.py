"""Fetches a published database and makes it one that can be searched."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Unpack

from itda.chem.component_file import ComponentFile, components_folder
from itda.hub.fetch import OnTransfer
from itda.progress import Progress, ignore_progress
from itda.published.components import fetch_folder, get_components
from itda.published.entries import Entry
from itda.published.pdb_entries import PublishedEntries
from itda.published.plan import Plan, plan_fetch
from itda.published.sequences import PublishedFasta
from itda.search.databases.build import BuildOptions
from itda.search.databases.database import Database
from itda.search.databases.registry import Databases
from itda.search.databases.sources import FastaSource
from itda.search.databases.swissprot2014 import SwissProt2014


def plan(entry: Entry, databases: Databases, mirror: str = "") -> Plan:
    """Ask what fetching a database will take, and refuse what cannot be.

    Args:
        entry: Which.
        databases: Where it is to be.
        mirror: A server in place of the publisher's, with `MIRROR/NAME/FILE`.

    Raises:
        OutputError: It is there already, or does not fit on the disk.
        DownloadError: The publisher cannot be reached, or the network is not to be used.
        DependencyError: MMseqs2 is needed and not installed.
        InputError: The mirror is no http address.
    """
    is_components = entry.kind == "components"
    if not is_components:
        databases.require_absent(entry.name)
    folder = fetch_folder() if is_components else databases.fetch_folder(entry.name)
    planned = plan_fetch(entry, folder, mirror)
    planned.require_room(components_folder() if is_components else databases.folder)
    return planned


def get(
    planned: Plan,
    databases: Databases,
    *,
    on_transfer: OnTransfer = lambda transferred: None,
    progress: Progress = ignore_progress,
    **options: Unpack[BuildOptions],
) -> Database | ComponentFile:
    """Fetch a database, verify it, and build it; what was stopped goes on.

    Args:
        planned: What `plan` gave.
        databases: Where it comes to be.
        on_transfer: Told the bytes so far; may raise to stop.
        progress: Told how far the whole is; may raise to stop.
        options: As for `Databases.add_sequences`.

    Returns:
        The database, or for `ccd` the dictionary.

    Raises:
        DownloadError: It cannot be fetched, or is not as published; what is not was removed.
        OutputError: Another process fetches or builds it, it is there, or the disk is full.
        ItdaError: As for `Databases.add_sequences` and `Databases.add_structures`.
    """
    entry = planned.entry
    if entry.kind == "components":
        return get_components(planned, on_transfer=on_transfer, progress=progress)
    folder = databases.fetch_folder(entry.name)
    if entry.kind == "entries":
        source = PublishedEntries(planned, folder, on_transfer)
        database = databases.add_structures(entry.name, source, progress=progress, **options)
    else:
        database = databases.add_sequences(
            entry.name,
            _sequences(planned, folder, on_transfer),
            # There is nobody who could mend them; they are counted and listed.
            skip_bad=True,
            progress=progress,
            **options,
        )
    shutil.rmtree(folder, ignore_errors=True)
    return database


def _sequences(planned: Plan, folder: Path, on_transfer: OnTransfer) -> FastaSource:
    if planned.entry.kind == "package":
        return SwissProt2014()
    return PublishedFasta(planned, folder, on_transfer)
