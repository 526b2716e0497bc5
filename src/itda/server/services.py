"""What a request reaches: one of each part of the server, made from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itda.server.database import migrate
from itda.server.database.database import Database
from itda.server.settings import ServerSettings

if TYPE_CHECKING:
    from itda.server.accounts.accounts import Accounts
    from itda.server.artefacts import Artefacts
    from itda.server.queue.queue import Queue
    from itda.server.understand import Understanding


@dataclass(frozen=True)
class Services:
    """The parts of a server.

    Attributes:
        settings: What the server was told.
        database: Where everything is written down.
        queue: Jobs, leases, shares and books.
        accounts: Users, projects, tokens, and the audit log.
        artefacts: The files of jobs.
        understanding: What an input holds, which families can fold it, and at what cost.
        clock: Seconds since 1970.
    """

    settings: ServerSettings
    database: Database
    queue: Queue
    accounts: Accounts
    artefacts: Artefacts
    understanding: Understanding
    clock: Callable[[], float] = time.time


def open_services(settings: ServerSettings, *, clock: Callable[[], float] = time.time) -> Services:
    """Open the database, bring its tables to this release's version, and make the parts.

    Raises:
        OutputError: A folder cannot be written.
        DataError: The tables come from a newer release.
        DependencyError: A package that the settings need is not installed.
    """
    database = Database(settings.database_url)
    migrate.upgrade(database)
    return make_services(settings, database, clock=clock)


def make_services(
    settings: ServerSettings, database: Database, *, clock: Callable[[], float] = time.time
) -> Services:
    """Make the parts of a server over a database that is open and has its tables."""
    from itda.server.accounts.accounts import Accounts
    from itda.server.artefacts import Artefacts
    from itda.server.queue.queue import Queue
    from itda.server.understand import Understanding

    queue = Queue(
        database,
        clock=clock,
        lease_seconds=settings.lease_seconds,
        most_crashes=settings.most_crashes,
        most_queued=settings.limits.queued_jobs,
    )
    return Services(
        settings=settings,
        database=database,
        queue=queue,
        accounts=Accounts(database, clock=clock),
        artefacts=Artefacts(settings.artefact_folder, database),
        understanding=Understanding(queue, limits=settings.limits),
        clock=clock,
    )
