"""Each page in both languages, signing in, and what fails."""

from __future__ import annotations

import pytest

from itda.server.errors import RateError

from .site import FASTA, PASSWORD, Site, Visit, assert_clean, submitted

ADDRESSES = [
    "/", "/?example=ubiquitin", "/jobs", "/jobs?q=x&state=done", "/usage", "/projects",
    "/account", "/set-password", "/admin", "/admin/users", "/admin/projects", "/admin/audit",
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_in_both_languages(shown, address, language):
    answer = shown.owner(language).get(address)
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert answer.headers["content-language"] == language
    assert ("로그아웃" in answer.text) == (language == "ko")
    assert answer.text.count("<h1") == 1
    assert_clean(answer)


@pytest.mark.parametrize("address", [*ADDRESSES, "/jobs/" + "0" * 32, "/usage.csv"])
def test_without_a_session_one_signs_in_first(shown, address):
    answer = Visit(shown).get(address)
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


def flooded(*_: object) -> None:
    raise RateError("requests: too many", hint="wait", retry_after=11.2)


@pytest.mark.parametrize(("language", "title"), [("en", "Too much for now"), ("ko", "지금은")])
def test_what_a_gate_refuses_is_a_page_to_a_browser(site, monkeypatch, language, title):
    visit = site.owner(language)
    monkeypatch.setattr(site.app.state.request_limits, "address", flooded)
    answer = visit.get("/jobs?state=done")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "12"
    assert answer.headers["content-type"].startswith("text/html")
    assert title in answer.text and "too many" in answer.text
    assert_clean(answer)
    part = visit.get("/jobs", **{"HX-Request": "true", "HX-Request-Type": "partial"})
    assert part.status_code == 429 and "<html" not in part.text and "too many" in part.text
    for program in (visit.get("/jobs", accept="*/*"), visit.get("/api/v1/jobs")):
        assert program.status_code == 429 and program.headers["retry-after"] == "12"
        assert program.headers["content-type"] == "application/problem+json"


def test_other_gates_answer_with_pages_too(site):
    visit = site.owner("ko")
    large = visit.client.post("/auth/sign-in", content=b"x" * 70_000)
    assert large.status_code == 413 and large.headers["connection"] == "close"

    def pieces():  # without their number beforehand
        yield from [b"x" * 10_000] * 8

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    counted = visit.client.post("/auth/sign-in", content=pieces(), headers=form)
    strange = visit.get("/jobs/1", host="evil.example")
    odd = visit.get("/jobs/%00?q=%ff")
    other = visit.client.post("/account/name", data={}, headers={"Origin": "http://evil.example"})
    for answer, status in (
        (large, 413), (counted, 413), (strange, 400), (odd, 400), (other, 403),
    ):  # fmt: skip
        assert answer.status_code == status
        assert '<html lang="ko"' in answer.text and "첫 페이지로" in answer.text
        assert_clean(answer)
