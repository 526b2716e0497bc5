"""History, usage, tokens, projects and administration."""

from __future__ import annotations

import csv
import html
import io
import re

import pytest

from .site import UBIQUITIN, Visit, submitted


def linked(visit: Visit, address: str) -> int:
    """Return how many jobs a list shows."""
    return len(re.findall(r'<a href="/jobs/[0-9a-f]{32}">', visit.get(address).text))


def test_history_is_searched_and_paged(site):
    visit = site.owner()
    text = "".join(f">protein{n:02}\n{UBIQUITIN}\n" for n in range(30))
    submitted(visit, text=text)
    assert "30 jobs" in visit.get("/jobs").text
    assert linked(visit, "/jobs") == 25
    older = re.search(r'<a href="(/jobs\?[^"]*before=[^"]*)"', visit.get("/jobs").text)
    assert linked(visit, html.unescape(older[1])) == 5
    assert linked(visit, "/jobs?q=protein07") == 1
    assert "No job is like that." in visit.get("/jobs?state=done").text
    assert visit.get("/jobs?state=nonsense&before=%00&submitted=x").status_code == 400


def test_usage_as_csv(site):
    visit = site.owner()
    answer = visit.get("/usage.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert len(rows[0]) > 3


def test_a_quota_is_shown_with_its_end(site):
    visit = site.owner()
    fields = {
        "owner": f"project:{site.project.id}",
        "device_kind": "cpu",
        "hours": "2.5",
        "period": "day",
    }
    assert visit.post("/admin/quotas", {**fields, "hours": "2.5"}).status_code == 303
    assert "2.5" in visit.get("/admin/projects").text
    page = visit.get("/usage").text
    assert "0.0 of 2.5 hours used" in page
    assert "renews on" in page
    visit.post("/admin/quotas", {**fields, "hours": ""})
    assert "hours used" not in visit.get("/usage").text


def test_a_token_is_shown_once(site):
    visit = site.owner()
    fields = {"name": "my laptop", "days": "30", "scope_read": "1"}
    page = visit.post("/account/tokens", fields).text
    secret = re.search(r'value="(itda_[^"]+)"', page)[1]
    assert site.services.accounts.identities.of_token(secret).scopes == {"read"}
    again = visit.get("/account").text
    assert secret not in again
    assert "my laptop" in again
    (token,) = site.services.accounts.tokens.of_user(
        site.services.accounts.users.find("owner@localhost").id
    )
    visit.post(f"/account/tokens/{token.id}/revoke")
    assert site.services.accounts.identities.of_token(secret) is None
    assert "my laptop" not in visit.get("/account").text


@pytest.mark.parametrize("fields", [{"name": "x"}, {"name": "x", "scope_read": "1", "days": "7"}])
def test_a_token_that_cannot_be_made_is_refused(site, fields):
    answer = site.owner().post("/account/tokens", fields)
    assert answer.status_code == 422
    assert "The token was not created" in answer.text


def test_a_token_opens_no_page(site):
    owner = site.services.accounts.users.find("owner@localhost")
    secret, _ = site.services.accounts.tokens.create(owner.id, "x", ["read", "submit", "admin"])
    answer = Visit(site).get("/account", Authorization=f"Bearer {secret}")
    assert answer.status_code == 403


def test_a_session_of_anothers_cannot_be_ended(site):
    owner = site.owner()
    key = site.services.accounts.sessions.of_user(
        site.services.accounts.users.find("owner@localhost").id
    )[0].id
    site.add_user("kim@example.org")
    site.signed_in("kim@example.org").post(f"/account/sessions/{key}/end")
    assert owner.get("/account").status_code == 200
    owner.post(f"/account/sessions/{key}/end")
    assert owner.get("/account").status_code == 303


def test_members_are_the_managers_to_change(site):
    kim = site.add_user("kim@example.org", "member")
    page = f"/projects/{site.project.id}"
    visit = site.signed_in("kim@example.org")
    assert "/members" not in visit.get(page).text
    assert visit.post(f"{page}/members", {"email": "x@example.org"}).status_code == 403
    owner = site.owner()
    owner.post(f"{page}/members/{kim.id}", {"role": "manager"})
    assert "/members" in visit.get(page).text
    owner.post(f"{page}/members/{kim.id}", {"remove": "1"})
    assert visit.get(page).status_code == 404


def test_who_has_no_account_is_invited_by_administrators_only(site):
    site.add_user("kim@example.org", "manager")
    page = f"/projects/{site.project.id}"
    fields = {"email": "new@example.org", "role": "viewer"}
    refused = site.signed_in("kim@example.org").post(f"{page}/members", fields)
    assert refused.status_code == 422
    assert site.services.accounts.users.find("new@example.org") is None
    invited = site.owner().post(f"{page}/members", fields).text
    link = re.search(r'value="http://localhost(/auth/link\?token=[^"]+)"', invited)[1]
    assert Visit(site).get(link).headers["location"].startswith("/set-password")


@pytest.mark.parametrize("address", ["", "/users", "/projects", "/audit"])
def test_administration_is_for_administrators(site, address):
    site.add_user("kim@example.org", "manager")
    visit = site.signed_in("kim@example.org")
    assert visit.get(f"/admin{address}").status_code == 403
    assert 'href="/admin"' not in visit.get("/").text


@pytest.mark.parametrize(
    "address", ["drain", "users", "organisations", "projects", "quotas", "users/x", "projects/x"]
)
def test_only_administrators_change_the_server(site, address):
    site.add_user("kim@example.org", "manager")
    answer = site.signed_in("kim@example.org").post(f"/admin/{address}", {"on": "1", "name": "x"})
    assert answer.status_code == 403
    assert not site.services.queue.draining()


def test_the_queue_is_drained(site):
    visit = site.owner()
    visit.post("/admin/drain", {"on": "1"})
    assert site.services.queue.draining()
    assert "being drained" in visit.get("/").text
    visit.post("/admin/drain", {"on": "0"})
    assert not site.services.queue.draining()


def test_users_organisations_and_projects(site):
    visit, accounts = site.owner(), site.services.accounts
    invited = visit.post("/admin/users", {"email": "park@example.org", "project": site.project.id})
    assert "/auth/link?token=" in invited.text
    park = accounts.users.find("park@example.org")
    visit.post(f"/admin/users/{park.id}", {"action": "promote"})
    assert accounts.users.get(park.id).is_admin
    visit.post(f"/admin/users/{park.id}", {"action": "disable"})
    assert "disabled" in visit.get("/admin/users?q=park").text
    assert visit.post(f"/admin/users/{park.id}", {"action": "nonsense"}).status_code == 422
    visit.post("/admin/organisations", {"name": "Institute", "weight": "2"})
    institute = next(one for one in accounts.projects.organisations() if one.name == "Institute")
    visit.post("/admin/projects", {"name": "Kinases", "organisation": institute.id})
    kinases = next(one for one in accounts.projects.all() if one.name == "Kinases")
    visit.post(f"/admin/projects/{kinases.id}", {"weight": "3.5"})
    assert accounts.projects.get(kinases.id).weight == 3.5
    visit.post(f"/admin/projects/{kinases.id}", {"action": "archive"})
    assert accounts.projects.get(kinases.id).archived_at
    again = visit.post("/admin/organisations", {"name": "Institute"})
    assert again.status_code == 422
    assert visit.post(f"/admin/projects/{kinases.id}", {"weight": "much"}).status_code == 422


def test_the_last_administrator_stays(site):
    owner = site.services.accounts.users.find("owner@localhost")
    answer = site.owner().post(f"/admin/users/{owner.id}", {"action": "demote"})
    assert answer.status_code == 422
    assert "last administrator" in answer.text
