"""The view of a result in a browser: drawn, linked both ways, for everybody, and on its own."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from itda.server.pages import result as pages_result

from .result_harness import COUNT, Folders, make_app, prediction, serving, ubiquitin, write

NEEDED = bool(os.environ.get("ITDA_TEST_BROWSER"))
"""Where it is set, tests fail that find no browser or no Mol*; else they are skipped."""

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]  # fmt: skip
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


needs_molstar = pytest.mark.skipif(
    not NEEDED and not pages_result.has_molstar(), reason="`make web` was not run"
)
pytestmark = pytest.mark.skipif(not NEEDED and CHROMIUM is None, reason="no Chromium is installed")


class Opened:
    """A page with all that it complained of and asked for."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, kind: str, text: str) -> None:
        # A software renderer complains of its own slowness.
        if kind in ("error", "warning") and "GL Driver Message" not in text:
            self.complaints.append(text)

    def open(self, job: str) -> Page:
        self.page.goto(f"{self.base}/jobs/{job}")
        self.page.wait_for_selector("itda-result[data-viewer-state][data-state=shown]")
        self.page.evaluate("document.querySelector('itda-result').ready")
        return self.page

    def check(self) -> None:
        assert self.complaints == []
        strangers = [
            url for url in self.requests if not url.startswith((self.base, "data:", "blob:"))
        ]
        assert strangers == []


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with one chain, a complex of three samples, and one without PAE."""
    folder = tmp_path_factory.mktemp("results")
    complex_of = [
        prediction(("A", "B"), seed=seed, apart=apart, loss=loss)
        for seed, apart, loss in ((1, 4.0, 0.0), (2, 7.0, 4.0), (3, 22.0, 9.0))
    ]
    services = Folders(
        {
            "one": write(folder / "one", "one", [prediction()]),
            "complex": write(folder / "complex", "complex", complex_of),
            "nopae": write(folder / "nopae", "nopae", [prediction(("H", "L"), pae=False)]),
        }
    )
    with serving(make_app(services)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "no Chromium is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Opened]:
    wishes = {"locale": "en-GB", "viewport": {"width": 1280, "height": 1000}}
    context = browser.new_context(**{**wishes, **getattr(request, "param", {})})
    context.set_default_timeout(60_000)
    found = Opened(context.new_page(), base)
    yield found
    found.check()
    context.close()


def shares(page: Page) -> dict[str, float]:
    """Return which share of the viewer's pixels has the hue of each band of pLDDT."""
    shot = page.locator('[data-part="viewer"]').screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("HSV"), dtype=int)
    coloured = (pixels[..., 1] > 90) & (pixels[..., 2] > 60)
    hues = pixels[..., 0] * 360 / 255
    bands = {"very_high": 217, "confident": 197, "low": 51, "very_low": 18}
    return {name: float((coloured & (abs(hues - hue) < 8)).mean()) for name, hue in bands.items()}


def state(page: Page, what: str) -> object:
    return page.evaluate(f"document.querySelector('itda-result').{what}")


def marked_atoms(page: Page) -> int:
    return int(
        page.evaluate(
            "document.querySelector('itda-result').viewer.plugin.managers.structure.selection"
            ".elementCount()"
        )
    )


def atoms_of(first: int, last: int) -> int:
    """Return how many atoms ubiquitin's residues from one to another (0-based) have."""
    numbers = ubiquitin().res_id
    return int(((numbers >= first + 1) & (numbers <= last + 1)).sum())


def over(page: Page, part: str, x: float, y: float) -> tuple[float, float]:
    """Return where on the page a place of 0 to 1 inside a plot's axes is."""
    page.locator(f'[data-part="{part}"]').scroll_into_view_if_needed()
    frame = page.locator(f'[data-part="{part}"] canvas').bounding_box()
    assert frame is not None
    if part == "plddt":
        return frame["x"] + 34 + x * (frame["width"] - 42), frame["y"] + frame["height"] * y
    side = min(frame["width"], 560) - 56
    top = frame["height"] - 66 - side
    return frame["x"] + 46 + x * side, frame["y"] + top + y * side


