"""`itda serve` in a process of its own, and browsers that look at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.patience import PATIENCE_SECONDS

NEEDED = bool(os.environ.get("ITDA_TEST_BROWSER"))
"""Where it is set, tests fail that find no browser or no Mol*; else they are skipped."""

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Give the link that a server prints when it starts."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "itda", "serve", "--port", "0", "--no-browser"]
    with log.open("w") as told:
        process = subprocess.Popen(
            [*command, "--home", str(folder / "home")],
            stdout=told,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        yield _link(process, log)
        assert process.poll() is None, f"the server has ended: {log.read_text()}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def _link(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        found = re.search(r"http://\S+/auth/link\?token=\S+", log.read_text())
        if found:
            return found[0]
        assert process.poll() is None, f"the server has ended: {log.read_text()}"
        time.sleep(0.1)
    raise AssertionError(f"the server told no link: {log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    assert CHROMIUM is not None, "no Chromium is installed"
    with sync_playwright() as playwright:
        expect.set_options(timeout=120_000)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def soon(page: Page, look: Callable[[], object], wanted: object = True) -> None:
    """Look again until a page shows what is wanted: what moves there needs its time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) != wanted:
        assert time.monotonic() < end, f"{seen} is seen, and not {wanted}"
        page.wait_for_timeout(50)


class Looker:
    """Somebody at a browser, with all that the pages complained of and asked for.

    Attributes:
        page: What is looked at.
        complaints: Errors of scripts and of the content policy.
        strangers: Requests that left the server.
    """

    def __init__(self, browser: Browser, link: str, **wishes: object) -> None:
        self.link = link
        self.base = link.split("/auth/")[0]
        defaults = {"locale": "en-GB", "viewport": {"width": 1280, "height": 900}}
        self.context: BrowserContext = browser.new_context(**{**defaults, **wishes})
        self.context.set_default_timeout(20_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._ask(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(f"{self.page.url}: {text}")

    def _ask(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.strangers.append(url)

    def open(self, address: str) -> Page:
        self.page.goto(f"{self.base}{address}")
        return self.page

    def drain(self, on: bool) -> None:
        """Let the workers take nothing new, or take work again."""
        button = "form[action='/admin/drain'] button[value='%d']"
        page = self.context.new_page()
        page.goto(f"{self.base}/admin")
        page.click(button % on)
        # The page stays open: Chromium may wait for ever where one is closed while it changes.
        page.wait_for_selector(button % (not on))

    def close(self) -> None:
        assert self.complaints == []
        assert self.strangers == []
        self.context.close()
