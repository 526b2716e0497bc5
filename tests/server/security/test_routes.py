"""Every route of the application, with every credential that must not open it.

`ROUTES` says of each route what it needs. A route that is missing there fails the test, and so does
a line without a route.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastapi.routing
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from .bare import bearer, client_of
from .world import MARKS, NAME, SEQUENCE, World, make_world

API = "/api/v1"

PUBLIC = "public"
"""Needs nobody, and tells nothing of anyone's work."""

READ, SUBMIT, MANAGE, ADMIN = "read", "submit", "manage", "admin"
"""Needs a token with the scope; `admin` also an administrator."""

PAGE, ADMIN_PAGE = "page", "admin page"
"""Needs a browser that is signed in."""

ROUTES: dict[str, str] = {
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    f"GET {API}/openapi.json": PUBLIC,
    "GET /static/{path}": PUBLIC,
    "POST /auth/sign-in": PUBLIC,
    "POST /auth/sign-out": PAGE,
    "GET /auth/link": PUBLIC,
    "POST /auth/set-password": PUBLIC,
    "GET /sign-in": PUBLIC,
    "GET /set-password": PUBLIC,
    "POST /preferences": PUBLIC,
    # REST
    f"POST {API}/jobs": SUBMIT,
    f"POST {API}/plan": READ,
    f"GET {API}/jobs": READ,
    f"GET {API}/jobs/{{job_id}}": READ,
    f"GET {API}/jobs/{{job_id}}/stages": READ,
    f"GET {API}/jobs/{{job_id}}/events": READ,
    f"POST {API}/jobs/{{job_id}}/cancel": SUBMIT,
    f"POST {API}/jobs/{{job_id}}/retry": SUBMIT,
    f"DELETE {API}/jobs/{{job_id}}": SUBMIT,
    f"GET {API}/jobs/{{job_id}}/files": READ,
    f"GET {API}/jobs/{{job_id}}/files/{{kind}}": READ,
    f"GET {API}/jobs/{{job_id}}/structure": READ,
    f"GET {API}/jobs/{{job_id}}/confidence": READ,
    f"GET {API}/jobs/{{job_id}}/pae": READ,
    f"GET {API}/jobs/{{job_id}}/archive": READ,
    f"GET {API}/models": READ,
    f"GET {API}/databases": READ,
    f"GET {API}/me": READ,
    f"GET {API}/projects": READ,
    f"GET {API}/usage": READ,
    f"GET {API}/usage.csv": READ,
    f"GET {API}/tokens": READ,
    f"POST {API}/tokens": MANAGE,
    f"DELETE {API}/tokens/{{token_id}}": MANAGE,
    f"GET {API}/projects/{{project_id}}/members": READ,
    f"PUT {API}/projects/{{project_id}}/members/{{user_id}}": MANAGE,
    f"DELETE {API}/projects/{{project_id}}/members/{{user_id}}": MANAGE,
    f"GET {API}/admin/users": ADMIN,
    f"POST {API}/admin/users": ADMIN,
    f"PATCH {API}/admin/users/{{user_id}}": ADMIN,
    f"POST {API}/admin/users/{{user_id}}/password-link": ADMIN,
    f"GET {API}/admin/organisations": ADMIN,
    f"POST {API}/admin/organisations": ADMIN,
    f"PATCH {API}/admin/organisations/{{organisation_id}}": ADMIN,
    f"GET {API}/admin/projects": ADMIN,
    f"POST {API}/admin/projects": ADMIN,
    f"PATCH {API}/admin/projects/{{project_id}}": ADMIN,
    f"GET {API}/admin/quotas": ADMIN,
    f"PUT {API}/admin/quotas": ADMIN,
    f"GET {API}/admin/drain": ADMIN,
    f"PUT {API}/admin/drain": ADMIN,
    f"GET {API}/admin/workers": ADMIN,
    f"GET {API}/admin/audit": ADMIN,
    # Pages
    "GET /": PAGE,
    "POST /preview": PAGE,
    "GET /jobs": PAGE,
    "POST /jobs": PAGE,
    "GET /jobs/{job_id}": PAGE,
    "GET /jobs/{job_id}/progress": PAGE,
    "POST /jobs/{job_id}/cancel": PAGE,
    "POST /jobs/{job_id}/retry": PAGE,
    "POST /jobs/{job_id}/remove": PAGE,
    "GET /jobs/{job_id}/result/data.json": READ,
    "GET /jobs/{job_id}/result/pae.bin": READ,
    "GET /jobs/{job_id}/result/structure.cif": READ,
    "GET /jobs/{job_id}/result/residues.csv": READ,
    "GET /result-viewer/3Dmol-min.js": PUBLIC,
    "GET /usage": PAGE,
    "GET /usage.csv": PAGE,
    "GET /projects": PAGE,
    "GET /projects/{project_id}": PAGE,
    "POST /projects/{project_id}/members": PAGE,
    "POST /projects/{project_id}/members/{user_id}": PAGE,
    "GET /account": PAGE,
    "POST /account/name": PAGE,
    "POST /account/tokens": PAGE,
    "POST /account/tokens/{token_id}/revoke": PAGE,
    "POST /account/sessions/{session_id}/end": PAGE,
    "GET /admin": ADMIN_PAGE,
    "POST /admin/drain": ADMIN_PAGE,
    "GET /admin/users": ADMIN_PAGE,
    "POST /admin/users": ADMIN_PAGE,
    "POST /admin/users/{user_id}": ADMIN_PAGE,
    "GET /admin/projects": ADMIN_PAGE,
    "POST /admin/organisations": ADMIN_PAGE,
    "POST /admin/organisations/{organisation_id}": ADMIN_PAGE,
    "POST /admin/projects": ADMIN_PAGE,
    "POST /admin/projects/{project_id}": ADMIN_PAGE,
    "POST /admin/quotas": ADMIN_PAGE,
    "GET /admin/audit": ADMIN_PAGE,
}


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Return bodies that would change something, were they let through."""
    project, carol = world.project.id, world.users["carol"]
    fasta = ">x\nMKVLAAGIVGLCAKAYEA\n"
    return {
        f"POST {API}/jobs": {"json": {"input": fasta, "family": "mini", "project": project}},
        f"POST {API}/plan": {"json": {"input": fasta}},
        f"POST {API}/tokens": {"json": {"name": "x", "scopes": ["read"], "project": project}},
        f"PUT {API}/projects/{{project_id}}/members/{{user_id}}": {"json": {"role": "viewer"}},
        f"POST {API}/admin/users": {"json": {"email": "x@y.example", "project": project}},
        f"PATCH {API}/admin/users/{{user_id}}": {"json": {"name": "changed"}},
        f"POST {API}/admin/organisations": {"json": {"name": "changed"}},
        f"PATCH {API}/admin/organisations/{{organisation_id}}": {"json": {"weight": 9}},
        f"POST {API}/admin/projects": {
            "json": {"organisation": world.project.organisation_id, "name": "changed"}
        },
        f"PATCH {API}/admin/projects/{{project_id}}": {"json": {"name": "changed"}},
        f"PUT {API}/admin/quotas": {
            "json": {"level": "project", "owner": project, "device_hours": 1}
        },
        f"PUT {API}/admin/drain": {"json": {"draining": True}},
        "POST /preview": {"data": {"text": fasta}},
        "POST /jobs": {"data": {"text": fasta, "family": "mini", "project": project}},
        "POST /projects/{project_id}/members": {"data": {"email": carol.email, "role": "manager"}},
        "POST /projects/{project_id}/members/{user_id}": {"data": {"role": "viewer"}},
        "POST /account/name": {"data": {"name": "changed"}},
        "POST /account/tokens": {
            "data": {"name": "x", "scope_read": "1", "project": project, "days": "30"}
        },
        "POST /admin/drain": {"data": {"on": "1"}},
        "POST /admin/users": {"data": {"email": "x@y.example", "project": project}},
        "POST /admin/users/{user_id}": {"data": {"action": "disable"}},
        "POST /admin/organisations": {"data": {"name": "changed"}},
        "POST /admin/organisations/{organisation_id}": {"data": {"weight": "9"}},
        "POST /admin/projects": {
            "data": {"organisation": world.project.organisation_id, "name": "changed"}
        },
        "POST /admin/projects/{project_id}": {"data": {"weight": "9"}},
        "POST /admin/quotas": {
            "data": {
                "owner": f"project:{project}",
                "hours": "1",
                "device_kind": "cpu",
                "period": "day",
            }
        },
        "POST /auth/sign-in": {"data": {"email": "alice@lab.example", "password": "x"}},
        "POST /auth/set-password": {"data": {"token": "x", "password": "four words and a dog"}},
        "POST /preferences": {"data": {"language": "ko"}},
    }


def routes_of(app: FastAPI) -> Iterator[str]:
    # Newer releases of FastAPI flatten routers that are included only when they are asked.
    flatten = getattr(fastapi.routing, "iter_route_contexts", iter)
    for found in flatten(app.routes):
        route = getattr(found, "original_route", found)
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield f"{method} {found.path}"
        elif isinstance(route, Mount):  # static files
            yield f"GET {route.path}/{{path}}"
        elif isinstance(route, Route):  # of the framework, such as the OpenAPI document
            yield f"GET {route.path}"
        else:
            raise AssertionError(f"{route!r}: a kind of route that this test does not know")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'itda.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    made = make_world(url, folder / "home")
    yield made
    made.services.database.close()


def ask(world: World, client: TestClient, route: str, **options: Any) -> Any:
    """Ask for a route with the marked project's own keys in its path."""
    method, path = route.split(" ", 1)
    job = world.job if method in ("GET", "HEAD") else world.waiting
    values = {
        "job_id": job.id,
        "project_id": world.project.id,
        "user_id": world.users["alice"].id,
        "token_id": world.keys["token"],
        "organisation_id": world.project.organisation_id,
        "session_id": world.keys.get("session alice", "0" * 64),
        "kind": "structure",
        "path": "itda.css",
    }
    sent = bodies(world).get(route, {})
    return client.request(method, path.format_map(values), **sent, **options)


