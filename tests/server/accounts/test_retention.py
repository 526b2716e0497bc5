"""What is too old is removed, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from itda.errors import InputError
from itda.server.accounts import retention
from itda.server.accounts.links import SIGN_IN
from itda.server.accounts.log import FAILED_SIGN_IN
from itda.server.accounts.records import SERVER, Actor
from itda.server.database.tables import audit, links, sessions, tokens
from itda.server.settings import ServerSettings
from itda.server.work import supervisor
from itda.server.work.supervisor import Supervisor

DAY = 86400.0


def count(database, table) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def actions(accounts) -> list[str]:
    return [line.action for line in accounts.audit_log(limit=1000)]


def test_the_log_is_kept_for_as_long_as_is_told(accounts, clock, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 3)
    for number in range(10):
        accounts.audit("job.submit", object_id=str(number))
        clock.wait(DAY)
    clock.wait(400 * DAY - 6 * DAY)
    assert accounts.forget_old(400) == {"audit": 4}
    assert [line.object_id for line in accounts.audit_log()] == [None, *"987654"]
    line = accounts.audit_log()[0]
    assert (line.action, line.user_id, line.details) == ("log.collect", None, {"audit": 4})
    assert accounts.forget_old(400) == {}
    assert len(actions(accounts)) == 7  # what removes nothing leaves no line


def test_failed_sign_ins_go_sooner(accounts, clock, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    for _ in range(5):
        accounts.audit(FAILED_SIGN_IN, details={"email": "kim@lab.example"})
        accounts.audit("job.submit")
    clock.wait(29 * DAY)
    accounts.audit(FAILED_SIGN_IN)
    assert accounts.forget_old(400) == {}
    clock.wait(2 * DAY)
    assert accounts.forget_old(400) == {"failed_sign_ins": 5}
    assert sorted(actions(accounts)) == ["job.submit"] * 5 + ["log.collect", FAILED_SIGN_IN]


def test_what_no_longer_lets_in_goes(accounts, clock, database):
    user = accounts.users.add("kim@lab.example")
    accounts.sessions.start(user.id, how="password", by=Actor())
    accounts.links.create(user.id, SIGN_IN, by=SERVER)
    secret, _ = accounts.tokens.create(user.id, "kept", ["read"])
    accounts.tokens.create(user.id, "short", ["read"], expires_at=clock() + DAY)
    _, gone = accounts.tokens.create(user.id, "gone", ["read"])
    accounts.tokens.revoke(gone.id)
    assert accounts.forget_old(400) == {}
    clock.wait(16 * DAY)
    assert accounts.forget_old(400) == {"sessions": 1}
    clock.wait(60 * DAY)
    assert accounts.forget_old(400) == {"links": 1, "tokens": 2}
    assert [count(database, one) for one in (sessions, links, tokens)] == [0, 0, 1]
    assert accounts.identities.of_token(secret) is not None
    assert count(database, audit) > 5


def test_the_supervisor_asks_for_it(tmp_path, accounts, clock, database, monkeypatch):
    url = database.engine.url.render_as_string(hide_password=False)
    told = ServerSettings(home=tmp_path, database_url=url, cluster_url="none", audit_days=7)
    accounts.audit("job.submit")  # in the year of the tests' clock
    one = Supervisor(told)
    asked: list[float] = []
    monkeypatch.setattr(one._accounts, "forget_old", asked.append)
    monkeypatch.setattr(supervisor, "COLLECT_EVERY_SECONDS", 0.0)
    one._collect()
    assert asked == []  # not before its time
    one._collect_at = 0.0
    one._collect()
    one.stop()
    assert asked == [7.0]


@pytest.mark.parametrize("told", ["", "1", "30.5", "0", "-1", "nan", "many"])
def test_days_of_the_environment(told):
    environment = {"ITDA_AUDIT_DAYS": told}
    if told in ("", "1", "30.5"):
        kept = ServerSettings.from_environment(environment).audit_days
        assert kept == float(told or 400)
    else:
        with pytest.raises(InputError, match="ITDA_AUDIT_DAYS"):
            ServerSettings.from_environment(environment)
