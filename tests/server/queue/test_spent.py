"""What quotas are held against is what the ledger adds up to."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import select

from itda.server.database.tables import spent

DAY = 86400.0


def test_days_are_the_sums_of_the_ledger(lab):
    kim = lab.person("kim")
    lee = lab.person("lee", organisation_id=kim.organisation_id)
    guest = lab.person("guest", organisation_id=kim.organisation_id, project_id=lee.project_id)
    workers = {kind: lab.worker(kind) for kind in ("cpu", "gpu")}
    for number, person in enumerate((kim, lee, guest, kim, lee, kim)):
        kind = ("cpu", "gpu")[number % 2]
        lab.submit(person, f"job {number}", device_kind=kind)
        claim = lab.claim(workers[kind], device_kind=kind)
        lab.now += 10_000.0 * (number + 1)
        ends = (
            lambda claim: lab.queue.finish(claim, [], {}),
            lambda claim: lab.queue.crashed(claim, "killed"),
            lambda claim: lab.queue.fail(claim, {"kind": "InputError", "problem": "no"}),
        )
        assert ends[number % 3](claim)
        lab.now += 1000.0
    expected: Counter[tuple[str, str, str, int]] = Counter()
    for line in lab.ledger():
        for level in ("organisation", "project", "user"):
            owner = getattr(line, f"{level}_id")
            key = (level, owner, line.device_kind, int(line.finished_at // DAY))
            expected[key] += line.device_seconds
    with lab.database.read() as connection:
        found = {tuple(row[:4]): row[4] for row in connection.execute(select(spent))}
    assert len({day for *_, day in found}) > 1
    assert found == pytest.approx(dict(expected))
