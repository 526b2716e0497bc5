"""Signing in with a provider's account, against a provider on loopback."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

pytest.importorskip("authlib")

from joserfc.jwk import RSAKey

from itda.errors import InputError
from itda.server.security import oidc
from itda.server.security.oidc import Provider, derived

from .bare import bare_app, client_of
from .provider import CLIENT_ID, CLIENT_SECRET, LocalProvider, by_hand


@pytest.fixture
def database(fresh, tmp_path):
    """One kind is enough: what the tables do is tested on both elsewhere."""
    made = fresh.sqlite(tmp_path / "itda.db")
    yield made
    made.close()


@pytest.fixture
def provider():
    started = LocalProvider()
    yield started
    started.stop()


@pytest.fixture
def app(accounts, settings, provider):
    settings = replace(
        settings,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
    )
    return bare_app(accounts, settings)


def sign_in(browser, provider, goal="/", **twist):
    start = browser.get("/auth/oidc/start", params={"next": goal})
    assert start.status_code == 303
    back = {**provider.authorise(start.headers["location"]), **twist}
    return browser.get("/auth/oidc/callback", params=back)


def test_a_new_account_is_a_user_without_projects(accounts, browser, provider):
    answer = sign_in(browser, provider, "/jobs?text=a b")
    assert answer.headers["location"] == "/"  # a path with a blank is none
    answer = sign_in(browser, provider, "/jobs?text=a%20b&x=1")
    assert answer.headers["location"] == "/jobs?text=a%20b&x=1"
    me = browser.get("/me").json()
    assert (me["email"], me["projects"]) == ("kim@lab.example", {})
    (user,) = accounts.users.all()
    assert (user.name, user.oidc_issuer) == ("김민수", provider.issuer)
    assert [one.details["how"] for one in accounts.audit_log(action="user.sign_in")] == ["oidc"] * 2
    assert "itda_oidc" not in browser.cookies  # it is used up
    browser.cookies.clear()
    provider.account["email"] = "moved@lab.example"
    sign_in(browser, provider)
    assert browser.get("/me").json()["email"] == "kim@lab.example"


def test_an_invited_address_brings_its_projects(accounts, browser, provider):
    kaist = accounts.projects.add_organisation("KAIST")
    project = accounts.projects.add(kaist.id, "Kinases")
    invited = accounts.invite("kim@lab.example", project_id=project.id)
    provider.account["email_verified"] = False
    answer = sign_in(browser, provider)
    assert answer.headers["location"] == "/sign-in?error=account"
    provider.account["email_verified"] = True
    sign_in(browser, provider)
    assert browser.get("/me").json()["projects"] == {project.id: "member"}
    assert [one.id for one in accounts.users.all()] == [invited.user.id]


def test_an_account_with_a_password_is_not_taken_over(accounts, browser, provider):
    accounts.users.add("kim@lab.example", password="four words and a dog", is_admin=True)
    answer = sign_in(browser, provider)
    assert answer.headers["location"] == "/sign-in?error=account"
    assert browser.get("/me").status_code == 401


def test_the_address_may_come_from_the_users_endpoint(accounts, browser, provider):
    del provider.account["email"]
    provider.userinfo = {"sub": "somebody else", "email": "lee@lab.example"}
    assert sign_in(browser, provider).headers["location"] == "/sign-in?error=provider"
    provider.userinfo = {"sub": "subject-1", "email": "lee@lab.example"}
    sign_in(browser, provider)
    assert browser.get("/me").json()["email"] == "lee@lab.example"


AN_HOUR_AGO, IN_AN_HOUR = "an hour ago", "in an hour"


@pytest.mark.parametrize(
    "twist",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another", "itda"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": AN_HOUR_AGO},
        {"exp": None},
        {"iat": IN_AN_HOUR},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 300},
        {"sub": 5},
    ],
)
def test_a_token_that_does_not_hold_signs_nobody_in(accounts, browser, provider, twist):
    # Reckoned here: a suite may run for hours after its tests were collected.
    times = {AN_HOUR_AGO: int(time.time()) - 3600, IN_AN_HOUR: int(time.time()) + 3600}
    provider.claims_twist = {name: times.get(str(told), told) for name, told in twist.items()}
    assert sign_in(browser, provider).headers["location"] == "/sign-in?error=provider"
    assert accounts.users.all() == []
    assert "itda_session" not in browser.cookies


@pytest.mark.parametrize("forger", ["another key", "shared key", "no signature"])
def test_a_forged_token_signs_nobody_in(accounts, browser, provider, forger):
    if forger == "another key":
        provider.key_twist = RSAKey.generate_key(2048, {"kid": "k1"})
    elif forger == "shared key":
        public = provider.key.as_pem(private=False)
        provider.forge = lambda claims: by_hand(claims, "HS256", public)
    else:
        provider.forge = lambda claims: by_hand(claims, "none")
    assert sign_in(browser, provider).headers["location"] == "/sign-in?error=provider"
    assert accounts.users.all() == []


def test_the_answer_belongs_to_the_browser_that_asked(app, browser, provider):
    start = browser.get("/auth/oidc/start")
    back = provider.authorise(start.headers["location"])
    other = client_of(app)
    answer = other.get("/auth/oidc/callback", params=back)
    assert answer.headers["location"] == "/sign-in?error=provider"
    for twist in ({"state": "x"}, {"state": ""}, {"state": "é"}, {"iss": "https://evil.example"}):
        assert sign_in(browser, provider, **twist).headers["location"] == "/sign-in?error=provider"
    answer = sign_in(browser, provider, code="another")
    assert answer.headers["location"] == "/sign-in?error=provider"
    answer = sign_in(browser, provider, error="access_denied", code="")
    assert answer.headers["location"] == "/sign-in?error=provider"
    answer = sign_in(browser, provider, state="x")
    assert answer.headers["location"] == "/sign-in?error=provider"
    assert browser.get("/me").status_code == 401


def test_an_answer_works_once(browser, provider):
    start = browser.get("/auth/oidc/start")
    kept = dict(browser.cookies)
    back = provider.authorise(start.headers["location"])
    assert browser.get("/auth/oidc/callback", params=back).headers["location"] == "/"
    browser.cookies.clear()
    browser.cookies.update(kept)
    again = browser.get("/auth/oidc/callback", params=back)
    assert again.headers["location"] == "/sign-in?error=provider"


def test_a_new_key_of_the_provider_is_found(browser, provider, monkeypatch):
    sign_in(browser, provider)
    monkeypatch.setattr(oidc, "KEYS_AGAIN_SECONDS", 0.0)
    provider.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
    assert sign_in(browser, provider).headers["location"] == "/"
    assert provider.asked.count("/keys") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1


def test_a_provider_that_fails_is_told(accounts, settings, provider):
    provider.metadata_twist = {"issuer": "https://another.example"}
    settings = replace(settings, oidc_issuer=provider.issuer, oidc_client_id=CLIENT_ID)
    browser = client_of(bare_app(accounts, settings))
    assert browser.get("/auth/oidc/start").headers["location"] == "/sign-in?error=provider"
    provider.metadata_twist = {"token_endpoint": "http://evil.example/token"}
    assert sign_in(browser, provider).headers["location"] == "/sign-in?error=provider"
    gone = replace(settings, oidc_issuer="http://127.0.0.1:9")
    browser = client_of(bare_app(accounts, gone))
    answer = browser.get("/auth/oidc/start", headers={"Accept": "application/json"})
    assert answer.status_code == 401 and "does not answer" in answer.json()["detail"]


def test_settings_that_are_not_safe_are_refused(accounts, settings):
    with pytest.raises(InputError, match="https"):
        Provider("http://idp.example", CLIENT_ID, None)
    with pytest.raises(InputError, match="name for this server"):
        Provider("https://idp.example", None, None)
    assert client_of(bare_app(accounts, settings)).get("/auth/oidc/start").status_code == 404


def test_values_made_from_the_secret_differ():
    made = {derived("s", what) for what in ("state", "nonce", "verifier")}
    assert len(made) == 3 and all(43 <= len(one) <= 128 for one in made)
    assert derived("t", "state") not in made
