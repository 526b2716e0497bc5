"""Events as pages and as streams, and what happens when a stream is cut."""

from __future__ import annotations

import json
import threading

import pytest

from itda.server.rest import events as routes

from .house import FASTA
from .test_jobs import refused, submit

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(routes, "LOOK_SECONDS", 0.01)


def progress(house, claim, *fractions):
    house.services.queue.record(
        claim,
        [
            {
                "event": "stage_progress",
                "job": claim.job.name,
                "time": "",
                "stage": "predict",
                "fraction": fraction,
                "message": f"at {fraction}",
            }
            for fraction in fractions
        ],
    )


def messages(text):
    """Return id, kind and data of each message of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            data = json.loads(fields["data"])
            found.append((fields.get("id"), fields["event"], data))
    return found


def test_pages_go_on_after_the_last(owner, house):
    key = submit(owner)[0]["id"]
    progress(house, house.claim(), 0.1, 0.2, 0.3)
    first = owner.get(f"/api/v1/jobs/{key}/events?limit=2").json()
    assert len(first["events"]) == 2
    rest = owner.get(f"/api/v1/jobs/{key}/events?after={first['next']}").json()
    ids = [one["id"] for one in first["events"] + rest["events"]]
    assert ids == sorted(set(ids))
    assert rest["state"] == "running"
    last = owner.get(f"/api/v1/jobs/{key}/events?after={rest['next']}").json()
    assert (last["events"], last["next"]) == ([], rest["next"])


@pytest.mark.parametrize("query", ["after=-1", "after=99999999999999999999", "limit=0", "after=x"])
def test_places_are_checked(owner, query):
    key = submit(owner)[0]["id"]
    refused(owner.get(f"/api/v1/jobs/{key}/events?{query}"), 422)


def test_a_stream_tells_all_and_ends_with_the_job(owner, house):
    key = submit(owner)[0]["id"]
    claim = house.claim()
    progress(house, claim, 0.1)
    told: list[str] = []

    def read():
        with owner.stream("GET", f"/api/v1/jobs/{key}/events", headers=STREAM) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told.extend(answer.iter_text())

    reader = threading.Thread(target=read)
    reader.start()
    progress(house, claim, 0.6)
    reader.join(0.2)
    assert reader.is_alive()
    progress(house, claim, 0.9)
    house.services.queue.finish(claim, [], {"mean_plddt": 70.0})
    reader.join(20)
    assert not reader.is_alive()
    found = messages("".join(told))
    fractions = [data["data"]["fraction"] for _, kind, data in found if kind == "stage_progress"]
    assert fractions == [0.1, 0.6, 0.9]
    assert found[-1][2]["state"] == "done"


def test_a_stream_goes_on_where_it_was_cut(owner, house):
    key = submit(owner)[0]["id"]
    claim = house.claim()
    progress(house, claim, 0.1, 0.2)
    house.services.queue.finish(claim, [], {"mean_plddt": 70.0})
    whole = messages(owner.get(f"/api/v1/jobs/{key}/events", headers=STREAM).text)
    ids = [int(one) for one, _, _ in whole if one]
    assert ids == sorted(set(ids)) and len(ids) >= 2
    again = owner.get(
        f"/api/v1/jobs/{key}/events", headers={**STREAM, "Last-Event-ID": str(ids[0])}
    )
    assert [int(one) for one, _, _ in messages(again.text) if one] == ids[1:]
    nothing = owner.get(
        f"/api/v1/jobs/{key}/events", headers={**STREAM, "Last-Event-ID": str(ids[-1])}
    )
    assert nothing.status_code == 204
    odd = owner.get(f"/api/v1/jobs/{key}/events", headers={**STREAM, "Last-Event-ID": "x"})
    assert odd.status_code == 200


def test_a_silent_stream_is_kept_alive(owner, house, monkeypatch):
    monkeypatch.setattr(routes, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(routes, "LONGEST_SECONDS", 0.4)
    key = submit(owner)[0]["id"]
    text = owner.get(f"/api/v1/jobs/{key}/events", headers=STREAM).text
    assert ": alive\n\n" in text
    assert [data["state"] for _, kind, data in messages(text) if kind == "job"] == ["queued"]


def test_a_stream_of_a_job_that_is_removed_ends(owner, house, monkeypatch):
    key = submit(owner)[0]["id"]
    looked = routes._look

    def removed(services, job_id, after):
        found = looked(services, job_id, after)
        services.queue.cancel(job_id)
        services.queue.remove(job_id)
        return found

    monkeypatch.setattr(routes, "_look", removed)
    text = owner.get(f"/api/v1/jobs/{key}/events", headers=STREAM).text
    assert [data["state"] for _, kind, data in messages(text) if kind == "job"] == ["queued"]


def test_names_cannot_break_out_of_a_stream(owner, house):
    key = submit(owner, FASTA.replace("ubiquitin", "a&b<c>"))[0]["id"]
    claim = house.claim()
    house.services.queue.record(
        claim,
        [{"event": "job_warned", "job": "x", "time": "", "message": "a\n\nid: 9\nevent: job\n"}],
    )
    house.services.queue.finish(claim, [], {})
    told = messages(owner.get(f"/api/v1/jobs/{key}/events", headers=STREAM).text)
    assert all(one != "9" for one, _, _ in told)
