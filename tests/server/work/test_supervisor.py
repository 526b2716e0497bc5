"""What `itda serve` does about its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from itda.errors import InputError
from itda.server.queue.records import State
from itda.server.settings import ServerSettings
from itda.server.work.supervisor import Supervisor, options_of

from ...cluster.helpers import wait_until
from .jobs import PROGRAM, Site, on_sqlite
from .test_worker_process import is_alive

COMMAND = (*PROGRAM, "--device", "cpu")


def settings_of(site: Site, **changes: object) -> ServerSettings:
    return ServerSettings(
        home=site.home,
        database_url=site.database.url.render_as_string(hide_password=False),
        lease_seconds=site.lease_seconds,
        **changes,
    )


@pytest.fixture
def supervisor(site):
    one = Supervisor(settings_of(site), command=COMMAND, look_seconds=0.05)
    one.start()
    yield one
    one.stop()


def test_a_dead_worker_is_replaced_and_its_job_given_back_before_the_lease_runs_out(
    site, supervisor, tmp_path
):
    until = tmp_path / "until"
    (job_id,) = site.submit("held", metadata={"until": str(until)})
    wait_until(lambda: "stage_progress" in site.events(job_id))
    first = supervisor.process
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: site.queue.job(job_id).crashes == 1)  # the lease is a minute
    until.touch()
    (job,) = site.wait([job_id])
    assert job.attempts == 2
    assert supervisor.process not in (None, first)
    assert site.ledger(job_id) == ["crashed", "done"]
    assert "worker" in (site.home / "logs" / "worker.log").read_text()


@on_sqlite
def test_it_stops_with_its_worker_and_the_job_is_given_back(site, supervisor, tmp_path):
    until = tmp_path / "until"
    (job_id,) = site.submit("held", metadata={"until": str(until)})
    wait_until(lambda: "stage_progress" in site.events(job_id))
    worker = supervisor.process
    until.touch()
    supervisor.stop()
    assert not is_alive(worker)
    assert site.state(job_id) in (State.QUEUED, State.DONE)
    assert site.queue.job(job_id).crashes == 0
    assert site.queue.workers() == []
    supervisor.stop()  # harmless


@on_sqlite
def test_a_server_that_is_killed_leaves_no_worker(site):
    url = site.database.url.render_as_string(hide_password=False)
    program = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "from pathlib import Path\n"
        "from itda.server.settings import ServerSettings\n"
        "from itda.server.work.supervisor import Supervisor\n"
        f"settings = ServerSettings(home=Path({str(site.home)!r}), database_url={url!r})\n"
        f"one = Supervisor(settings, command={COMMAND!r}, look_seconds=0.05)\n"
        "one.start()\n"
        "while one.process is None: time.sleep(0.05)\n"
        "print(one.process, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    worker = int(server.stdout.readline())
    wait_until(lambda: len(site.queue.workers()) == 1)
    server.kill()
    server.wait()
    wait_until(lambda: not is_alive(worker))
    assert site.queue.workers() == []


def test_without_a_worker_of_its_own_it_still_reaps(database, tmp_path):
    site = Site(database, tmp_path / "home", lease_seconds=0.5)
    (job_id,) = site.submit("one")
    worker_id = site.queue.register(_worker())
    assert site.queue.claim(worker_id, _capacity())
    one = Supervisor(settings_of(site, cluster_url="none"), look_seconds=0.05)
    one.start()
    try:
        wait_until(lambda: site.queue.job(job_id).crashes == 1)
        assert one.process is None
    finally:
        one.stop()


def _worker():
    from itda.server.queue.records import NewWorker

    return NewWorker(
        host="elsewhere",
        process=1,
        executor="processes",
        device_kind="cpu",
        device="cpu",
        memory_bytes=1,
    )


def _capacity():
    from itda.server.queue.records import Capacity

    return Capacity()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("local", ["--jobs", "1"]),
        ("local:4", ["--jobs", "4"]),
        ("none", None),
        ("ray", ["--ray", "local"]),
        ("auto", ["--ray", "auto"]),
        ("head:6379", ["--ray", "head:6379"]),
        ("ray://head:10001", ["--ray", "ray://head:10001"]),
    ],
)
def test_where_work_is_done(url, options):
    assert options_of(url) == options


@pytest.mark.parametrize("url", ["", "local:0", "local:many", "local:", "nowhere"])
def test_a_place_that_is_none_is_refused(url):
    with pytest.raises(InputError):
        options_of(url)
