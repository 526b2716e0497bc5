"""Cookies, passwords, links, and requests that another site's page sends."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from itda.server.accounts.sessions import SESSION_SECONDS
from itda.server.security.origin import own_path
from itda.server.settings import Limits

from .bare import bare_app, client_of

GOOD = "four words and a dog"
JSON = {"Accept": "application/json"}


@pytest.fixture
def kim(accounts):
    return accounts.users.add("kim@lab.example", password=GOOD)


def sign_in(browser, email="kim@lab.example", password=GOOD, **fields):
    return browser.post("/auth/sign-in", data={"email": email, "password": password, **fields})


def test_a_password_opens_a_session_and_sign_out_ends_it(browser, kim):
    assert browser.get("/me").status_code == 401
    answer = sign_in(browser, next="/jobs?text=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?text=a")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert answer.headers["cache-control"] == "no-store"
    me = browser.get("/me").json()
    assert (me["email"], me["scopes"]) == ("kim@lab.example", ["manage", "read", "submit"])
    kept = dict(browser.cookies)
    assert browser.post("/auth/sign-out").status_code == 403  # without the page's token
    assert browser.get("/me").status_code == 200
    answer = browser.post("/auth/sign-out", data={"csrf_token": me["csrf"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    browser.cookies.update(kept)
    assert browser.get("/me").status_code == 401  # the cookie itself is worth nothing now


def test_signing_in_again_renews_the_key(browser, kim):
    sign_in(browser)
    first = dict(browser.cookies)
    sign_in(browser)
    assert dict(browser.cookies) != first
    browser.cookies.clear()
    browser.cookies.update(first)
    assert browser.get("/me").status_code == 401


def test_a_cookie_that_was_planted_is_not_taken(browser, kim):
    browser.cookies.set("itda_session", "planted", domain="127.0.0.1")
    sign_in(browser)
    assert browser.cookies["itda_session"] != "planted"


def test_sign_out_everywhere(app, kim):
    here, there = client_of(app), client_of(app)
    sign_in(here)
    sign_in(there)
    csrf = here.get("/me").json()["csrf"]
    assert there.get("/me").status_code == 200
    here.post("/auth/sign-out", data={"csrf_token": csrf, "everywhere": "1"})
    assert there.get("/me").status_code == 401


def test_sessions_expire(browser, kim, clock):
    sign_in(browser)
    clock.wait(SESSION_SECONDS - 1)
    assert browser.get("/me").status_code == 200
    clock.wait(1)
    assert browser.get("/me").status_code == 401


def test_what_is_wrong_is_not_told(browser, kim):
    wrong = sign_in(browser, password="not the password")
    unknown = sign_in(browser, email="nobody@lab.example")
    assert wrong.headers["location"] == unknown.headers["location"] == "/sign-in?error=wrong"
    told = {"email": "kim@lab.example", "password": "not it at all"}
    first = browser.post("/auth/sign-in", json=told, headers=JSON)
    second = browser.post("/auth/sign-in", json={**told, "email": "x@y.z"}, headers=JSON)
    assert first.status_code == second.status_code == 401
    assert first.headers["content-type"] == "application/problem+json"
    assert first.content == second.content
    for odd in ({"email": 1}, [], "x", {"email": "\0", "password": "\ud800"}, None):
        sent = {**JSON, "Content-Type": "application/json"}
        answer = browser.post("/auth/sign-in", content=json.dumps(odd), headers=sent)
        assert answer.status_code in (401, 422), odd
    assert browser.post("/auth/sign-in", content=b"{", headers=JSON).status_code == 401
    assert not browser.cookies


def test_a_program_gets_json(browser, kim):
    told = {"email": "kim@lab.example", "password": GOOD}
    answer = browser.post("/auth/sign-in", json=told, headers=JSON)
    csrf = answer.json()["csrf_token"]
    assert browser.post("/change", content=b"abc").status_code == 403
    changed = browser.post("/change", content=b"abc", headers={"X-CSRF-Token": csrf})
    assert changed.json()["bytes"] == 3


def test_a_form_carries_the_token_in_a_field(browser, kim):
    sign_in(browser)
    csrf = browser.get("/me").json()["csrf"]
    for sent in ({"data": {"csrf_token": csrf}}, {"files": {"csrf_token": (None, csrf)}}):
        answer = browser.post("/change", **sent)
        assert answer.json()["fields"] == {"csrf_token": csrf}  # the route can read it still
    for wrong in ("", "x", csrf[:-1], csrf + "x", "é"):
        assert browser.post("/change", data={"csrf_token": wrong}).status_code == 403
    query = browser.post(f"/change?csrf_token={csrf}")
    assert query.status_code == 403
    as_file = browser.post("/change", files={"csrf_token": ("x", csrf.encode())})
    assert as_file.status_code == 403


def test_a_form_that_is_broken_is_refused_by_name(browser, kim):
    sign_in(browser)
    multipart = "multipart/form-data; boundary=x"
    for kind, body in (
        (multipart, b"nonsense"),
        (multipart, b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
        ("multipart/form-data", b"x"),
        (
            multipart + "; charset=nothing",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", b"%ff=%00&\xff"),
    ):
        for path in ("/change", "/auth/sign-in", "/auth/set-password", "/auth/sign-out"):
            sent = {"Content-Type": kind, "Accept": "application/json"}
            answer = browser.post(path, content=body, headers=sent)
            assert 400 <= answer.status_code < 500, (kind, body, path, answer.text)


def test_a_long_text_in_a_form_is_taken(accounts, settings, kim):
    settings = replace(settings, limits=Limits(body_bytes=4 * 2**20))
    browser = client_of(bare_app(accounts, settings))
    sign_in(browser)
    csrf = browser.get("/me").json()["csrf"]
    parts = {"csrf_token": (None, csrf), "text": (None, "x" * 3 * 2**20)}
    answer = browser.post("/change", files=parts)
    assert answer.status_code == 200 and len(answer.json()["fields"]["text"]) == 3 * 2**20


def test_the_token_of_another_session_is_refused(app, kim):
    here, there = client_of(app), client_of(app)
    sign_in(here)
    sign_in(there)
    csrf = there.get("/me").json()["csrf"]
    assert here.post("/change", headers={"X-CSRF-Token": csrf}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_changes_nothing(browser, kim, headers):
    answer = browser.post(
        "/auth/sign-in", data={"email": "kim@lab.example", "password": GOOD}, headers=headers
    )
    assert answer.headers["location"] == "/sign-in?error=forbidden" and not browser.cookies
    sign_in(browser)
    csrf = browser.get("/me").json()["csrf"]
    sent = {"X-CSRF-Token": csrf, **headers}
    assert browser.post("/change", headers=sent).status_code == 403
    sent = {
        "X-CSRF-Token": csrf,
        "Origin": "http://127.0.0.1:8787",
        "Sec-Fetch-Site": "same-origin",
    }
    assert browser.post("/change", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "goal",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil",
        "",
        " /x",
        "/" + "x" * 3000,
        "/\u2028",
    ],
)
def test_one_is_sent_on_to_own_pages_only(browser, kim, goal):
    assert own_path(goal) == "/"
    assert sign_in(browser, next=goal).headers["location"] == "/"


def test_over_https_the_cookie_is_for_https(accounts, settings, kim):
    settings = replace(settings, public_url="https://fold.example.org", host="0.0.0.0")
    browser = client_of(bare_app(accounts, settings))
    browser.base_url = "https://fold.example.org"
    cookie = sign_in(browser).headers["set-cookie"]
    assert cookie.startswith("__Host-itda_session=") and "Secure" in cookie
    assert "Domain" not in cookie and "Path=/" in cookie
    answer = browser.get("/me")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_the_owners_link_signs_in(browser, accounts):
    first = accounts.ensure_owner().link_token
    token = accounts.ensure_owner().link_token
    answer = browser.get("/auth/link", params={"token": first})
    assert answer.headers["location"] == "/sign-in?error=link"
    answer = browser.get("/auth/link", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/me").json()["email"] == "owner@localhost"
    assert browser.get("/admin").status_code == 200
    for wrong in ("", "x", token + "x", "😀"):
        answer = browser.get("/auth/link", params={"token": wrong})
        assert answer.headers["location"] == "/sign-in?error=link"
    answer = browser.get("/auth/link", params={"token": "x"}, headers=JSON)
    assert answer.status_code == 401


def test_an_invitations_link_sets_a_password(browser, accounts):
    token = accounts.invite("lee@lab.example").link_token
    answer = browser.get("/auth/link", params={"token": token})
    assert answer.headers["location"] == f"/set-password?token={token}"
    assert not browser.cookies
    answer = browser.post("/auth/set-password", data={"token": token, "password": "short"})
    assert answer.headers["location"] == f"/set-password?token={token}&error=password"
    answer = browser.post("/auth/set-password", data={"token": token, "password": GOOD})
    assert answer.headers["location"] == "/"
    assert browser.get("/me").json()["email"] == "lee@lab.example"
    answer = browser.post("/auth/set-password", data={"token": token, "password": GOOD})
    assert answer.headers["location"] == f"/set-password?token={token}&error=link"


def test_who_is_signed_in_changes_the_password(browser, kim):
    sign_in(browser)
    csrf = browser.get("/me").json()["csrf"]
    told = {"current_password": GOOD, "password": "five words and a cat"}
    assert browser.post("/auth/set-password", data=told).headers["location"].endswith("forbidden")
    wrong = {**told, "csrf_token": csrf, "current_password": "not the current one"}
    answer = browser.post("/auth/set-password", data=wrong)
    assert answer.headers["location"] == "/set-password?error=wrong"
    before = dict(browser.cookies)
    answer = browser.post("/auth/set-password", data={**told, "csrf_token": csrf})
    assert answer.headers["location"] == "/"
    assert browser.get("/me").status_code == 200 and dict(browser.cookies) != before
    assert sign_in(client_of(browser.app)).headers["location"] == "/sign-in?error=wrong"
    browser.cookies.clear()
    answer = browser.post("/auth/set-password", data=told)
    assert answer.headers["location"] == "/set-password?error=link"


def test_a_link_cannot_be_followed_by_post_or_head(browser, accounts):
    token = accounts.ensure_owner().link_token
    assert browser.post("/auth/link", params={"token": token}).status_code == 405
    assert browser.head("/auth/link", params={"token": token}).status_code == 405
    assert not browser.cookies
