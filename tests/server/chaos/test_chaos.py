"""Workers and the server are killed at random, and every job still ends exactly once."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from itda.server.artefacts import Artefacts
from itda.server.database.database import Database
from itda.server.database.tables import jobs

from .books import problems
from .chaos import run


@pytest.mark.slow
def test_every_job_ends_once(database_url, tmp_path):
    result = run(tmp_path / "home", database_url, jobs=400, kills=6, kill_every=1.0)
    assert result["problems"] == []
    assert sum(result["books"]["jobs"].values()) == 400
    assert sum(result["kills"].values()) == 6

    # The check itself can fail: a job that is set back is seen.
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.state == "done").values(state="queued"))
    files = Artefacts(tmp_path / "home" / "artefacts", database)
    assert any("queued" in one for one in problems(database, files, []))
    database.close()