def check_unmarked(route: str, answer: Any) -> None:
    told = answer.text.lower() + repr(answer.headers).lower()
    for mark in MARKS:
        assert mark not in told, f"{route} tells {mark!r}: {answer.status_code} {answer.text[:500]}"


def each(*kinds: str) -> list[str]:
    return [route for route, kind in ROUTES.items() if kind in kinds]


LIKE = "GET /?like={job_id}"
"""The form, filled with the input of a job."""

OPEN_LISTS = {
    f"GET {API}/jobs",
    f"POST {API}/plan",
    f"GET {API}/models",
    f"GET {API}/databases",
    f"GET {API}/me",
    f"GET {API}/projects",
    f"GET {API}/usage",
    f"GET {API}/usage.csv",
    f"GET {API}/tokens",
}
"""Routes that anyone who may read has something of one's own at."""


def test_every_route_is_in_the_table(world):
    found = list(routes_of(world.app))
    assert sorted(found) == sorted(set(found))
    assert sorted(set(found) - set(ROUTES)) == [], "routes that nobody has thought about"
    assert sorted(set(ROUTES) - set(found)) == [], "lines without a route"
    assert len(found) > 60


def test_a_route_that_is_not_in_the_table_is_found():
    app = FastAPI()
    app.get("/new/{job_id}")(lambda job_id: job_id)
    assert "GET /new/{job_id}" in set(routes_of(app)) - set(ROUTES)


