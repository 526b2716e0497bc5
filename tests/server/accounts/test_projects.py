from __future__ import annotations

import pytest

from itda.errors import InputError
from itda.server.accounts.accounts import OWNER_EMAIL
from itda.server.accounts.records import Actor, Role
from itda.server.errors import ConflictError, NotFoundError, UnauthenticatedError


def test_the_owner_is_made_once_and_has_a_new_link_each_time(accounts):
    first = accounts.ensure_owner()
    second = accounts.ensure_owner()
    assert first.user == second.user and first.user.email == OWNER_EMAIL and first.user.is_admin
    assert first.project == second.project
    assert (first.organisation.name, first.project.name) == ("Local", "Default")
    assert [one.role for one in accounts.projects.of_user(first.user.id)] == [Role.MANAGER]
    assert accounts.links.look(second.link_token)[0] == first.user
    with pytest.raises(UnauthenticatedError):
        accounts.links.look(first.link_token)


def test_projects_have_members_with_roles(accounts):
    kim = accounts.users.add("kim@lab.example")
    lee = accounts.users.add("lee@lab.example")
    kaist = accounts.projects.add_organisation("KAIST", weight=2)
    project = accounts.projects.add(kaist.id, "Kinases")
    accounts.projects.set_member(project.id, kim.id, "manager")
    accounts.projects.set_member(project.id, lee.id, Role.VIEWER, weight=3)
    accounts.projects.set_member(project.id, lee.id, "member")  # the weight stays
    told = {one.user.email: (one.role, one.weight) for one in accounts.projects.members(project.id)}
    assert told == {"kim@lab.example": ("manager", 1.0), "lee@lab.example": ("member", 3.0)}
    assert [one.project for one in accounts.projects.of_user(lee.id)] == [project]
    accounts.projects.remove_member(project.id, lee.id)
    assert accounts.projects.of_user(lee.id) == []
    with pytest.raises(NotFoundError, match="no member"):
        accounts.projects.remove_member(project.id, lee.id)


def test_names_are_of_one_and_weights_are_above_nothing(accounts):
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, "Kinases")
    with pytest.raises(ConflictError):
        accounts.projects.add_organisation(" KAIST ")
    with pytest.raises(ConflictError):
        accounts.projects.add(kaist.id, "Kinases")
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="weight"):
            accounts.projects.set_weight(project.id, weight)
    with pytest.raises(InputError, match="role"):
        accounts.projects.set_member(project.id, "x", "owner")
    for name in ("", " ", "a\nb", "x" * 201):
        with pytest.raises(InputError, match="project"):
            accounts.projects.rename(project.id, name)
    with pytest.raises(NotFoundError):
        accounts.projects.add("nothing", "Kinases")
    with pytest.raises(NotFoundError):
        accounts.projects.set_organisation_weight("nothing", 2)
    accounts.projects.set_weight(project.id, 2.5)
    assert accounts.projects.get(project.id).weight == 2.5


def test_an_invitation_sets_a_password_once(accounts, clock):
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, "Kinases")
    told = accounts.invite("kim@lab.example", project_id=project.id, role="member")
    with pytest.raises(InputError, match="least"):
        accounts.links.set_password(told.link_token, "short", address=None)
    assert accounts.links.set_password(told.link_token, "four words and a dog", address=None)
    assert accounts.users.check("kim@lab.example", "four words and a dog").id == told.user.id
    with pytest.raises(UnauthenticatedError, match="used"):
        accounts.links.set_password(told.link_token, "five words and a dog", address=None)
    again = accounts.invite("kim@lab.example", project_id=project.id, role="manager", is_admin=True)
    assert again.link_token is None  # who has an account needs no other password
    assert not accounts.users.get(told.user.id).is_admin
    assert accounts.projects.of_user(told.user.id)[0].role is Role.MANAGER
    late = accounts.invite("lee@lab.example")
    clock.wait(8 * 86400)
    with pytest.raises(UnauthenticatedError, match="too old"):
        accounts.links.look(late.link_token)


def test_a_link_that_signs_in_sets_no_password(accounts):
    owner = accounts.ensure_owner()
    with pytest.raises(UnauthenticatedError):
        accounts.links.set_password(owner.link_token, "four words and a dog", address=None)


def test_each_change_has_its_line_in_the_log(accounts):
    root = accounts.users.add("root@lab.example", is_admin=True)
    by = Actor(user_id=root.id, address="10.0.0.7")
    kaist = accounts.projects.add_organisation("KAIST", by=by)
    project = accounts.projects.add(kaist.id, "Kinases", by=by)
    kim = accounts.invite("kim@lab.example", project_id=project.id, by=by)
    token, kept = accounts.tokens.create(root.id, "t", ["admin"], by=by)
    accounts.tokens.revoke(kept.id, by=by)
    accounts.users.disable(kim.user.id, by=by)
    accounts.audit("job.submit", by=by, project_id=project.id, object_id="j", details={"n": 2})
    lines = accounts.audit_log(user_id=root.id)
    assert [one.action for one in reversed(lines)] == [
        "organisation.add",
        "project.add",
        "user.add",
        "link.create",
        "member.set",
        "token.create",
        "token.revoke",
        "user.disable",
        "job.submit",
    ]
    assert {one.address for one in lines} == {"10.0.0.7"}
    assert lines[0].details == {"n": 2}
    whole = repr(accounts.audit_log())
    assert token not in whole and kim.link_token not in whole
    assert [one.action for one in accounts.audit_log(project_ids=[project.id], action="job.")] == [
        "job.submit"
    ]
    rest = accounts.audit_log(user_id=root.id, before=lines[1].id, limit=2)
    assert [one.id for one in rest] == [lines[2].id, lines[3].id]


def test_a_change_that_fails_leaves_no_line(accounts):
    kaist = accounts.projects.add_organisation("KAIST")
    before = accounts.audit_log()
    with pytest.raises(ConflictError):
        accounts.projects.add_organisation("KAIST")
    with pytest.raises(NotFoundError):
        accounts.projects.add("nothing", kaist.name)
    with pytest.raises(NotFoundError):
        accounts.invite("kim@lab.example", project_id="nothing")
    assert accounts.audit_log() == before
    assert accounts.users.find("kim@lab.example") is None
