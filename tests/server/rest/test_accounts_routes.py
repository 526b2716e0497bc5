"""Routes of accounts, usage and administration, and what each credential may do."""

from __future__ import annotations

import pytest

from itda.server.queue.records import Capacity

from .test_jobs import FASTA, refused, submit


def test_me_and_projects(owner, reader, house):
    me = owner.get("/api/v1/me").json()
    assert me["user"]["email"] == "owner@localhost"
    assert me["scopes"] == ["read", "submit", "manage", "admin"]
    assert [(one["id"], one["role"]) for one in me["projects"]] == [(house.project, "manager")]
    assert reader.get("/api/v1/me").json()["scopes"] == ["read"]
    house.services.queue.set_quota("project", house.project, "gpu", 7200.0, "month")
    (project,) = owner.get("/api/v1/projects").json()["projects"]
    (quota,) = project["quotas"]
    assert (quota["device_seconds"], quota["used_seconds"]) == (7200.0, 0.0)


def test_models_and_databases(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path))
    models = {one["name"]: one for one in reader.get("/api/v1/models").json()["models"]}
    assert models["mini"]["available"]
    assert models["mini"]["capabilities"]["molecules"] == ["protein"]
    assert reader.get("/api/v1/databases").json() == {"databases": []}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "database.json").write_text("{")
    (broken,) = reader.get("/api/v1/databases").json()["databases"]
    assert broken["problem"] and str(tmp_path) not in str(broken)


def test_tokens(owner, house):
    made = owner.post("/api/v1/tokens", json={"name": "node", "scopes": ["read"]})
    assert made.status_code == 201
    token, key = made.json()["token"], made.json()["details"]["id"]
    assert token not in owner.get("/api/v1/tokens").text
    node = house.client(token)
    assert node.get("/api/v1/me").status_code == 200
    refused(node.post("/api/v1/jobs", json={"input": FASTA}), 403)
    refused(node.post("/api/v1/tokens", json={"name": "more", "scopes": ["admin"]}), 403)
    assert owner.delete(f"/api/v1/tokens/{key}").status_code == 204
    answer = node.get("/api/v1/me")
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_tokens_of_others_cannot_be_revoked(owner, stranger):
    made = owner.post("/api/v1/tokens", json={"name": "node", "scopes": ["read"]}).json()
    refused(stranger.delete(f"/api/v1/tokens/{made['details']['id']}"), 404)


def test_a_token_of_days_expires(owner, house):
    made = owner.post(
        "/api/v1/tokens", json={"name": "short", "scopes": ["read"], "expires_in_days": 1}
    ).json()
    client = house.client(made["token"])
    assert client.get("/api/v1/me").status_code == 200
    house.clock.wait(86_401)
    refused(client.get("/api/v1/me"), 401)


