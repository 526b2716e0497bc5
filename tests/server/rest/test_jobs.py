"""Routes of jobs, on both databases."""

from __future__ import annotations

import json
import threading
from importlib.resources import files as files_of

import pytest

from itda.chem import dictionary
from itda.server.queue import submission
from itda.server.queue.records import Priority, State
from itda.wire import UBIQUITIN

from .house import FASTA

A3M = f">ubiquitin\n{UBIQUITIN}\n".encode()
PROBLEM = "application/problem+json"


def submit(client, text=FASTA, **more):
    answer = client.post("/api/v1/jobs", json={"input": text, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["jobs"]


def refused(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] and problem["title"] and problem["detail"]
    return problem


def test_submit_queues_every_record(owner, house):
    jobs = submit(owner, FASTA + FASTA.replace("ubiquitin", "again"), samples=2, seed=7)
    assert [job["name"] for job in jobs] == ["ubiquitin", "again"]
    assert {job["state"] for job in jobs} == {"queued"}
    assert {job["project"] for job in jobs} == {house.project}
    kept = house.services.queue.job(jobs[0]["id"])
    assert kept.settings == {"samples": 2, "seed": 7}
    assert kept.document["entities"][0]["protein"]["sequence"] == UBIQUITIN
    assert kept.need_seconds > 0 and kept.need_bytes > 0
    assert house.services.accounts.audit_log()[0].action == "job.submit"


def test_submit_tells_records_that_it_leaves_out(owner):
    answer = owner.post("/api/v1/jobs", json={"input": FASTA + ">b\nMKT1\n"})
    assert answer.status_code == 201
    (rejected,) = answer.json()["rejected"]
    assert (rejected["index"], rejected["name"]) == (2, "b")
    problem = refused(owner.post("/api/v1/jobs", json={"input": ">b\nMKT1\n"}), 422)
    assert problem["type"] == "urn:itda:problem:InputError"
    assert "digit" in problem["detail"] and problem["hint"]
    assert problem["instance"] == "/api/v1/jobs"


def test_submit_a_form_with_files(owner, house):
    job = {
        "version": 1,
        "name": "ubiquitin",
        "entities": [{"protein": {"sequence": UBIQUITIN, "msa": "own.a3m"}}],
    }
    answer = owner.post(
        "/api/v1/jobs",
        data={"samples": "2", "deterministic": "true", "family": "mini"},
        files=[
            ("input", ("job.json", json.dumps(job).encode())),
            ("file", ("own.a3m", A3M)),
        ],
    )
    assert answer.status_code == 201, answer.text
    key = answer.json()["jobs"][0]["id"]
    kept = house.services.queue.job(key)
    assert kept.settings == {"samples": 2, "deterministic": True}
    (listed,) = owner.get(f"/api/v1/jobs/{key}/files?direction=input").json()["files"]
    assert (listed["kind"], listed["bytes"]) == ("own.a3m", len(A3M))
    assert owner.get(listed["url"]).content == A3M


@pytest.mark.parametrize(
    ("data", "files", "said"),
    [
        ({"input": FASTA, "samples": "many"}, {}, "samples"),
        ({"input": FASTA, "colour": "red"}, {}, "colour"),
        ({"samples": ["1", "2"], "input": FASTA}, {}, "sent twice"),
        ({"input": FASTA}, {"photo": ("a.fasta", b"x")}, "takes no file"),
        ({}, {"input": ("../a.fasta", FASTA.encode())}, "is a path"),
    ],
)
def test_forms_are_checked(steady, data, files, said):
    body = [*((name, (None, one)) for name, value in data.items() for one in _each(value))]
    body += list(files.items())
    assert said in refused(steady.post("/api/v1/jobs", files=body), 422)["detail"]


def _each(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"input": 3}',
        b'{"input": "\\ud800"}',
        b'{"input": "x", "seed": 1e400}',
        b'{"input": "x", "seed": 99999999999999999999999}',
        b'{"input": "x", "seed": NaN}',
        b'{"input": "x", "unknown": 1}',
        b'{"input": "x", "project": "\\u0000"}',
        b'{"input": "x", "templates": "../../x"}',
        b'{"input": "x", "msa": "server:http://169.254.169.254/"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_none_are_told_by_field(steady, body):
    answer = steady.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert refused(answer, 422)["errors"]


def test_other_bodies_are_refused(steady):
    answer = steady.post("/api/v1/jobs", content=b"x", headers={"Content-Type": "text/plain"})
    assert "Content-Type" in refused(answer, 422)["detail"]
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(steady.post("/api/v1/jobs", content=b"--y\r\n", headers=broken), 422)
    refused(
        steady.post("/api/v1/jobs", content=b"x", headers={"Content-Type": "multipart/form-data"}),
        422,
    )


def test_the_same_key_gives_the_same_jobs(owner):
    headers = {"Idempotency-Key": "once"}
    first = owner.post("/api/v1/jobs", json={"input": FASTA}, headers=headers)
    again = owner.post("/api/v1/jobs", json={"input": FASTA}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["jobs"] == again.json()["jobs"]
    assert owner.get("/api/v1/jobs").json()["total"] == 1
    other = owner.post("/api/v1/jobs", json={"input": FASTA, "seed": 1}, headers=headers)
    refused(other, 409)
    for key in ("", " ", "x" * 201, "a\tb"):
        headers = {"Idempotency-Key": key}
        refused(owner.post("/api/v1/jobs", json={"input": FASTA}, headers=headers), 422)


def test_a_key_that_comes_again_is_only_looked_up(owner, house, monkeypatch):
    headers = {"Idempotency-Key": "once"}
    sent = {"input": FASTA + ">bad\nMK1\n"}

    def lines():
        found = house.services.accounts.audit_log(action="job.submit")
        return [(line.object_id, line.details) for line in found]

    first = owner.post("/api/v1/jobs", json=sent, headers=headers).json()
    assert len(first["jobs"]) == len(first["rejected"]) == len(lines()) == 1
    prepare = house.services.understanding.prepare
    prepared: list[object] = []

    def counted(*told, **options):
        prepared.append(told)
        return prepare(*told, **options)

    monkeypatch.setattr(house.services.understanding, "prepare", counted)
    named = {**sent, "project": house.project}
    for told in (sent, named):
        assert owner.post("/api/v1/jobs", json=told, headers=headers).json() == first
    for told in ({"input": FASTA}, {**sent, "priority": "background"}, {**sent, "samples": 2}):
        refused(owner.post("/api/v1/jobs", json=told, headers=headers), 409)
    other = owner.post("/api/v1/jobs", data=sent, files=[("file", ("a.a3m", b""))], headers=headers)
    refused(other, 409)
    assert prepared == [] and len(lines()) == 1
    # Two at once: neither finds the other before, and one alone is queued and written down.
    look, looked = submission.submitted_under, []

    def blind_at_first(*told):
        looked.append(told)
        return look(*told) if len(looked) > 1 else []

    monkeypatch.setattr(submission, "submitted_under", blind_at_first)
    assert owner.post("/api/v1/jobs", json=sent, headers=headers).json() == first
    assert len(prepared) == len(lines()) == 1


def test_plan_says_what_it_would_cost_and_keeps_nothing(reader, house):
    answer = reader.post("/api/v1/plan", json={"input": FASTA + ">b\nMKT\n"})
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert (plan["accepted"], plan["total"]) == (1, 2)
    assert plan["seconds"] > 0 and plan["starts_in_seconds"] is not None
    assert [family["name"] for family in plan["families"]] == ["mini", "flashabb", "esmfold"]
    assert plan["records"][1]["error"]["hint"]
    assert reader.get("/api/v1/jobs").json()["total"] == 0
    bad = reader.post("/api/v1/plan", json={"input": "{"})
    assert bad.status_code == 200
    assert bad.json()["problems"]


def test_lists_come_in_pages(owner):
    names = [f"job_{number}" for number in range(7)]
    for name in names:
        submit(owner, FASTA.replace("ubiquitin", name))
    found, target = [], "/api/v1/jobs?limit=3&text=job"
    while target:
        answer = owner.get(target)
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == 7
        found += [job["name"] for job in answer.json()["jobs"]]
        link = answer.links.get("next")
        assert (link is None) == (answer.json()["next"] is None)
        target = link["url"] if link else None
    assert found == names[::-1]


def test_lists_are_filtered(owner, house):
    submit(owner)
    submit(owner, FASTA.replace("ubiquitin", "100%_x"))
    house.finish()
    done = owner.get("/api/v1/jobs?state=done").json()
    assert [job["state"] for job in done["jobs"]] == ["done"]
    both = owner.get("/api/v1/jobs?state=done&state=queued").json()
    assert both["total"] == 2
    assert owner.get("/api/v1/jobs?text=%25_").json()["total"] == 1
    assert owner.get(f"/api/v1/jobs?project={house.project}").json()["total"] == 2


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=99999999999999999999999999",
        "before=x",
        "before=" + "0" * 31,
        "state=lost",
        "text=a%0Ab",
        "text=" + "x" * 201,
        "project=*",
    ],
)
def test_queries_are_checked(steady, query):
    problem = refused(steady.get(f"/api/v1/jobs?{query}"), 422)
    assert problem["errors"][0]["field"].startswith("query.")


@pytest.mark.parametrize("query", ["before=%00", "text=%00", "text=%ED%A0%80"])
def test_queries_of_no_text_are_refused(steady, query):
    answer = steady.get(f"/api/v1/jobs?{query}")
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == PROBLEM


def test_a_job_is_not_sent_again_while_it_is_the_same(owner, house):
    key = submit(owner)[0]["id"]
    first = owner.get(f"/api/v1/jobs/{key}")
    assert first.json()["ahead"] == 0
    assert first.json()["document"]["name"] == "ubiquitin"
    headers = {"If-None-Match": first.headers["etag"]}
    again = owner.get(f"/api/v1/jobs/{key}", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    house.finish()
    changed = owner.get(f"/api/v1/jobs/{key}", headers=headers)
    assert changed.status_code == 200
    assert changed.json()["state"] == "done"
    assert changed.json()["summary"]["mean_plddt"] == 80.5


def test_cancel_retry_and_remove(owner, house):
    key = submit(owner)[0]["id"]
    refused(owner.post(f"/api/v1/jobs/{key}/retry"), 409)
    assert owner.post(f"/api/v1/jobs/{key}/cancel").json()["state"] == "cancelled"
    assert owner.post(f"/api/v1/jobs/{key}/retry").json()["state"] == "queued"
    refused(owner.delete(f"/api/v1/jobs/{key}"), 409)
    house.claim()
    assert owner.post(f"/api/v1/jobs/{key}/cancel").json()["cancel_requested"]
    key = submit(owner)[0]["id"]
    house.finish()
    assert owner.delete(f"/api/v1/jobs/{key}").status_code == 204
    refused(owner.get(f"/api/v1/jobs/{key}"), 404)
    actions = [line.action for line in house.services.accounts.audit_log()]
    assert actions[0] == "job.remove"
    assert {"job.cancel", "job.retry"} <= set(actions)


def test_stages_are_told(owner, house):
    key = submit(owner)[0]["id"]
    claim = house.claim()
    house.services.queue.record(
        claim,
        [
            {"event": "stage_started", "job": "ubiquitin", "time": "", "stage": "predict"},
            {
                "event": "stage_progress",
                "job": "ubiquitin",
                "time": "",
                "stage": "predict",
                "fraction": 0.5,
                "message": "half",
            },
        ],
    )
    (stage,) = owner.get(f"/api/v1/jobs/{key}/stages").json()["stages"]
    assert (stage["name"], stage["state"], stage["fraction"]) == ("predict", "running", 0.5)


def test_a_colleague_reads_but_ends_only_own_jobs(owner, colleague):
    theirs, own = submit(owner)[0]["id"], submit(colleague)[0]["id"]
    assert colleague.get(f"/api/v1/jobs/{theirs}").status_code == 200
    refused(colleague.post(f"/api/v1/jobs/{theirs}/cancel"), 403)
    assert colleague.post(f"/api/v1/jobs/{own}/cancel").status_code == 200
    refused(colleague.post("/api/v1/jobs", json={"input": FASTA, "priority": "urgent"}), 403)
    (job,) = submit(owner, priority="urgent")
    assert job["priority"] == "urgent"


def test_nothing_is_told_across_projects(owner, stranger, house):
    key = submit(owner)[0]["id"]
    absent = "0" * 32
    for path in ("", "/stages", "/events", "/files", "/structure", "/archive"):
        there = refused(stranger.get(f"/api/v1/jobs/{key}{path}"), 404)
        nowhere = refused(stranger.get(f"/api/v1/jobs/{absent}{path}"), 404)
        assert there["detail"].replace(key, absent) == nowhere["detail"]
    for action in ("cancel", "retry"):
        refused(stranger.post(f"/api/v1/jobs/{key}/{action}"), 404)
    refused(stranger.delete(f"/api/v1/jobs/{key}"), 404)
    refused(stranger.get(f"/api/v1/jobs?project={house.project}"), 404)
    answer = stranger.post("/api/v1/jobs", json={"input": FASTA, "project": house.project})
    refused(answer, 404)
    assert stranger.get("/api/v1/jobs").json()["total"] == 0
    assert house.services.queue.job(key).state is State.QUEUED


def test_a_quota_that_is_used_up_says_when_it_renews(owner, house):
    house.services.queue.set_quota("project", house.project, "cpu", 100.0, "month")
    submit(owner)
    claim = house.claim()
    house.clock.wait(200.0)
    house.services.queue.finish(claim, [], {})
    answer = owner.post("/api/v1/jobs", json={"input": FASTA})
    problem = refused(answer, 429)
    assert problem["type"] == "urn:itda:problem:QuotaError"
    assert problem["renews_at"].endswith("Z")


def test_what_nobody_expected_tells_a_key_of_the_log_alone(owner, house, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(house.services.queue, "jobs", broken)
    problem = refused(owner.get("/api/v1/jobs"), 500)
    assert "secret" not in json.dumps(problem)
    key = problem["instance"].partition("#")[2]
    assert len(key) == 32 and key in caplog.text and "secret of the house" in caplog.text


def test_addresses_that_are_none_are_problems_too(steady):
    refused(steady.get("/api/v1/nothing"), 404)
    answer = steady.put("/api/v1/jobs")
    refused(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_priorities_travel(owner, house):
    submit(owner, priority="background")
    assert house.claim().job.priority is Priority.BACKGROUND


def test_what_the_first_request_needs_is_imported_when_the_server_starts(house, monkeypatch):
    warmed = threading.Event()
    monkeypatch.setattr(house.services.understanding, "_warm", warmed.set)
    with house.client(None):
        assert warmed.wait(20)


def test_the_dictionary_of_components_is_read_before_it_is_asked_for(house, monkeypatch):
    read, columns = [], dictionary._columns
    monkeypatch.setattr(
        dictionary, "_columns", lambda name, *items: read.append(name) or columns(name, *items)
    )
    for table in (dictionary._components, dictionary._atom_names):
        table.cache_clear()
    house.services.understanding.warm().join()
    assert sorted(read) == ["chem_comp", "chem_comp_atom"]
    told = house.services.understanding.understand(
        "version: 1\nname: x\nentities: [{ion: {id: A, ccd: ATP}}]\n"
    )
    assert "ATP has 47 atoms" in str(told)
    assert len(read) == 2


def test_a_structure_of_the_request_becomes_a_template(owner, house):
    content = files_of("itda").joinpath("data/examples/1ubq.cif").read_bytes()
    other = ">b\nGDSGKPLISGHWAQCTDRWLDPSTQAFNGWHTEDKRLLNPYWCGFSDVAERTGKPWHHSDN\n"
    for text in ("1ubq.cif", "1ubq.cif:A", "A=1ubq.cif:A"):
        files = [("input", ("x.fasta", FASTA.encode())), ("file", ("1ubq.cif", content))]
        answer = owner.post("/api/v1/jobs", data={"template": text}, files=files)
        assert answer.status_code == 201, answer.text
        (job,) = answer.json()["jobs"]
        kept = house.services.queue.job(job["id"])
        assert kept.document["entities"][0]["protein"]["templates"][0]["path"] == "1ubq.cif"
        assert "template" not in kept.settings
        (listed,) = owner.get(f"/api/v1/jobs/{job['id']}/files?direction=input").json()["files"]
        assert owner.get(listed["url"]).content == content
    files = [("input", ("x.fasta", (FASTA + other).encode())), ("file", ("1ubq.cif", content))]
    plan = owner.post("/api/v1/plan", data={"template": "1ubq.cif"}, files=files).json()
    first, second = plan["records"]
    assert "is for chain A" in first["warnings"][-1]
    assert "does not resemble template 1ubq.cif" in second["warnings"][-1]
    sent = [("file", ("1ubq.cif", content))]
    for data, said in (
        ({"input": other, "template": "1ubq.cif"}, "does not resemble template 1ubq.cif"),
        ({"input": FASTA, "template": "2ubq.cif"}, "there is no file '2ubq.cif'"),
        ({"input": FASTA, "template": "/etc/passwd"}, "there is no file"),
        ({"input": FASTA, "template": "1ubq.cif:Q"}, "no protein chain 'Q'"),
    ):
        problem = refused(owner.post("/api/v1/jobs", data=data, files=sent), 422)
        assert said in problem["detail"] and "/tmp" not in json.dumps(problem)
