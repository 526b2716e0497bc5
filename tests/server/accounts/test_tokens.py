from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from itda.errors import InputError
from itda.server.accounts.records import Actor
from itda.server.accounts.sessions import SESSION_SECONDS
from itda.server.database.tables import sessions, tokens
from itda.server.errors import ConflictError, ForbiddenError, NotFoundError, UnauthenticatedError


@pytest.fixture
def kim(accounts):
    return accounts.users.add("kim@lab.example")


@pytest.fixture
def project(accounts, kim):
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, "Kinases")
    accounts.projects.set_member(project.id, kim.id, "member")
    return project


def test_only_the_digest_of_a_token_is_kept(accounts, database, kim):
    secret, token = accounts.tokens.create(kim.id, "laptop", ["read", "submit"])
    assert secret.startswith("itda_") and secret.startswith(token.prefix)
    with database.read() as connection:
        row = connection.execute(select(tokens)).mappings().one()
    assert secret not in repr(dict(row)) and len(token.prefix) < 16
    known = accounts.identities.of_token(secret)
    assert (known.user, known.scopes) == (kim, {"read", "submit"})
    for wrong in (
        secret[:-1],
        secret + "x",
        "itda_",
        "",
        "x" + secret,
        "itda_\ud800",
        row["digest"],
    ):
        assert accounts.identities.of_token(wrong) is None


def test_a_token_ends_by_time_or_by_its_owner(accounts, clock, kim):
    short, _ = accounts.tokens.create(kim.id, "short", ["read"], expires_at=clock() + 60)
    long, kept = accounts.tokens.create(kim.id, "long", ["read"])
    clock.wait(59)
    assert accounts.identities.of_token(short)
    clock.wait(1)
    assert accounts.identities.of_token(short) is None
    lee = accounts.users.add("lee@lab.example")
    with pytest.raises(NotFoundError):
        accounts.tokens.revoke(kept.id, user_id=lee.id)
    assert accounts.identities.of_token(long)
    accounts.tokens.revoke(kept.id, user_id=kim.id)
    assert accounts.identities.of_token(long) is None
    assert [one.revoked_at is None for one in accounts.tokens.of_user(kim.id)] == [False, True]
    with pytest.raises(InputError, match="past"):
        accounts.tokens.create(kim.id, "past", ["read"], expires_at=clock() - 1)


def test_the_last_use_is_noted_but_not_each(accounts, clock, kim):
    secret, token = accounts.tokens.create(kim.id, "laptop", ["read"])
    noted = []
    for seconds in (0, 30, 29, 1):
        clock.wait(seconds)
        accounts.identities.of_token(secret)
        noted.append(accounts.tokens.get(token.id).last_used_at)
    start = clock() - 60
    assert noted == [start, start, start, start + 60]


def test_a_token_of_a_project_reaches_no_other(accounts, kim, project):
    other = accounts.projects.add(project.organisation_id, "Other")
    with pytest.raises(NotFoundError):
        accounts.tokens.create(kim.id, "t", ["read"], project_id=other.id)
    accounts.projects.set_member(other.id, kim.id, "manager")
    narrow, _ = accounts.tokens.create(kim.id, "narrow", ["read"], project_id=project.id)
    wide, _ = accounts.tokens.create(kim.id, "wide", ["read"])

    def reached(secret):
        return {one.project.name for one in accounts.identities.of_token(secret).memberships}

    assert reached(narrow) == {"Kinases"}
    assert reached(wide) == {"Kinases", "Other"}
    accounts.projects.remove_member(project.id, kim.id)
    assert reached(narrow) == set()
    assert reached(wide) == {"Other"}


def test_scopes_are_known_and_admin_is_for_administrators(accounts, kim):
    for scopes in ([], ["write"], ["read", "root"]):
        with pytest.raises(InputError, match="scopes"):
            accounts.tokens.create(kim.id, "t", scopes)
    with pytest.raises(ForbiddenError, match="admin"):
        accounts.tokens.create(kim.id, "t", ["admin"])
    root = accounts.users.add("root@lab.example", is_admin=True)
    secret, _ = accounts.tokens.create(root.id, "t", ["read", "admin"])
    accounts.users.set_admin(accounts.users.add("b@lab.example").id, True)
    accounts.users.set_admin(root.id, False)
    assert accounts.identities.of_token(secret).scopes == {"read"}