@needs_molstar
def test_structure_is_drawn_in_the_colours_of_plddt(opened: Opened) -> None:
    page = opened.open("one")
    assert page.get_attribute("itda-result", "data-viewer-state") == "shown"
    page.wait_for_timeout(500)
    found = shares(page)
    assert min(found.values()) > 0.001, found
    for style in ("sticks", "surface"):
        page.click(f'[data-style="{style}"]')
        page.wait_for_timeout(1500)
        assert min(shares(page).values()) > 0.001
    assert shares(page)["low"] > 2 * found["low"]
    before = page.locator('[data-part="viewer"]').screenshot()
    page.focus('[data-part="viewer"]')
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert page.locator('[data-part="viewer"]').screenshot() != before
    with page.expect_download() as download:
        page.click('[data-action="picture"]')
    assert download.value.suggested_filename == "one.png"
    assert Image.open(download.value.path()).size[0] > 300


@needs_molstar
def test_plots_choose_in_the_structure(opened: Opened) -> None:
    page = opened.open("one")
    before = page.locator('[data-part="viewer"]').screenshot()
    page.mouse.move(*over(page, "plddt", 10.5 / COUNT, 0.5))
    assert state(page, "link.hoveredResidues") == [10]
    assert "A 11 LYS" in page.inner_text('[data-part="readout"]')
    page.wait_for_timeout(400)
    assert page.locator('[data-part="viewer"]').screenshot() != before
    page.mouse.down()
    page.mouse.move(*over(page, "plddt", 15.5 / COUNT, 0.5))
    page.mouse.move(*over(page, "plddt", 20.5 / COUNT, 0.5))
    page.mouse.up()
    assert state(page, "link.chosenStretches") == [[10, 20]]
    assert marked_atoms(page) == atoms_of(10, 20)
    assert "A 11–21" in page.inner_text('[data-part="live"]')
    page.mouse.move(*over(page, "pae", 40.5 / COUNT, 5.5 / COUNT))
    assert state(page, "link.hovered") == {"row": 5, "column": 40}
    text = page.inner_text('[data-part="readout"]')
    assert "Aligned on A 6 LYS, residue A 41 GLN: expected error 11.0 Å" in text
    page.mouse.down()
    page.mouse.move(*over(page, "pae", 45.5 / COUNT, 8.5 / COUNT))
    page.mouse.up()
    assert state(page, "link.chosen") == {"rows": [5, 8], "columns": [40, 45]}
    assert marked_atoms(page) == atoms_of(5, 8) + atoms_of(40, 45)
    page.click('[data-action="clear"]')
    assert marked_atoms(page) == 0


@needs_molstar
def test_the_structure_points_in_the_plots(opened: Opened) -> None:
    page = opened.open("one")
    page.wait_for_timeout(500)
    page.locator('[data-part="viewer"]').scroll_into_view_if_needed()
    frame = page.locator('[data-part="viewer"]').bounding_box()
    assert frame is not None
    plots = {part: page.locator(f'[data-part="{part}"]').screenshot() for part in ("plddt", "pae")}
    for x, y in ((x, y) for y in (0.5, 0.45, 0.55, 0.6, 0.4) for x in np.linspace(0.35, 0.65, 13)):
        place = frame["x"] + float(x) * frame["width"], frame["y"] + y * frame["height"]
        page.mouse.move(*place)
        page.wait_for_timeout(60)
        if state(page, "link.hovered"):
            break
    [index] = state(page, "link.hoveredResidues")
    name = ubiquitin()[ubiquitin().res_id == index + 1].res_name[0]
    assert f"A {index + 1} {name}" in page.inner_text('[data-part="readout"]')
    page.wait_for_timeout(200)
    for part, before in plots.items():
        assert page.locator(f'[data-part="{part}"]').screenshot() != before, part
    page.mouse.click(*place)
    page.wait_for_function("document.querySelector('itda-result').link.chosen")
    assert state(page, "link.chosenStretches") == [[index, index]]


