"""Each page in both languages, and what may be seen and done on it."""

from __future__ import annotations

import csv
import html
import io
import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import update

from itda.server.database.tables import jobs
from itda.server.queue.records import Capacity, NewWorker, Priority, State

from .site import FASTA, PASSWORD, UBIQUITIN, Site, Visit

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ADDRESSES = [
    "/", "/?example=ubiquitin", "/jobs", "/jobs?q=x&state=done", "/usage", "/projects",
    "/account", "/set-password", "/admin", "/admin/users", "/admin/projects", "/admin/audit",
]  # fmt: skip


def submitted(visit: Visit, text: str = FASTA, **fields: str) -> str:
    """Submit a job, and return its address."""
    answer = visit.post("/jobs", {"text": text, "key": "0" * 32, **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def key_of(address: str) -> str:
    return address.rsplit("/", 1)[1]


class Elements(HTMLParser):
    """Names what stands in a page and its content policy forbids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        inline = tag == "script" and "src" not in given
        if tag == "style" or (inline and given.get("type") != "application/json"):
            self.forbidden.append(tag)
        self.forbidden += [key for key in given if key == "style" or key.startswith("on")]


def assert_clean(answer) -> None:
    """Nothing in the page that its content policy forbids, and a policy that forbids it."""
    assert Elements(answer.text).forbidden == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_in_both_languages(site, address, language):
    answer = site.owner(language).get(address)
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert answer.headers["content-language"] == language
    assert ("로그아웃" in answer.text) == (language == "ko")
    assert answer.text.count("<h1") == 1
    assert_clean(answer)


@pytest.mark.parametrize("address", [*ADDRESSES, "/jobs/" + "0" * 32, "/usage.csv"])
def test_without_a_session_one_signs_in_first(site, address):
    answer = Visit(site).get(address)
    assert answer.status_code == 303
    expected = "/sign-in" if address in ("/", "/set-password") else "/sign-in?next="
    assert answer.headers["location"].startswith(expected)


def test_signing_in_leads_back(site):
    site.add_user("kim@example.org")
    visit = Visit(site)
    page = visit.get("/sign-in?next=/jobs%3Fq%3Dx")
    assert 'name="next" value="/jobs?q=x"' in page.text
    fields = {"email": "kim@example.org", "password": PASSWORD, "next": "/jobs?q=x"}
    assert visit.post("/auth/sign-in", fields, page="/sign-in").headers["location"] == "/jobs?q=x"
    assert visit.get("/sign-in").headers["location"] == "/"


def test_signing_in_leads_nowhere_else(site):
    page = Visit(site).get("/sign-in?next=//evil.example/").text
    assert 'name="next" value="/"' in page
    assert 'value="//evil' not in page


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "password is wrong"), ("ko", "올바르지 않습니다")]
)
def test_a_wrong_password_is_told(site, language, sentence):
    visit = Visit(site, language)
    fields = {"email": "nobody@example.org", "password": "x"}
    answer = visit.post("/auth/sign-in", fields, page="/sign-in")
    assert sentence in visit.get(answer.headers["location"]).text


def test_a_link_sets_a_password(site):
    user = site.add_user("lee@example.org")
    token = site.services.accounts.password_link(user.id)
    visit = Visit(site)
    page = visit.get(f"/auth/link?token={token}").headers["location"]
    assert "lee@example.org" in visit.get(page).text
    short = visit.post("/auth/set-password", {"token": token, "password": "short"}, page=page)
    assert "at least 10 characters" in visit.get(short.headers["location"]).text
    fields = {"token": token, "password": "another good one", "next": "/"}
    assert visit.post("/auth/set-password", fields, page=page).headers["location"] == "/"
    assert visit.get("/").status_code == 200
    assert visit.get(page).headers["location"] == "/sign-in?error=link"


# Language and colours --------------------------------------------------------------------------


def test_language_and_colours_are_remembered(site):
    visit = site.owner()
    answer = visit.post("/preferences", {"language": "ko", "next": "/usage"})
    assert answer.headers["location"] == "/usage"
    visit.post("/preferences", {"theme": "dark", "next": "//evil.example"})
    page = visit.get("/usage").text
    assert '<html lang="ko" data-theme="dark">' in page
    # The language is the user's, wherever the user signs in next.
    assert '<html lang="ko" data-theme="auto">' in site.owner().get("/").text


def test_language_before_signing_in(site):
    visit = Visit(site)
    visit.post("/preferences", {"language": "ko", "next": "/sign-in"}, page="/sign-in")
    assert '<html lang="ko"' in visit.get("/sign-in").text


def test_another_sites_page_changes_no_preference(site):
    visit = Visit(site)
    headers = {"Origin": "https://evil.example"}
    answer = visit.post("/preferences", {"language": "ko"}, page="/sign-in", headers=headers)
    assert answer.status_code == 403


def test_times_are_the_readers(site):
    visit = site.owner()
    address = submitted(visit)
    assert "UTC" in visit.get(address).text
    visit.client.cookies.set("itda_zone", "Asia%2FSeoul")
    assert "UTC" not in visit.get(address).text


# The form --------------------------------------------------------------------------------------


def test_the_preview_says_what_was_understood(site):
    visit = site.owner()
    part = visit.part("/preview", {"text": FASTA}).text
    assert "<html" not in part
    assert "ubiquitin" in part
    assert "76 residues" in part
    assert re.search(r'name="family" value="mini" checked', part)
    assert "about" in part
    assert '<button class="main">Predict</button>' in part.replace("\n", "")


def test_the_preview_tells_errors_by_record(site):
    part = site.owner().part("/preview", {"text": f"{FASTA}>bad\nMKT1LLL\n>{EVIL[:30]}\nMK\n"}).text
    assert "3 records" in part
    assert "2 of them with errors" in part
    assert "<script" not in part
    assert "Records with errors are left out." in part


@pytest.mark.parametrize("text", ["", "   \n"])
def test_nothing_given_is_no_error(site, text):
    part = site.owner().part("/preview", {"text": text}).text
    assert "Nothing has been given yet" in part
    assert "disabled" in part


def test_an_input_that_nobody_can_fold_cannot_be_sent(site):
    part = site.owner().part("/preview", {"text": ">a\nMKTAYIAKQR:MKTAYIAKQR\n"}).text
    assert re.search(r'<button class="main" disabled>', part)
    assert "Cannot do this:" in part


def test_a_number_out_of_range_is_told(site):
    part = site.owner().part("/preview", {"text": FASTA, "samples": "0"}).text
    assert "samples" in part
    assert re.search(r'<button class="main" disabled>', part)


def test_a_file_is_read(site):
    visit = site.owner()
    files = {"files": ("x.fasta", FASTA.encode(), "text/plain")}
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    assert "ubiquitin" in visit.post("/preview", {}, files=files, headers=headers).text
    # Without a script a whole page comes back, and keeps what was in the file.
    whole = visit.post("/preview", {}, files=files).text
    assert UBIQUITIN in whole
    assert "76 residues" in whole


def test_submitting_leads_to_the_job(site):
    visit = site.owner()
    page = visit.get(submitted(visit, family="mini", seed="7")).text
    assert "ubiquitin" in page
    assert UBIQUITIN in page
    assert ">7<" in page
    job = site.services.queue.jobs([site.project.id]).jobs[0]
    assert job.settings["seed"] == 7
    assert job.priority is Priority.NORMAL


def test_the_same_form_twice_is_one_job(site):
    visit = site.owner()
    assert submitted(visit) == submitted(visit)
    assert submitted(visit) != submitted(visit, key="1" * 32)


def test_several_records_lead_to_the_list(site):
    visit = site.owner()
    address = submitted(visit, text=f"{FASTA}>second\n{UBIQUITIN}\n")
    assert address.startswith("/jobs?submitted=2")
    assert "2 jobs were submitted." in visit.get(address).text


def test_what_cannot_be_submitted_comes_back_with_the_reason(site):
    answer = site.owner("ko").post("/jobs", {"text": ">x\nMK\n"})
    assert answer.status_code == 422
    assert "제출하지 못했습니다" in answer.text
    assert "&gt;x\nMK" in answer.text


def test_urgent_is_for_managers(site):
    site.add_user("kim@example.org", "member")
    visit = site.signed_in("kim@example.org")
    assert "Urgent" not in visit.get("/").text
    answer = visit.post("/jobs", {"text": FASTA, "priority": "0"})
    assert answer.status_code == 422
    assert "priority urgent" in answer.text
    assert "Urgent" in site.owner().get("/").text


def test_who_only_reads_has_no_form(site):
    site.add_user("reader@example.org", "viewer")
    visit = site.signed_in("reader@example.org")
    assert "<textarea" not in visit.get("/").text
    assert visit.post("/jobs", {"text": FASTA, "project": site.project.id}).status_code == 422
    assert site.services.queue.jobs([site.project.id]).total == 0


def test_a_form_without_its_token_changes_nothing(site):
    visit = site.owner()
    answer = visit.client.post("/jobs", data={"text": FASTA}, follow_redirects=False)
    assert answer.status_code == 403
    assert "This is not allowed" in answer.text
    assert site.services.queue.jobs([site.project.id]).total == 0


def test_the_input_of_a_job_can_be_used_again(site):
    visit = site.owner()
    address = submitted(visit)
    page = visit.get(f"/?like={key_of(address)}").text
    assert f"&gt;ubiquitin\n{UBIQUITIN}" in page


# A job -----------------------------------------------------------------------------------------


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


# Lists and books -------------------------------------------------------------------------------


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


# Projects and administration -------------------------------------------------------------------


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


# What fails ------------------------------------------------------------------------------------


def test_a_browser_gets_a_page_and_a_program_json(site):
    visit = site.owner("ko")
    page = visit.get("/nothing/here")
    assert page.status_code == 404
    assert "페이지를 찾을 수 없습니다" in page.text
    assert_clean(page)
    told = visit.get("/api/v1/jobs/" + "0" * 32, Accept="application/json")
    assert told.status_code == 404
    assert "html" not in told.headers["content-type"]
    told = visit.get("/api/v1/jobs/" + "0" * 32)
    assert "html" not in told.headers["content-type"]


def test_a_part_that_fails_is_a_part(site):
    visit = site.owner()
    answer = visit.part("/preview", {"text": FASTA, "priority": "x"})
    assert answer.status_code == 422
    assert "<html" not in answer.text
    ended = Visit(site).part("/jobs/" + "0" * 32 + "/progress")
    assert ended.headers["hx-redirect"] == "/sign-in"


def test_a_fault_of_the_server_tells_nothing(site, monkeypatch):
    def broken(*_arguments, **_options):
        raise RuntimeError("the secret of the house")

    visit = site.owner("ko")
    monkeypatch.setattr(site.services.queue, "jobs", broken)
    answer = visit.get("/jobs")
    assert answer.status_code == 500
    assert "secret of the house" not in answer.text
    assert "서버의 오류입니다" in answer.text
    assert_clean(answer)


def test_no_page_is_kept_by_the_browser(site: Site):
    assert site.owner().get("/jobs").headers["cache-control"] == "no-store"
