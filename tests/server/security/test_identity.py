"""Tokens, scopes, roles, and projects that are somebody else's."""

from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.server.accounts.records import Role
from itda.server.errors import ForbiddenError
from itda.server.security.identity import _identity

from .bare import bearer


@pytest.fixture
def project(accounts):
    kaist = accounts.projects.add_organisation("KAIST")
    return accounts.projects.add(kaist.id, "Kinases")


@pytest.fixture
def member(accounts, project):
    """Return a maker of users with a role in the project."""

    def make(role: str | None, *, is_admin: bool = False):
        user = accounts.users.add(f"{role}-{is_admin}@lab.example", is_admin=is_admin)
        if role:
            accounts.projects.set_member(project.id, user.id, role)
        return user

    return make


ALL = ("read", "submit", "manage")
ALLOWED = {
    (None, "read"): 404,
    (None, "submit"): 404,
    (None, "manage"): 404,
    (None, "members"): 404,
    ("viewer", "read"): 200,
    ("viewer", "submit"): 403,
    ("viewer", "manage"): 403,
    ("viewer", "members"): 403,
    ("member", "read"): 200,
    ("member", "submit"): 200,
    ("member", "manage"): 403,
    ("member", "members"): 403,
    ("manager", "read"): 200,
    ("manager", "submit"): 200,
    ("manager", "manage"): 200,
    ("manager", "members"): 200,
}


def test_roles(accounts, browser, project, member):
    found = {}
    for role in (None, *Role):
        token, _ = accounts.tokens.create(member(role).id, "t", ALL)
        for action in ("read", "submit", "manage", "members"):
            answer = browser.get(f"/projects/{project.id}/{action}", headers=bearer(token))
            found[role, action] = answer.status_code
    assert found == ALLOWED


def test_an_administrator_reads_no_project_but_gives_it_members(accounts, browser, project, member):
    root = member(None, is_admin=True)
    token, _ = accounts.tokens.create(root.id, "t", [*ALL, "admin"])
    status = {
        action: browser.get(f"/projects/{project.id}/{action}", headers=bearer(token)).status_code
        for action in ("read", "submit", "manage", "members")
    }
    assert status == {"read": 404, "submit": 404, "manage": 404, "members": 200}
    plain, _ = accounts.tokens.create(root.id, "t", ALL)  # without the scope
    answer = browser.get(f"/projects/{project.id}/members", headers=bearer(plain))
    assert answer.status_code == 404
    assert browser.get("/admin", headers=bearer(plain)).status_code == 403
    assert browser.get("/admin", headers=bearer(token)).status_code == 200


def test_another_project_is_as_one_that_is_not(accounts, browser, project, member):
    token, _ = accounts.tokens.create(member(None).id, "t", ALL)
    theirs = browser.get(f"/projects/{project.id}/read", headers=bearer(token))
    nobodys = browser.get(f"/projects/{'0' * 32}/read", headers=bearer(token))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content


@pytest.mark.parametrize("scope", ALL)
def test_a_scope_grants_itself_only(accounts, browser, project, member, scope):
    token, _ = accounts.tokens.create(member("manager").id, "t", [scope])
    for action in ALL:
        answer = browser.get(f"/projects/{project.id}/{action}", headers=bearer(token))
        assert answer.status_code == (200 if action == scope else 403)
    assert browser.get("/me", headers=bearer(token)).status_code == (
        200 if scope == "read" else 403
    )
    assert browser.get("/admin", headers=bearer(token)).status_code == 403


def test_a_token_needs_no_csrf_but_a_cookie_beside_it_does_not_help(accounts, browser, member):
    token, _ = accounts.tokens.create(member("member").id, "t", ALL)
    assert browser.post("/change", content=b"x", headers=bearer(token)).status_code == 200
    browser.get("/auth/link", params={"token": accounts.ensure_owner().link_token})
    for wrong in ("Bearer itda_wrong", "Bearer ", "Basic dXNlcjpwYXNz", "", token):
        answer = browser.get("/me", headers={"Authorization": wrong})
        assert answer.status_code == 401, wrong
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert browser.get("/me").status_code == 200


def test_expired_revoked_and_removed(accounts, browser, clock, project, member):
    user = member("manager")
    expiring, _ = accounts.tokens.create(user.id, "t", ALL, expires_at=clock() + 10)
    revoked, kept = accounts.tokens.create(user.id, "t", ALL)
    good, _ = accounts.tokens.create(user.id, "t", ALL)
    for token in (expiring, revoked, good):
        assert browser.get("/me", headers=bearer(token)).status_code == 200
    clock.wait(10)
    accounts.tokens.revoke(kept.id)
    for token in (expiring, revoked):
        assert browser.get("/me", headers=bearer(token)).status_code == 401
    accounts.projects.remove_member(project.id, user.id)
    answer = browser.get(f"/projects/{project.id}/read", headers=bearer(good))
    assert answer.status_code == 404


@pytest.fixture
def identity_of(accounts):
    def make(user, scopes, **options):
        secret, _ = accounts.tokens.create(user.id, "t", scopes, **options)
        return _identity(accounts.identities.of_token(secret), None)

    return make


def test_a_token_gives_no_more_than_it_has(project, member, identity_of):
    manager = member("manager")
    narrow = identity_of(manager, ["read", "manage"], project_id=project.id)
    narrow.check_grant(["read"], project.id)
    with pytest.raises(ForbiddenError, match="submit"):
        narrow.check_grant(["read", "submit"], project.id)
    with pytest.raises(ForbiddenError, match="one project"):
        narrow.check_grant(["read"], None)
    identity_of(manager, ["read"]).check_grant(["read"], None)


def test_the_project_is_named_where_there_are_several(accounts, project, member, identity_of):
    user = member("member")
    assert identity_of(user, ALL).project(None, "submit") == project
    other = accounts.projects.add(project.organisation_id, "Other")
    accounts.projects.set_member(other.id, user.id, "viewer")
    who = identity_of(user, ALL)
    assert who.project(None, "submit") == project  # may only read the other
    assert who.project(other.id, "read") == other
    with pytest.raises(InputError, match="2 to choose"):
        who.project(None, "read")
    with pytest.raises(InputError, match="0 to choose"):
        identity_of(member(None), ALL).project(None, "read")


def test_an_archived_project_is_read_only(accounts, project, member, identity_of):
    user = member("manager")
    accounts.projects.archive(project.id)
    who = identity_of(user, ALL)
    assert who.may(project.id, "read") and who.may(project.id, "manage")
    with pytest.raises(ForbiddenError, match="archived"):
        who.check(project.id, "submit")
    accounts.projects.archive(project.id, False)
    assert identity_of(user, ALL).may(project.id, "submit")