def test_keys_move_and_choose(opened: Opened) -> None:
    page = opened.open("complex")
    plot = page.locator('[data-part="plddt"]')
    plot.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuenow") == "4"
    assert plot.get_attribute("aria-valuetext") == "A 4 PHE: pLDDT 94.3"
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert state(page, "link.chosenStretches") == [[3, 5]]
    assert "A 4–6" in page.inner_text('[data-part="live"]')
    page.keyboard.press("Escape")
    assert state(page, "link.chosen") is None
    page.locator('[data-part="pae"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert state(page, "link.hovered") == {"row": 1, "column": 151}
    assert "residue B 76 GLY: expected error 4.0 Å" in page.inner_text('[data-part="live"]')


def test_another_sample_is_shown(opened: Opened) -> None:
    page = opened.open("complex")
    assert "high confidence in how they sit together" in page.inner_text("itda-result")
    page.click('[data-sample="2"]')
    page.wait_for_function("document.querySelector('itda-result').rank === 2")
    page.evaluate("document.querySelector('itda-result').ready")
    assert state(page, "residues.plddt[0]") == 88.0
    assert round(float(state(page, "map.mean(0, 100)"))) == 22
    words = page.inner_text("itda-result")
    assert "is not known from this prediction (expected error 22.0 Å" in words.replace("\n", " ")
    assert "high confidence in how they sit together" not in words
    assert page.get_attribute('[data-sample="2"]', "aria-pressed") == "true"
    assert (page.get_attribute('[data-part="csv"]', "href") or "").endswith("?sample=2")


def test_values_are_there_as_a_table(opened: Opened) -> None:
    page = opened.open("one")
    page.click("itda-result .result-table summary")
    rows = page.locator(".result-table tbody tr")
    rows.nth(COUNT - 1).wait_for()
    assert rows.count() == COUNT
    rows.nth(3).locator("button").click()
    assert state(page, "link.chosenStretches") == [[3, 3]]
    assert rows.nth(0).inner_text().split("\t")[1:] == ["97.0", "very high", "1.4"]


def test_without_molstar_a_simpler_viewer_shows_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_result, "has_molstar", lambda: False)
    page = opened.open("one")
    assert page.get_attribute("itda-result", "data-viewer") == "simple"
    assert page.get_attribute("itda-result", "data-viewer-state") == "shown"
    page.wait_for_timeout(500)
    assert min(shares(page).values()) > 0.001
    page.mouse.move(*over(page, "plddt", 0.5, 0.5))
    page.mouse.down()
    page.mouse.up()
    page.click('[data-style="sticks"]')
    page.wait_for_timeout(300)
    assert min(shares(page).values()) > 0.001
    assert page.locator('[data-part="problem"]').is_hidden()


def test_without_webgl_the_plots_are_there_and_a_sentence(opened: Opened) -> None:
    opened.page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.includes('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    page = opened.open("one")
    assert page.get_attribute("itda-result", "data-viewer-state") == "unavailable"
    assert "WebGL is off" in page.inner_text('[data-part="viewer-notice"]')
    page.mouse.move(*over(page, "plddt", 0.01, 0.5))
    assert "A 1 MET" in page.inner_text('[data-part="readout"]')
    # Mol* writes of it to the console, which here is as it should be.
    opened.complaints.clear()


@pytest.mark.parametrize(
    ("opened", "job"),
    [
        ({"locale": "en-GB", "color_scheme": "light"}, "complex"),
        ({"locale": "ko-KR", "color_scheme": "dark"}, "nopae"),
        (
            {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}, "has_touch": True},
            "complex",
        ),
    ],
    indirect=["opened"],
    ids=["light", "dark-korean", "phone"],
)
def test_everybody_can_use_it(opened: Opened, job: str) -> None:
    if not AXE.is_file():
        assert not NEEDED, "axe-core is not installed: make web"
        pytest.skip("axe-core is not installed")
    page = opened.open(job)
    page.click("itda-result .result-table summary")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run('main').then((all) => all.violations)")
    serious = [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    if page.evaluate("document.documentElement.lang") == "ko":
        assert "잔기별 신뢰도" in page.inner_text("itda-result")
        assert "What this says" not in page.inner_text("itda-result")
