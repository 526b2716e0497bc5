"""The page of a job: progress, errors, who may see and change it."""

from __future__ import annotations

import html

import pytest
from sqlalchemy import update

from itda.server.database.tables import jobs
from itda.server.queue.records import Capacity, NewWorker, State

from .site import EVIL, UBIQUITIN, Site, assert_clean, key_of, submitted


def test_progress_is_a_part_that_asks_again(site):
    visit = site.owner()
    address = submitted(visit)
    part = visit.part(f"{address}/progress").text
    assert "<html" not in part
    assert f'hx-get="{address}/progress"' in part
    assert "every" in part
    visit.post(f"{address}/cancel")
    ended = visit.part(f"{address}/progress")
    assert (ended.status_code, ended.headers["hx-refresh"]) == (204, "true")
    assert visit.get(f"{address}/progress").headers["location"] == address


def test_cancel_retry_and_remove(site):
    visit, queue = site.owner(), site.services.queue
    address = submitted(visit)
    visit.post(f"{address}/cancel")
    assert queue.job(key_of(address)).state is State.CANCELLED
    assert "was cancelled" in visit.get(address).text
    visit.post(f"{address}/retry")
    assert queue.job(key_of(address)).state is State.QUEUED
    visit.post(f"{address}/cancel")
    assert visit.post(f"{address}/remove").headers["location"] == "/jobs"
    assert visit.get(address).status_code == 404
    actions = [line.action for line in site.services.accounts.audit_log(action="job.")]
    assert actions == ["job.remove", "job.cancel", "job.retry", "job.cancel", "job.submit"]


def claimed(site: Site):
    """Let a worker take the next job."""
    queue = site.services.queue
    worker = queue.register(
        NewWorker(
            host="node",
            process=1,
            executor="test",
            device_kind="cpu",
            device="",
            memory_bytes=2**40,
        )
    )
    (claim,) = queue.claim(worker, Capacity())
    return claim


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "could not be done for this reason"), ("ko", "작업을 마치지 못했습니다")],
)
def test_a_failed_job_says_why(site, language, sentence):
    visit = site.owner(language)
    address = submitted(visit)
    error = {"kind": "DataError", "problem": f"it broke {EVIL}", "hint": "mend it"}
    assert site.services.queue.fail(claimed(site), error)
    answer = visit.get(address)
    assert sentence in answer.text
    assert "it broke &lt;script&gt;" in answer.text
    assert "→ mend it" in answer.text
    assert f"{address}/retry" in answer.text
    assert_clean(answer)


def test_a_job_that_was_set_aside_shows_the_log(site):
    visit = site.owner()
    address = submitted(visit)
    key = key_of(address)
    for _ in range(site.services.settings.most_crashes):
        with site.services.database.write() as connection:
            connection.execute(update(jobs).values(not_before=0.0))
        assert site.services.queue.crashed(claimed(site), f"killed by signal 9 {EVIL}")
        if site.services.queue.job(key).state is State.QUEUED:
            assert "A worker died" in visit.part(f"{address}/progress").text
    answer = visit.get(address)
    assert "was set aside" in answer.text
    assert "killed by signal 9 &lt;script&gt;" in answer.text
    assert_clean(answer)


def test_stages_and_their_times(site):
    visit, queue = site.owner("ko"), site.services.queue
    address = submitted(visit)
    claim = claimed(site)
    event = {"job": "ubiquitin", "time": "2026-11-25T12:00:00+00:00"}
    queue.record(claim, [{"event": "stage_started", "stage": "weights", **event}])
    finished = {"event": "stage_finished", "stage": "weights", "cached": False, "seconds": 1.25}
    queue.record(claim, [{**finished, "message": "<b>mini</b>", **event}])
    queue.record(claim, [{"event": "stage_started", "stage": "predict", **event}])
    progress = {"event": "stage_progress", "stage": "predict", "fraction": 0.5}
    queue.record(claim, [{**progress, "message": "geometry", **event}])
    part = visit.part(f"{address}/progress").text
    for told in (
        "실행 중",
        "가중치 읽기",
        "1.2초",
        "&lt;b&gt;mini",
        "구조 예측",
        "50%",
        "geometry",
    ):
        assert told in part


def test_anothers_job_is_the_managers_to_stop(site):
    address = submitted(site.owner())
    site.add_user("kim@example.org", "member")
    kim = site.signed_in("kim@example.org")
    assert "/cancel" not in kim.get(address).text
    assert kim.post(f"{address}/cancel").status_code == 403
    assert site.services.queue.job(key_of(address)).state is State.QUEUED


def test_a_job_of_another_project_is_not_there(site):
    address = submitted(site.owner())
    site.add_user("stranger@example.org", None)
    stranger = site.signed_in("stranger@example.org")
    for path in (address, f"{address}/progress", f"/?like={key_of(address)}"):
        answer = stranger.get(path)
        assert answer.status_code == 404
        assert "ubiquitin" not in answer.text
    for action in ("cancel", "retry", "remove"):
        assert stranger.post(f"{address}/{action}").status_code == 404
    assert "ubiquitin" not in stranger.get("/jobs").text
    assert stranger.get(f"/jobs?project={site.project.id}").status_code == 404
    assert stranger.get(f"/usage?project={site.project.id}").status_code == 404
    assert stranger.get(f"/projects/{site.project.id}").status_code == 404


def test_html_in_names_is_text(site):
    visit = site.owner()
    visit.post("/account/name", {"name": EVIL})
    site.services.accounts.projects.rename(site.project.id, EVIL)
    address = submitted(visit, text=f">a<b>&'{UBIQUITIN[:3]}\n{UBIQUITIN}\n")
    for path in (
        address,
        "/jobs",
        "/projects",
        f"/projects/{site.project.id}",
        "/usage",
        "/admin/audit",
    ):
        answer = visit.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert_clean(answer)
    assert html.escape("a<b>&", quote=False) in visit.get(address).text


def test_the_link_is_for_the_members(site):
    address = submitted(site.owner())
    site.add_user("kim@example.org", "viewer", "Kim")
    page = site.signed_in("kim@example.org").get(address).text
    assert f'value="http://localhost{address}"' in page
    assert "(2 persons)" in page
    assert "Kim" in page
