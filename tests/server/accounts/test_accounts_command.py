"""`itda accounts`, on a database of its own."""

from __future__ import annotations

import io
import json

import pytest

from itda.cli.main import run
from itda.server.accounts.accounts import Accounts
from itda.server.database.database import Database


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'home' / 'server' / 'itda.db'}"


@pytest.fixture
def itda(tmp_path, monkeypatch, capsys):
    """Return a runner of commands that gives status, output and errors."""
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    for variable in ("ITDA_DATABASE", "ITDA_PUBLIC_URL"):
        monkeypatch.delenv(variable, raising=False)

    def command(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = run(["accounts", *arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


@pytest.fixture
def accounts(itda, database_url):
    assert itda("list")[0] == 0  # makes the tables
    database = Database(database_url)
    yield Accounts(database)
    database.close()


def test_an_institute_is_set_up(itda, accounts):
    assert itda("add-organisation", "KAIST", "--weight", "2")[0] == 0
    assert itda("add-project", "Kinases")[0] == 0  # there is one organisation
    status, out, err = itda("add-user", "Kim@lab.example", "--name", "김민수", "--admin")
    link = out.splitlines()[-1]
    assert status == 0 and link.startswith("http://127.0.0.1:8787/auth/link?token=")
    assert "once" in err
    user, purpose = accounts.links.look(link.partition("token=")[2])
    assert (user.email, user.is_admin, purpose) == ("kim@lab.example", True, "invite")
    assert itda("add-member", "KAIST/Kinases", "kim@lab.example", "--role", "manager")[0] == 0
    told = itda("list")[1]
    assert "kim@lab.example  김민수  (administrator, has no password yet)" in told
    assert "KAIST  weight 2" in told and "    kim@lab.example  manager" in told
    (project,) = json.loads(itda("list", "--json")[1])["projects"]
    assert project["members"] == [{"email": "kim@lab.example", "role": "manager", "weight": 1.0}]
    assert itda("remove-member", project["id"], "kim@lab.example")[0] == 0
    assert accounts.projects.members(project["id"]) == []
    assert "password" not in itda("list", "--json")[1].replace("has_password", "")


def test_passwords_come_from_standard_input(itda, accounts):
    good = "four words and a dog"
    assert itda("add-user", "a@lab.example", "--password-stdin", stdin=good + "\n")[0] == 0
    assert accounts.users.check("a@lab.example", good)
    assert itda("set-password", "a@lab.example", "--password-stdin", stdin="new " + good)[0] == 0
    assert accounts.users.check("a@lab.example", "new " + good)
    status, _, err = itda("set-password", "a@lab.example", stdin="short\n")
    assert status == 1 and "10 are the least" in err
    assert accounts.users.check("a@lab.example", "new " + good)


def test_tokens(itda, accounts):
    user = accounts.users.add("a@lab.example")
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, "Kinases")
    accounts.projects.set_member(project.id, user.id, "member")
    told = ("token", "create", "a@lab.example", "--scope", "read", "--project", "Kinases")
    status, secret, _ = itda(*told, "--days", "1", "--name", "laptop")
    assert status == 0
    known = accounts.identities.of_token(secret.strip())
    assert (known.scopes, known.token.project_id) == ({"read"}, project.id)
    listed = itda("token", "list", "a@lab.example")[1]
    assert "good  read  laptop" in listed and secret.strip() not in listed
    (shown,) = json.loads(itda("token", "list", "a@lab.example", "--json")[1])
    assert shown["scopes"] == ["read"]
    assert itda("token", "revoke", shown["id"])[0] == 0
    assert accounts.identities.of_token(secret.strip()) is None
    assert "revoked" in itda("token", "list", "a@lab.example")[1]
    status, _, err = itda("token", "create", "a@lab.example", "--scope", "root")
    assert status == 1 and "read, submit, manage, admin" in err
    assert itda("token", "revoke", "nothing")[0] == 1


def test_shutting_out_and_the_owners_link(itda, accounts):
    owner = accounts.ensure_owner()
    status, _, err = itda("disable", "owner@localhost")
    assert status == 1 and "last administrator" in err
    accounts.users.add("a@lab.example", password="four words and a dog")
    assert itda("disable", "a@lab.example")[0] == 0
    assert "shut out" in itda("list")[1]
    assert accounts.users.check("a@lab.example", "four words and a dog") is None
    assert itda("enable", "a@lab.example")[0] == 0
    assert accounts.users.check("a@lab.example", "four words and a dog")
    token = itda("link", "owner@localhost")[1].strip().partition("token=")[2]
    assert token != owner.link_token
    assert accounts.links.look(token)[1] == "sign_in"
    token = itda("link", "a@lab.example")[1].strip().partition("token=")[2]
    assert accounts.links.look(token)[1] == "reset"


def test_what_is_not_there_is_named(itda, accounts):
    status, _, err = itda("disable", "nobody@lab.example")
    assert status == 1 and "no such user" in err
    status, _, err = itda("add-project", "Kinases")
    assert status == 1 and "add-organisation" in err
    for name in ("KAIST", "SNU"):
        accounts.projects.add(accounts.projects.add_organisation(name).id, "Kinases")
    accounts.users.add("a@lab.example")
    status, _, err = itda("add-member", "Kinases", "a@lab.example")
    assert status == 1 and "several" in err and "KAIST/Kinases, SNU/Kinases" in err
    assert itda("add-member", "SNU/Kinases", "a@lab.example")[0] == 0


def test_another_home_is_another_server(itda, accounts, tmp_path):
    accounts.users.add("a@lab.example")
    assert "a@lab.example" in itda("list")[1]
    assert "a@lab.example" not in itda("--home", str(tmp_path / "other"), "list")[1]
    url = f"sqlite:///{tmp_path / 'home' / 'server' / 'itda.db'}"
    assert "a@lab.example" in itda("--database", url, "list")[1]
