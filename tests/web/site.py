"""A server within the test's process, and browsers without a screen that are signed in to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

from fastapi.testclient import TestClient
from httpx import Response

from itda.server.accounts.records import Project, User
from itda.server.app import create_app
from itda.server.services import Services, open_services
from itda.server.settings import ServerSettings

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
FASTA = f">ubiquitin\n{UBIQUITIN}\n"
HTML = {"Accept": "text/html"}
PASSWORD = "four words make one"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Visit:
    """A browser: it keeps cookies, and sends what its page's forms carry."""

    def __init__(self, site: Site, language: str = "en") -> None:
        self.client = TestClient(
            site.app,
            base_url="http://localhost",
            headers={**HTML, "Accept-Language": language},
            raise_server_exceptions=False,
        )

    def get(self, address: str, **headers: str) -> Response:
        return self.client.get(address, headers=headers, follow_redirects=False)

    def post(
        self,
        address: str,
        fields: Mapping[str, str] | None = None,
        *,
        page: str = "/account",
        **more,
    ) -> Response:
        """Send a form with the token of a page."""
        token = re.search(r'name="csrf_token" value="([^"]*)"', self.get(page).text)
        data = {**(fields or {}), "csrf_token": token[1] if token else ""}
        return self.client.post(address, data=data, follow_redirects=False, **more)

    def part(self, address: str, fields: Mapping[str, str] | None = None) -> Response:
        """Ask for a part of a page, as htmx does."""
        headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
        if fields is None:
            return self.get(address, **headers)
        return self.post(address, fields, headers=headers)


class Site:
    """A server with its owner."""

    def __init__(self, home: Path) -> None:
        settings = ServerSettings(home=home)
        for folder in (settings.home, settings.artefact_folder, settings.stage_folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.services: Services = open_services(settings)
        self.app = create_app(self.services)
        self.project: Project = self.services.accounts.ensure_owner().project

    def owner(self, language: str = "en") -> Visit:
        visit = Visit(self, language)
        token = self.services.accounts.ensure_owner().link_token
        assert visit.get(f"/auth/link?token={token}").status_code == 303
        return visit

    def add_user(self, email: str, role: str | None = "member", name: str = "") -> User:
        user = self.services.accounts.users.add(email, name, password=PASSWORD)
        if role is not None:
            self.services.accounts.projects.set_member(self.project.id, user.id, role)
        return user

    def signed_in(self, email: str, language: str = "en") -> Visit:
        visit = Visit(self, language)
        fields = {"email": email, "password": PASSWORD}
        assert visit.post("/auth/sign-in", fields, page="/sign-in").status_code == 303
        return visit


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