def test_the_marks_are_there_for_who_may_see_them(world):
    client = client_of(world.app)
    for route in each(READ):
        answer = ask(world, client, route, headers=bearer(world.tokens["full"]))
        assert answer.status_code == 200, (route, answer.text)
    seen = {
        route
        for route in each(READ)
        if any(
            mark in ask(world, client, route, headers=bearer(world.tokens["full"])).text.lower()
            for mark in MARKS
        )
    }
    assert {
        f"GET {API}/jobs",
        f"GET {API}/jobs/{{job_id}}",
        f"GET {API}/jobs/{{job_id}}/files",
        f"GET {API}/jobs/{{job_id}}/confidence",
        f"GET {API}/projects",
        f"GET {API}/projects/{{project_id}}/members",
    } <= seen
    browser = world.browser("alice")
    for route in ("GET /jobs", "GET /jobs/{job_id}", "GET /projects/{project_id}", "GET /usage"):
        answer = ask(world, browser, route, headers={"Accept": "text/html"})
        assert answer.status_code == 200 and "canary" in answer.text.lower(), route


@pytest.mark.parametrize("credential", ["none", "expired", "revoked", "wrong", "no bearer"])
def test_without_a_good_token_nothing_opens(world, credential):
    client = client_of(world.app)
    headers = {
        "none": {},
        "expired": bearer(world.tokens["expired"]),
        "revoked": bearer(world.tokens["revoked"]),
        "wrong": bearer(world.tokens["full"][:-1] + "~"),
        "no bearer": {"Authorization": world.tokens["full"]},
    }[credential]
    before = world.state()
    for route in ROUTES:
        client.cookies.clear()
        # Else guesses would be refused for their number.
        world.app.state.request_limits._failures._buckets.clear()
        answer = ask(world, client, route, headers=headers)
        check_unmarked(route, answer)
        if ROUTES[route] == PUBLIC:
            assert answer.status_code < 500, route
        else:
            assert answer.status_code == 401, (route, answer.status_code)
            assert answer.headers["content-type"] == "application/problem+json", route
    assert world.state() == before


