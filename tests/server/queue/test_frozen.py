"""A worker that freezes within a transaction keeps rows locked; nobody else waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from itda.server.database.tables import jobs, workers
from itda.server.queue.records import State

LONGEST_SECONDS = 30.0


@pytest.fixture
def postgresql(lab):
    if lab.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    return lab


def test_reaping_passes_over_what_is_locked(postgresql):
    lab = postgresql
    person, frozen, dead = lab.person(), lab.worker(), lab.worker()
    lab.submit(person, "one", "two")
    kept, free = lab.claim(frozen), lab.claim(dead)
    lab.now += 1000.0
    with ThreadPoolExecutor(1) as pool:
        with lab.database.engine.begin() as connection:
            mine = select(workers.c.id).where(workers.c.id == frozen).with_for_update()
            connection.execute(mine)
            mine = select(jobs.c.id).where(jobs.c.id == kept.job.id).with_for_update()
            connection.execute(mine)
            assert pool.submit(lab.queue.reap).result(LONGEST_SECONDS) == 1
            assert lab.queue.job(free.job.id).state is State.QUEUED
            assert lab.queue.job(kept.job.id).state is State.RUNNING
        assert lab.queue.reap() == 1
    assert lab.queue.job(kept.job.id).state is State.QUEUED
    assert lab.queue.workers() == []


def test_a_session_that_does_nothing_within_a_transaction_is_ended(postgresql):
    with postgresql.database.read() as connection:
        wait = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert wait == "30s"