def test_usage(owner, stranger, house):
    submit(owner)
    claim = house.claim()
    house.clock.wait(30.0)
    house.services.queue.finish(claim, [], {})
    found = owner.get("/api/v1/usage").json()
    (line,) = found["lines"]
    assert (line["project_name"], line["done"], line["device_kind"]) == ("Default", 1, "cpu")
    assert line["device_hours"] == pytest.approx(30 / 3600)
    csv = owner.get("/api/v1/usage.csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert "Default" in csv.text
    assert stranger.get("/api/v1/usage").json()["lines"] == []
    refused(stranger.get("/api/v1/usage?everyone=true"), 403)
    refused(stranger.get(f"/api/v1/usage?project={house.project}"), 404)
    assert len(owner.get("/api/v1/usage?everyone=true").json()["lines"]) == 1
    for query in (
        "start=2026-02-30",
        "start=2026-02-02&end=2026-02-01",
        "start=9999-12-31",
        "end=0001-01-01",
        "start=1e9",
        "start=2000-01-01",
        "end=4428-05-02",
    ):
        refused(owner.get(f"/api/v1/usage?{query}"), 422)


def test_administration(owner, house):
    invited = owner.post(
        "/api/v1/admin/users", json={"email": "kim@example.org", "project": house.project}
    ).json()
    assert invited["link"].startswith("http://localhost/auth/link?token=")
    key = invited["user"]["id"]
    members = owner.get(f"/api/v1/projects/{house.project}/members").json()["members"]
    assert {one["user"]["email"]: one["role"] for one in members}["kim@example.org"] == "member"
    changed = owner.patch(f"/api/v1/admin/users/{key}", json={"name": "Kim", "disabled": True})
    assert (changed.json()["name"], changed.json()["disabled"]) == ("Kim", True)
    assert owner.patch(f"/api/v1/admin/users/{key}", json={"disabled": False}).is_success
    assert "/auth/link" in owner.post(f"/api/v1/admin/users/{key}/password-link").json()["link"]
    listed = owner.get("/api/v1/admin/users?text=kim").json()["users"]
    assert [one["email"] for one in listed] == ["kim@example.org"]

    made = owner.post("/api/v1/admin/organisations", json={"name": "Physics", "weight": 2})
    organisation = made.json()["id"]
    refused(owner.post("/api/v1/admin/organisations", json={"name": "Physics"}), 409)
    assert (
        owner.patch(f"/api/v1/admin/organisations/{organisation}", json={"weight": 3}).json()[
            "weight"
        ]
        == 3
    )
    project = owner.post(
        "/api/v1/admin/projects", json={"organisation": organisation, "name": "Spin"}
    ).json()["id"]
    changed = owner.patch(
        f"/api/v1/admin/projects/{project}", json={"name": "Spins", "archived": True, "weight": 2}
    ).json()
    assert (changed["name"], changed["archived"], changed["weight"]) == ("Spins", True, 2)
    put = owner.put(f"/api/v1/projects/{project}/members/{key}", json={"role": "manager"})
    assert put.json()["role"] == "manager"
    assert owner.delete(f"/api/v1/projects/{project}/members/{key}").status_code == 204
    refused(owner.delete(f"/api/v1/projects/{project}/members/{key}"), 404)
    assert len(owner.get("/api/v1/admin/organisations").json()["organisations"]) == 2
    assert len(owner.get("/api/v1/admin/projects").json()["projects"]) == 3


def test_quotas(owner, house):
    quota = {
        "level": "project",
        "owner": house.project,
        "device_kind": "gpu",
        "device_hours": 2.5,
        "period": "month",
    }
    (kept,) = owner.put("/api/v1/admin/quotas", json=quota).json()["quotas"]
    assert (kept["device_hours"], kept["owner"]) == (2.5, house.project)
    assert owner.get("/api/v1/admin/quotas").json()["quotas"] == [kept]
    assert owner.put("/api/v1/admin/quotas", json={**quota, "device_hours": None}).json() == {
        "quotas": []
    }
    refused(owner.put("/api/v1/admin/quotas", json={**quota, "owner": "0" * 32}), 404)
    refused(owner.put("/api/v1/admin/quotas", json={**quota, "device_hours": -1}), 422)


def test_drain_workers_and_audit(owner, house):
    assert owner.get("/api/v1/admin/drain").json() == {"draining": False}
    assert owner.put("/api/v1/admin/drain", json={"draining": True}).json() == {"draining": True}
    submit(owner)
    assert house.services.queue.claim(house.worker, Capacity()) == []
    owner.put("/api/v1/admin/drain", json={"draining": False})
    (worker,) = owner.get("/api/v1/admin/workers").json()["workers"]
    assert (worker["host"], worker["state"]) == ("bench", "active")
    lines = owner.get("/api/v1/admin/audit?limit=2").json()
    assert [line["action"] for line in lines["lines"]] == ["queue.drain", "job.submit"]
    rest = owner.get(f"/api/v1/admin/audit?before={lines['next']}").json()["lines"]
    assert rest[0]["action"] == "queue.drain"
    only = owner.get("/api/v1/admin/audit?action=job.").json()["lines"]
    assert {line["action"] for line in only} == {"job.submit"}


ADMIN = [
    ("GET", "/users", None),
    ("POST", "/users", {"email": "a@b.c"}),
    ("PATCH", "/users/" + "0" * 32, {"name": "x"}),
    ("POST", "/users/" + "0" * 32 + "/password-link", None),
    ("GET", "/organisations", None),
    ("POST", "/organisations", {"name": "x"}),
    ("PATCH", "/organisations/" + "0" * 32, {"weight": 1}),
    ("GET", "/projects", None),
    ("POST", "/projects", {"organisation": "0" * 32, "name": "x"}),
    ("PATCH", "/projects/" + "0" * 32, {"name": "x"}),
    ("GET", "/quotas", None),
    ("GET", "/drain", None),
    ("PUT", "/drain", {"draining": True}),
    ("GET", "/workers", None),
    ("GET", "/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN)
def test_administration_is_for_administrators(steady_house, method, path, body):
    for token in (steady_house.colleague, steady_house.stranger, steady_house.reader):
        answer = steady_house.client(token).request(method, f"/api/v1/admin{path}", json=body)
        refused(answer, 403)


def test_no_route_answers_without_a_token(steady_house):
    house = steady_house
    nobody = house.client(None)
    expired = house.client("itda_" + "0" * 40)
    for path, methods in nobody.get("/api/v1/openapi.json").json()["paths"].items():
        for method in methods:
            target = path.replace("{kind}", "structure")
            for name in ("job_id", "token_id", "user_id", "project_id", "organisation_id"):
                target = target.replace(f"{{{name}}}", "0" * 32)
            for client in (nobody, expired):
                refused(client.request(method, target, json={}), 401)


def test_a_token_that_reads_changes_nothing(house, owner, reader):
    key = submit(owner)[0]["id"]
    for method, path in (
        ("POST", "/jobs"),
        ("POST", f"/jobs/{key}/cancel"),
        ("POST", f"/jobs/{key}/retry"),
        ("DELETE", f"/jobs/{key}"),
        ("POST", "/tokens"),
        ("DELETE", "/tokens/" + "0" * 32),
        ("PUT", f"/projects/{house.project}/members/" + "0" * 32),
        ("DELETE", f"/projects/{house.project}/members/" + "0" * 32),
    ):
        body = {"input": FASTA, "role": "member", "name": "x", "scopes": ["read"]}
        if path != "/jobs":
            body.pop("input")
        known = {"/tokens": ("name", "scopes")}.get(path, ("input", "role"))
        body = {name: value for name, value in body.items() if name in known}
        refused(reader.request(method, f"/api/v1{path}", json=body), 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": "\\ud800", "scopes": ["read"]}',
        b'{"name": "\\u0000", "scopes": ["read"]}',
        b'{"name": "a", "scopes": ["read"], "expires_in_days": ' + b"9" * 5000 + b"}",
        b'{"name": "a", "scopes": ["read"], "expires_in_days": 1e400}',
        b'{"name": "a", "scopes": ["read"], "expires_in_days": NaN}',
        b'{"name": "a", "scopes": ["root"]}',
        b'{"name": "a", "scopes": ["read"], "project": "../x"}',
        b'{"name": "a", "scopes": []}',
        b'{"name": "   ", "scopes": ["read"]}',
    ],
)
def test_bodies_that_are_none_are_problems(steady, body):
    headers = {"Content-Type": "application/json"}
    answer = steady.post("/api/v1/tokens", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    refused(answer, answer.status_code)