def test_a_browser_that_is_not_signed_in_is_sent_to_sign_in(world):
    browser = world.browser()
    for route in each(PAGE, ADMIN_PAGE):
        answer = ask(world, browser, route, headers={"Accept": "text/html"})
        check_unmarked(route, answer)
        assert answer.status_code == 303, (route, answer.status_code)
        assert answer.headers["location"].startswith("/sign-in"), route


@pytest.mark.parametrize("token", ["other", "narrow", "admin"])
def test_a_token_of_another_project_reads_and_changes_nothing(world, token):
    """`other` is another user's, `narrow` alice's own but for another project, `admin` root's."""
    client = client_of(world.app)
    headers = bearer(world.tokens[token])
    before = world.state()
    for route in each(READ, SUBMIT, MANAGE):
        if token == "admin" and "/members" in route:
            continue  # those are an administrator's to manage
        if token == "narrow" and route.endswith(("/me", "/tokens", "{token_id}")):
            continue  # the user and her own tokens are the same
        answer = ask(world, client, route, headers=headers)
        check_unmarked(route, answer)
        if route in OPEN_LISTS:
            assert answer.status_code == 200, (route, answer.text)
        elif route == f"POST {API}/tokens":
            assert answer.status_code in (403, 404), (route, answer.text)
        else:
            assert answer.status_code == 404, (route, answer.status_code, answer.text)
    if token != "admin":
        for route in each(ADMIN):
            answer = ask(world, client, route, headers=headers)
            check_unmarked(route, answer)
            assert answer.status_code == 403, (route, answer.status_code)
    for route in each(PAGE, ADMIN_PAGE):
        answer = ask(world, client, route, headers=headers)
        check_unmarked(route, answer)
        if route != "POST /auth/sign-out":
            assert answer.status_code == 403, (route, answer.status_code)
    assert world.state() == before


def test_head_is_answered_as_get_without_the_body(world):
    reader, nobody, browser = client_of(world.app), client_of(world.app), world.browser("root")
    seen = 0
    for route in ROUTES:
        method, path = route.split(" ", 1)
        if method != "GET":
            continue
        page = ROUTES[route] in (PAGE, ADMIN_PAGE)
        asked: list[tuple[TestClient, dict[str, str]]] = [(nobody, {})]
        if page:
            asked += [(browser, {"Accept": "text/html"}), (nobody, {"Accept": "text/html"})]
        else:
            token = "admin" if ROUTES[route] == ADMIN else "full"
            asked += [(reader, bearer(world.tokens[token])), (reader, bearer("itda_none"))]
        for client, headers in asked:
            # Else guesses would be refused for their number.
            world.app.state.request_limits._failures._buckets.clear()
            whole = ask(world, client, route, headers=headers)
            start = ask(world, client, f"HEAD {path}", headers=headers)
            assert start.content == b"", route
            if path.startswith("/auth/"):
                # What looks at a link before its reader does would sign in.
                assert start.status_code == 405 and "HEAD" not in start.headers["allow"], route
                continue
            assert start.status_code == whole.status_code, route
            for name in ("content-type", "content-length", "etag", "location", "allow"):
                assert start.headers.get(name) == whole.headers.get(name), (route, name)
            seen += whole.status_code == 200
    assert seen > 40