def test_sessions_end_and_only_their_digest_is_kept(accounts, database, clock, kim):
    here = Actor(address="10.0.0.7")
    first, session = accounts.sessions.start(kim.id, how="password", by=here)
    assert (session.address, session.expires_at) == ("10.0.0.7", clock() + SESSION_SECONDS)
    second, other = accounts.sessions.start(kim.id, how="password", by=here, replaces=first)
    assert other.id != session.id and other.csrf_token != session.csrf_token
    assert accounts.identities.of_cookie(first) is None  # the key is renewed at sign-in
    with database.read() as connection:
        assert second not in repr(connection.execute(select(sessions)).all())
    assert accounts.identities.of_cookie(second).session == other
    assert accounts.identities.of_cookie(other.id) is None  # what is kept opens nothing
    third, _ = accounts.sessions.start(kim.id, how="link", by=here)
    accounts.sessions.end(other.id, by=Actor(user_id=kim.id))
    assert accounts.identities.of_cookie(second) is None
    assert accounts.identities.of_cookie(third)
    accounts.sessions.end_all(kim.id, by=Actor(user_id=kim.id))
    assert accounts.identities.of_cookie(third) is None
    late, _ = accounts.sessions.start(kim.id, how="password", by=here)
    clock.wait(SESSION_SECONDS)
    assert accounts.identities.of_cookie(late) is None
    accounts.sessions.start(kim.id, how="password", by=here)
    with database.read() as connection:
        assert len(connection.execute(select(sessions)).all()) == 1  # old rows are removed


def test_a_link_used_by_two_at_once_works_for_one(accounts):
    told = accounts.invite("kim@lab.example")
    both = Barrier(2)
    outcome = []

    def follow(password):
        both.wait()
        try:
            accounts.links.set_password(told.link_token, password, address=None)
            outcome.append(password)
        except UnauthenticatedError:
            outcome.append(None)

    threads = [Thread(target=follow, args=(f"password number {one}",)) for one in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (password,) = (one for one in outcome if one)
    assert None in outcome
    assert accounts.users.check("kim@lab.example", password)


def provider(accounts, subject, email, *, verified=True, name="Kim"):
    return accounts.identities.of_provider(
        "https://idp.example", subject, email=email, verified=verified, name=name
    )


def test_an_account_of_a_provider_is_a_user_without_projects(accounts):
    user = provider(accounts, "s1", "Kim@Lab.example", name="Kim\u202e\n")
    assert (user.email, user.name, user.is_admin) == ("kim@lab.example", "Kim", False)
    assert accounts.projects.of_user(user.id) == []
    assert provider(accounts, "s1", "moved@lab.example") == user  # by subject, not by address
    assert (
        accounts.identities.of_provider(
            "https://other.example", "s1", email="x@lab.example", verified=True, name=""
        )
        != user
    )
    accounts.users.add("root@lab.example", is_admin=True)
    accounts.users.disable(user.id)
    with pytest.raises(ForbiddenError, match="disabled"):
        provider(accounts, "s1", "kim@lab.example")


def test_an_address_is_taken_over_only_when_invited_and_verified(accounts, clock, project):
    accounts.users.add("lee@lab.example", password="four words and a dog")
    with pytest.raises(ConflictError, match="another account"):
        provider(accounts, "s2", "lee@lab.example")
    invited = accounts.invite("park@lab.example", project_id=project.id)
    with pytest.raises(ConflictError):
        provider(accounts, "s3", "park@lab.example", verified=False)
    assert provider(accounts, "s3", "park@lab.example").id == invited.user.id
    assert accounts.projects.of_user(invited.user.id)[0].project.id == project.id
    with pytest.raises(UnauthenticatedError):  # no second way in
        accounts.links.look(invited.link_token)
    with pytest.raises(ConflictError):
        provider(accounts, "s4", "park@lab.example")
    accounts.invite("choi@lab.example")
    clock.wait(8 * 86400)
    with pytest.raises(ConflictError):
        provider(accounts, "s5", "choi@lab.example")
