"""What is refused before a route sees it, and what every answer carries."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from itda.errors import InputError
from itda.server.errors import RateError
from itda.server.security import headers
from itda.server.security.gates import BodyGate
from itda.server.security.limits import MOST_KEYS, Buckets
from itda.server.settings import Limits, ServerSettings

from .bare import bare_app, bearer, client_of

MEGABYTE = 2**20


@pytest.fixture
def database(fresh, tmp_path):
    """One kind is enough: what the tables do is tested on both elsewhere."""
    made = fresh.sqlite(tmp_path / "itda.db")
    yield made
    made.close()


@pytest.fixture
def token(accounts):
    user = accounts.ensure_owner().user
    return accounts.tokens.create(user.id, "t", ["read", "submit"])[0]


@pytest.mark.parametrize("path", ["/me", "/broken", "/nothing", "/auth/link?token=x", "/healthz"])
def test_every_answer_has_the_headers(browser, path):
    told = browser.get(path).headers
    assert told["x-content-type-options"] == "nosniff"
    assert told["x-frame-options"] == "DENY"
    policy = dict(part.split(" ", 1) for part in told["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in told["content-security-policy"]
    assert told["cache-control"] in ("no-store", "private, no-cache")
    assert "strict-transport-security" not in told


def test_refusals_of_the_gates_have_them_too(app, browser):
    strange = TestClient(app, base_url="http://evil.example").get("/me")
    large = browser.post("/change", content=b"x" * 200_000)
    for answer, status in ((strange, 400), (large, 413)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unexpected_error_tells_nothing_of_the_inside(browser):
    answer = browser.get("/broken")
    assert answer.status_code == 500 and "inside" not in answer.text


def test_additions_hold_below_their_path_only(monkeypatch):
    added = (("/jobs/", {"img-src": "blob:", "worker-src": "blob:", "default-src": "data:"}),)
    monkeypatch.setattr(headers, "ADDITIONS", added)
    assert headers.content_policy("/job") == "; ".join(
        f"{name} {sources}" for name, sources in headers.POLICY.items()
    )
    policy = headers.content_policy("/jobs/1")
    assert "img-src 'self' data: blob:;" in policy and "worker-src blob:" in policy
    assert policy.startswith("default-src data:;")


@pytest.mark.parametrize(
    ("told", "own"),
    [
        ("127.0.0.1:8787", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8787", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8787", False),
        ("10.0.0.7", False),
        ("evil.example@127.0.0.1", True),  # is 127.0.0.1, as a browser reads it
        ("127.0.0.1@evil.example", False),
        ("", False),
        ("[::1", False),
        ("x" * 5000, False),
    ],
)
def test_on_loopback_the_host_is_this_machine(browser, told, own):
    answer = browser.get("/me", headers={"Host": told})
    assert answer.status_code == (401 if own else 400)
    assert browser.get("/healthz", headers={"Host": told}).status_code == 200


def test_with_a_public_url_the_host_is_its_own(accounts, settings):
    settings = replace(settings, host="0.0.0.0", public_url="https://fold.example.org/")
    browser = client_of(bare_app(accounts, settings))
    status = {
        host: browser.get("/me", headers={"Host": host}).status_code
        for host in ("fold.example.org", "Fold.Example.Org:443", "fold.example.org.", "localhost")
    }
    assert set(status.values()) == {401}, status
    for host in ("example.org", "fold.example.org.evil", "10.0.0.7"):
        assert browser.get("/me", headers={"Host": host}).status_code == 400


def test_on_a_network_without_a_name_addresses_are_taken(accounts, settings):
    browser = client_of(bare_app(accounts, replace(settings, host="0.0.0.0")))
    for host, status in (("10.0.0.7:8787", 401), ("[fd00::7]:8787", 401), ("evil.example", 400)):
        assert browser.get("/me", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/me%00", "/me?x=%00", "/me?x=%ff", "/%ff", "/me?%C0%80"])
def test_addresses_that_are_no_text_are_refused(browser, path):
    assert browser.get(path).status_code == 400
    assert browser.get("/me?x=%EA%B0%80").status_code == 401


def test_a_large_body_is_refused_with_its_length(browser, token):
    ok = browser.post("/change", content=b"x" * 100_000, headers=bearer(token))
    assert ok.json()["bytes"] == 100_000
    answer = browser.post("/change", content=b"x" * 100_001, headers=bearer(token))
    assert answer.status_code == 413 and answer.headers["connection"] == "close"
    small = browser.post("/auth/sign-in", data={"email": "x" * 70_000})
    assert small.status_code == 413  # nobody needs an account for this one


def call(app, path, headers, chunks):
    """Send a body piece by piece; return the status and how many pieces were taken."""
    taken, answer = 0, []

    async def receive():
        nonlocal taken
        chunk = next(chunks, None)
        taken += chunk is not None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message):
        answer.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8787),
    }
    asyncio.run(app(scope, receive, send))
    starts = [one for one in answer if one["type"] == "http.response.start"]
    assert len(starts) == 1
    return starts[0]["status"], taken


@pytest.mark.parametrize(
    "kind", [b"application/octet-stream", b"application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize("told", [True, False])
def test_a_body_of_a_gigabyte_is_not_read(app, token, told, kind):
    piece = b"x" * MEGABYTE
    length = [(b"content-length", str(1024 * MEGABYTE).encode())] if told else []
    sent = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", kind), *length]
    tracemalloc.start()
    try:
        status, taken = call(app, "/change", sent, (piece for _ in range(1024)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (status, taken) == (413, 0 if told else 1)
    assert peak < 16 * MEGABYTE


@pytest.mark.parametrize("told", [b"1", b"-5", b"5, 99999999999", b"x", b"9" * 40, b"\xb2"])
def test_a_length_that_lies_does_not_help(told):
    async def reads_all(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate = BodyGate(reads_all, most_bytes=10)
    status, taken = call(gate, "/", [(b"content-length", told)], iter([b"x" * 8] * 1000))
    assert status == 413 and taken <= 2


def test_an_error_of_a_route_is_not_hidden_by_the_gate():
    async def breaks(scope, receive, send):
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        call(BodyGate(breaks, most_bytes=10), "/", [], iter([]))


def test_buckets_fill_again():
    now = [0.0]
    buckets = Buckets(6, "tries", timer=lambda: now[0])
    for _ in range(6):
        buckets.take("a")
    with pytest.raises(RateError, match="6 a minute") as refused:
        buckets.take("a")
    assert refused.value.retry_after == pytest.approx(10)
    buckets.take("b")
    now[0] = 10.0
    buckets.take("a")
    with pytest.raises(RateError):
        buckets.take("a")
    buckets.give_back("a")
    buckets.take("a")
    now[0] = 1e6
    buckets.give_back("a")
    for _ in range(6):  # never more than a minute's worth
        buckets.take("a")
    with pytest.raises(RateError):
        buckets.take("a")


def test_buckets_forget_what_is_old():
    buckets = Buckets(6, "tries")
    for key in range(MOST_KEYS + 10):
        buckets.take(str(key))
    assert len(buckets) == MOST_KEYS


def test_too_many_sign_ins_of_an_address_are_refused(accounts, settings):
    settings = replace(settings, limits=Limits(sign_ins_per_minute=3))
    browser = client_of(bare_app(accounts, settings))
    told = {"email": "kim@lab.example", "password": "x"}
    codes = [browser.post("/auth/sign-in", data=told).headers["location"] for _ in range(4)]
    assert codes == ["/sign-in?error=wrong"] * 3 + ["/sign-in?error=rate"]
    answer = browser.post("/auth/sign-in", json=told, headers={"Accept": "application/json"})
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert browser.get("/auth/link?token=x").headers["location"] == "/sign-in?error=rate"


def test_a_sign_in_that_succeeds_is_not_counted(accounts, settings):
    """A class that signs in at once comes from one address."""
    for one in range(6):
        accounts.users.add(f"s{one}@lab.example", password="four words and a dog")
    app = bare_app(accounts, replace(settings, limits=Limits(sign_ins_per_minute=3)))
    for one in range(6):
        told = {"email": f"s{one}@lab.example", "password": "four words and a dog"}
        answer = client_of(app).post("/auth/sign-in", data=told)
        assert answer.headers["location"] == "/", one
    token = accounts.ensure_owner().link_token
    for _ in range(5):
        answer = client_of(app).get("/auth/link", params={"token": token})
        assert answer.headers["location"] == "/"


def test_too_many_tries_for_an_account_are_refused_from_any_address(accounts, settings):
    accounts.users.add("kim@lab.example", password="four words and a dog")
    settings = replace(
        settings, limits=Limits(sign_ins_per_minute=2), trusted_proxies="testclient, 127.0.0.1"
    )
    with pytest.raises(InputError, match="testclient"):
        bare_app(accounts, settings)
    app = bare_app(accounts, replace(settings, trusted_proxies="10.0.0.0/8"))
    told = {"email": "Kim@lab.example", "password": "not the password"}
    codes = []
    for address in range(7):
        browser = client_of(app, client=(f"192.168.0.{address}", 1))
        codes.append(browser.post("/auth/sign-in", data=told).headers["location"][15:])
    assert codes == ["wrong"] * 6 + ["rate"]
    browser = client_of(app, client=("192.168.0.9", 1))
    good = {"email": "kim@lab.example", "password": "four words and a dog"}
    assert browser.post("/auth/sign-in", data=good).headers["location"].endswith("rate")
    other = {"email": "lee@lab.example", "password": "x"}
    assert browser.post("/auth/sign-in", data=other).headers["location"].endswith("wrong")


def test_requests_of_a_token_are_limited_and_others_are_not(accounts, settings, token):
    app = bare_app(accounts, replace(settings, limits=Limits(requests_per_minute=5)))
    browser = client_of(app)
    status = [browser.get("/me", headers=bearer(token)).status_code for _ in range(6)]
    assert status == [200] * 5 + [429]
    user = accounts.users.find("owner@localhost")
    other, _ = accounts.tokens.create(user.id, "other", ["read"])
    assert browser.get("/me", headers=bearer(other)).status_code == 200
    status = [browser.get("/address").status_code for _ in range(60)]
    assert status[0] == 200 and status[-1] == 429
    assert browser.get("/healthz").status_code == 200


def test_guessing_tokens_is_slow(browser):
    status = [browser.get("/me", headers=bearer(f"itda_{one}")).status_code for one in range(70)]
    assert status[:60] == [401] * 60 and 429 in status[60:]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "found"),
    [
        ("", "10.0.0.5", "1.2.3.4", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.5", "10.0.0.6", "1.2.3.4", "10.0.0.6"),
        ("10.0.0.0/24", "10.0.0.5", "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        ("10.0.0.5", "10.0.0.5", "6.6.6.6, nonsense", "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", "", "10.0.0.5"),
        ("fd00::/8", "fd00::5", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_says_whence(accounts, settings, trusted, peer, forwarded, found):
    app = bare_app(accounts, replace(settings, trusted_proxies=trusted))
    browser = client_of(app, client=(peer, 1))
    told = browser.get("/address", headers={"X-Forwarded-For": forwarded})
    assert told.json() == found


def test_secrets_are_not_shown_in_messages_or_logs(accounts, browser, token, caplog):
    caplog.set_level(logging.DEBUG)
    owner = accounts.ensure_owner()
    browser.get("/auth/link", params={"token": owner.link_token})
    browser.get("/me", headers=bearer(token))
    own = [one for one in caplog.records if not one.name.startswith("httpx")]
    for secret in (token, owner.link_token):
        assert all(secret not in one.getMessage() for one in own)
    assert owner.link_token not in repr(owner)
    assert "hush" not in repr(ServerSettings(oidc_client_secret="hush"))