def test_head_of_a_file_and_of_a_stream(world):
    client = client_of(world.app)
    headers = bearer(world.tokens["full"])
    path = f"{API}/jobs/{world.job.id}"
    whole = client.get(f"{path}/structure", headers=headers)
    part = {**headers, "Range": "bytes=0-9"}
    start = client.head(f"{path}/structure", headers=part)
    assert start.status_code == 200
    assert start.headers["content-length"] == str(len(whole.content))
    assert start.headers["etag"] == whole.headers["etag"]
    same = {**headers, "If-None-Match": whole.headers["etag"]}
    assert client.head(f"{path}/structure", headers=same).status_code == 304
    # Of a job that waits it would go on for minutes.
    stream = {**headers, "Accept": "text/event-stream"}
    start = client.head(f"{API}/jobs/{world.waiting.id}/events", headers=stream)
    assert start.headers["content-type"].startswith("text/event-stream")
    refused = client.request("PATCH", path, headers=headers)
    assert refused.headers["allow"] == "DELETE, GET, HEAD"


def test_what_is_anothers_is_as_what_is_not(world):
    client, browser = client_of(world.app), world.browser("bob")
    headers = bearer(world.tokens["other"])
    asked = [(route, client, headers) for route in each(READ)]
    asked += [(route, browser, {"Accept": "text/html"}) for route in [*each(PAGE), LIKE]]
    seen = 0
    for route, asker, told in asked:
        if not route.startswith("GET ") or "{job_id}" not in route:
            continue
        theirs = ask(world, asker, route, headers=told)
        path = route.split(" ", 1)[1].format(job_id="0" * 32, kind="structure")
        nobodys = asker.get(path, headers=told)
        assert theirs.status_code == nobodys.status_code == 404, route
        assert theirs.text.replace(world.job.id, "0" * 32) == nobodys.text, route
        seen += 1
    assert seen > 12


def test_a_query_leads_to_no_other_project(world):
    project, job = world.project.id, world.job.id
    paths = {
        f"{API}/jobs?project={project}": 404,
        f"{API}/jobs?before={'f' * 32}&limit=200": 200,
        f"{API}/jobs?text=canary": 200,
        f"{API}/usage?project={project}": 404,
        f"{API}/usage.csv?project={project}": 404,
        f"{API}/usage?everyone=true": 403,
        f"{API}/usage.csv?everyone=true": 403,
        f"{API}/admin/audit?project={project}": 403,
        f"{API}/jobs/{job}/files?direction=input": 404,
        f"{API}/jobs/{job}/structure?rank=0": 404,
    }
    client, headers = client_of(world.app), bearer(world.tokens["other"])
    for path, status in paths.items():
        answer = client.get(path, headers=headers)
        check_unmarked(path, answer)
        assert answer.status_code == status, (path, answer.text)
    stream = {**headers, "Accept": "text/event-stream", "Last-Event-ID": "0"}
    answer = client.get(f"{API}/jobs/{job}/events", headers=stream)
    assert answer.status_code == 404
    browser = world.browser("bob")
    for path in (f"/jobs?project={project}", f"/?like={job}", f"/usage?project={project}"):
        answer = browser.get(path, headers={"Accept": "text/html"})
        check_unmarked(path, answer)
        assert answer.status_code == 404, path
    for path in (f"/?project={project}", "/jobs?q=canary", f"/jobs?before={'f' * 32}"):
        answer = browser.get(path, headers={"Accept": "text/html"})
        told = answer.text.lower().replace('value="canary"', "").replace("q=canary", "")
        assert answer.status_code == 200, path
        assert not any(mark in told for mark in MARKS), path


def test_an_idempotency_key_of_another_project_gives_nothing(world):
    client = client_of(world.app)
    told = {"input": f">{NAME}\n{SEQUENCE}\n", "family": "mini", "priority": "background"}
    sent = {"Idempotency-Key": "the-same"}
    mine = {**told, "project": world.project.id}
    first = client.post(f"{API}/jobs", json=mine, headers={**bearer(world.tokens["full"]), **sent})
    other = {**told, "project": world.other.id}
    second = client.post(
        f"{API}/jobs", json=other, headers={**bearer(world.tokens["other"]), **sent}
    )
    assert first.status_code == second.status_code == 201
    made = {one["id"] for answer in (first, second) for one in answer.json()["jobs"]}
    assert len(made) == 2
    for job_id in made:
        world.services.queue.cancel(job_id)
        world.services.queue.remove(job_id)


def test_a_read_only_token_changes_nothing(world):
    client = client_of(world.app)
    headers = bearer(world.tokens["read-only"])
    before = world.state()
    for route, kind in ROUTES.items():
        if kind == PUBLIC or route == "POST /auth/sign-out":
            continue
        answer = ask(world, client, route, headers=headers)
        expected = 200 if kind == READ else 403
        assert answer.status_code == expected, (route, answer.status_code, answer.text[:300])
    assert world.state() == before


