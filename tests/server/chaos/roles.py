"""The processes that are killed: `… chaos.roles server|worker HOME URL PORT`."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

from itda.server.artefacts import Artefacts
from itda.server.database.database import Database
from itda.server.queue.queue import Queue
from itda.server.serve import serve
from itda.server.settings import Limits, ServerSettings
from itda.server.work.worker import Worker

from .tiny import TinyExecutor

LEASE_SECONDS = 3.0


def settings_of(home: Path, database_url: str, port: int) -> ServerSettings:
    return ServerSettings(
        home=home,
        database_url=database_url,
        cluster_url="none",
        port=port,
        lease_seconds=LEASE_SECONDS,
        limits=Limits(requests_per_minute=10**6),
    )


def run_worker(settings: ServerSettings) -> None:
    database = Database(settings.database_url)
    worker = Worker(
        Queue(database, lease_seconds=settings.lease_seconds, most_crashes=settings.most_crashes),
        Artefacts(settings.artefact_folder, database),
        TinyExecutor(),
        folder=settings.home / "work",
        stages=settings.stage_folder,
        lease_seconds=settings.lease_seconds,
        idle_seconds=0.1,
    )
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


def main() -> None:
    role, home, database_url, port = sys.argv[1:]
    settings = settings_of(Path(home), database_url, int(port))
    if role == "worker":
        run_worker(settings)
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        serve(settings, browser=False)


if __name__ == "__main__":
    main()
