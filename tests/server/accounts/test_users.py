from __future__ import annotations

import pytest
from sqlalchemy import select

from itda.errors import InputError
from itda.server.accounts import passwords
from itda.server.accounts.records import Actor
from itda.server.database.tables import users
from itda.server.errors import ConflictError, NotFoundError

GOOD = "four words and a dog"


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("nine char", "10 are the least"),
        ("kim@lab.example", "the e-mail address"),
        ("KIM@LAB.EXAMPLE ", "the e-mail address"),
        ("aaaaaaaaaaaaaa", "repeats"),
        ("x" * 2000, "longer"),
        ("a fine password\0", "cannot be typed"),
        ("a fine password\ud800", "cannot be typed"),
    ],
)
def test_weak_passwords_are_refused(password, said):
    with pytest.raises(InputError, match=said):
        passwords.check_rules(password, "kim@lab.example")


def test_the_name_before_the_at_is_refused_too():
    with pytest.raises(InputError, match="e-mail"):
        passwords.check_rules("kim.minsu.lab", "kim.minsu.lab@example.org")
    passwords.check_rules("비밀번호는 열 글자 이상", "kim@lab.example")


def test_users_come_and_sign_in(accounts, database):
    user = accounts.users.add(" Kim@Lab.example ", "김민수", password=GOOD)
    assert (user.email, user.name, user.is_admin) == ("kim@lab.example", "김민수", False)
    with database.read() as connection:
        kept = connection.execute(select(users.c.password_hash)).scalar_one()
    assert kept.startswith("$argon2id$") and GOOD not in kept
    assert accounts.users.check("KIM@lab.example", GOOD) == user
    assert accounts.users.check("kim@lab.example", GOOD + "!") is None
    assert accounts.users.check("lee@lab.example", GOOD) is None
    for strange in ("\ud800", "\0"):
        assert accounts.users.check("kim@lab.example", strange) is None
        assert accounts.users.check(strange, GOOD) is None
        assert accounts.users.find(strange) is None
        assert accounts.users.all(strange) == []
        accounts.audit("test", details={strange: [strange]})
    with pytest.raises(ConflictError, match="there is a user"):
        accounts.users.add("kim@lab.example")
    assert [one.email for one in accounts.users.all("민수")] == ["kim@lab.example"]
    assert accounts.users.all("%") == []
    with pytest.raises(NotFoundError):
        accounts.users.get("nobody")


def test_an_unknown_user_takes_as_many_hashes_as_a_known_one(accounts, monkeypatch):
    accounts.users.add("kim@lab.example", password=GOOD)
    accounts.users.add("lee@lab.example")  # has no password
    seen = []
    verify = passwords._hasher().verify

    class Counting:
        def verify(self, password, kept):
            seen.append(kept.split("$")[:4])
            return verify(password, kept)

    nobodys = passwords._nobodys()
    monkeypatch.setattr(passwords, "_nobodys", lambda: nobodys)
    monkeypatch.setattr(passwords, "_hasher", Counting)
    for email in ("kim@lab.example", "lee@lab.example", "nobody@lab.example"):
        assert accounts.users.check(email, "another password") is None
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]  # the same function with the same costs


def test_the_hash_of_nobodys_password_signs_nobody_in(accounts):
    accounts.users.add("lee@lab.example")
    assert accounts.users.check("lee@lab.example", "a password that nobody has") is None


@pytest.mark.parametrize(
    "email",
    ["", "kim", "kim@", "@lab", "a b@c.d", "<kim@lab.example>", "a@b\n.c", "k" * 400 + "@x"],
)
def test_what_is_no_address_is_refused(accounts, email):
    with pytest.raises(InputError, match="no address"):
        accounts.users.add(email)


def test_a_disabled_user_is_shut_out_at_once(accounts):
    accounts.users.add("root@lab.example", is_admin=True)
    user = accounts.users.add("kim@lab.example", password=GOOD)
    cookie, _ = accounts.sessions.start(user.id, how="password", by=Actor())
    token, _ = accounts.tokens.create(user.id, "t", ["read"])
    assert accounts.identities.of_cookie(cookie).user == user
    assert accounts.identities.of_token(token).user == user
    accounts.users.disable(user.id)
    assert accounts.identities.of_cookie(cookie) is None
    assert accounts.identities.of_token(token) is None
    assert accounts.users.check("kim@lab.example", GOOD) is None
    accounts.users.enable(user.id)
    assert accounts.users.check("kim@lab.example", GOOD)
    assert accounts.identities.of_cookie(cookie) is None
    assert accounts.identities.of_token(token).user.id == user.id


def test_the_last_administrator_stays(accounts):
    first = accounts.users.add("a@lab.example", is_admin=True)
    second = accounts.users.add("b@lab.example", is_admin=True)
    accounts.users.disable(second.id)
    with pytest.raises(ConflictError, match="last administrator"):
        accounts.users.disable(first.id)
    with pytest.raises(ConflictError, match="last administrator"):
        accounts.users.set_admin(first.id, False)
    accounts.users.enable(second.id)
    accounts.users.set_admin(first.id, False)
    assert not accounts.users.get(first.id).is_admin


def test_another_password_ends_all_sessions(accounts):
    user = accounts.users.add("kim@lab.example", password=GOOD)
    cookie, _ = accounts.sessions.start(user.id, how="password", by=Actor())
    accounts.users.set_password(user.id, "another five words of it")
    assert accounts.identities.of_cookie(cookie) is None
    assert accounts.users.check("kim@lab.example", GOOD) is None
    assert accounts.users.check("kim@lab.example", "another five words of it")