def test_a_session_of_another_project_sees_and_changes_nothing(world):
    browser = world.browser("bob")
    before = world.state()
    for accept in ("text/html", "application/json"):
        for route in each(PAGE, ADMIN_PAGE, READ, SUBMIT, MANAGE, ADMIN):
            if route in ("POST /auth/sign-out", "POST /account/name", "GET /account"):
                continue
            answer = ask(world, browser, route, headers={"Accept": accept})
            check_unmarked(route, answer)
            if "{" in route and ROUTES[route] not in (ADMIN, ADMIN_PAGE):
                gone = (303, 404) if "session_id" in route else (404,)
                assert answer.status_code in gone, (route, answer.status_code)
            elif ROUTES[route] in (ADMIN, ADMIN_PAGE):
                assert answer.status_code == 403, (route, answer.status_code)
            else:
                assert answer.status_code < 500, (route, answer.status_code)
    assert world.state() == before


def test_a_viewer_reads_and_changes_nothing(world):
    browser = world.browser("carol")
    before = world.state()
    for route in each(PAGE, SUBMIT, MANAGE):
        method = route.split()[0]
        if method == "GET" or route in (
            "POST /auth/sign-out",
            "POST /account/name",
            "POST /account/tokens",
            "POST /preview",
            f"POST {API}/tokens",
        ):
            continue
        answer = ask(world, browser, route)
        if "token_id" in route or "session_id" in route:
            assert answer.status_code in (303, 404), (route, answer.status_code)
        else:
            assert answer.status_code in (403, 422), (route, answer.status_code)
    for route in each(READ):
        assert ask(world, browser, route).status_code == 200, route
    assert world.state() == before


def test_a_page_of_another_site_changes_nothing(world):
    browser = world.browser("alice")
    token = browser.headers.pop("X-CSRF-Token")
    before = world.state()
    for route in ROUTES:
        if route.startswith("GET ") or ROUTES[route] == PUBLIC:
            continue
        answer = ask(world, browser, route)
        assert answer.status_code == 403, (route, answer.status_code)
        foreign = {"X-CSRF-Token": token, "Origin": "https://evil.example"}
        answer = ask(world, browser, route, headers=foreign)
        assert answer.status_code == 403, (route, answer.status_code)
    assert world.state() == before


def test_every_answer_keeps_its_headers(world):
    anyone, alice = client_of(world.app), world.browser("alice")
    for route in ROUTES:
        for client in (anyone, alice):
            if route.startswith("GET "):
                told = ask(world, client, route).headers
                assert told["x-content-type-options"] == "nosniff", route
                assert "default-src 'none'" in told["content-security-policy"], route
                assert "unsafe-eval" not in told["content-security-policy"], route
                if "/static/" not in route and "3Dmol" not in route:
                    cached = told["cache-control"]
                    assert "no-store" in cached or "private" in cached, (route, cached)


def test_html_in_a_name_is_escaped_everywhere(world):
    browser = world.browser("alice")
    pages = [route for route in each(PAGE, READ) if route.startswith("GET ")]
    seen = 0
    for route in [*pages, LIKE]:
        answer = ask(world, browser, route, headers={"Accept": "text/html"})
        if "text/html" in answer.headers.get("content-type", ""):
            assert "<img src=x" not in answer.text, route
            seen += "&lt;img src=x onerror" in answer.text
    assert seen >= 2  # the list and the job's own page show it
    client, headers = client_of(world.app), bearer(world.tokens["full"])
    files = client.get(f"{API}/jobs/{world.job.id}/files", headers=headers).json()["files"]
    assert {"structure", "confidence", "report"} <= {one["kind"] for one in files}
    for one in [*files, {"kind": None}]:
        path = (
            f"/jobs/{world.job.id}/files/{one['kind']}"
            if one["kind"]
            else (f"/jobs/{world.job.id}/archive")
        )
        answer = client.get(f"{API}{path}", headers=headers)
        told = answer.headers["content-disposition"]
        assert told.startswith("attachment;"), told
        assert "<" not in told and told.count('"') == 2 and "\n" not in told, told
    report = client.get(f"{API}/jobs/{world.job.id}/files/report", headers=headers)
    assert "<img src=x" not in report.text and "canary" in report.text.lower()
    assert SEQUENCE in report.text
