"""`itda worker --ray local`: two processes of a Ray cluster fold, one is killed, all is done."""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest

from itda.server.queue.records import State
from tests.patience import PATIENCE_SECONDS

from ...cluster.helpers import wait_until
from .jobs import on_sqlite, worker_process

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)


@on_sqlite
def test_a_process_of_the_cluster_is_killed_and_every_job_is_done_once(site, tmp_path):
    until = tmp_path / "until"
    held = [
        site.submit(name, metadata={"until": str(until), "folds": str(tmp_path / name)})[0]
        for name in ("held-1", "held-2")
    ]
    others = site.submit(*(f"job-{number}" for number in range(10)))
    with worker_process(site, "--ray", "local", "--jobs", "2", "--batch", "1") as process:
        for name in ("held-1", "held-2"):
            wait_until(lambda name=name: (tmp_path / name).exists())
        (victim,) = (tmp_path / "held-1").read_text().split()
        os.kill(int(victim), signal.SIGKILL)
        wait_until(lambda: site.queue.job(held[0]).crashes == 1)
        until.touch()
        site.wait([*held, *others])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert site.ledger(held[0]) == ["crashed", "done"]
    for job_id in (held[1], *others):
        assert site.ledger(job_id) == ["done"]
        assert site.state(job_id) is State.DONE
    assert (site.home / "ray-token").exists()
    assert site.artefacts.unnamed() == []
    assert site.artefacts.verify() == []
