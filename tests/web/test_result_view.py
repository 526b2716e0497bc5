"""The view of a result in a browser: drawn, linked both ways, for everybody, and on its own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from itda.server.pages import result as pages_result

from .result_harness import COUNT, Folders, make_app, prediction, serving, ubiquitin, write
from .serving import AXE, CHROMIUM, NEEDED, soon

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]  # fmt: skip

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
        expect.set_options(timeout=120_000)
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
    shot = Image.open(io.BytesIO(picture(page, "viewer")))
    pixels = np.asarray(shot.convert("HSV"), dtype=int)
    coloured = (pixels[..., 1] > 90) & (pixels[..., 2] > 60)
    hues = pixels[..., 0] * 360 / 255
    bands = {"very_high": 217, "confident": 197, "low": 51, "very_low": 18}
    return {name: float((coloured & (abs(hues - hue) < 8)).mean()) for name, hue in bands.items()}


def every_band(page: Page) -> bool:
    return min(shares(page).values()) > 0.001


def picture(page: Page, part: str) -> bytes:
    return page.locator(f'[data-part="{part}"]').screenshot()


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
    soon(page, lambda: every_band(page))
    ribbon = shares(page)["low"]
    before = picture(page, "viewer")
    page.click('[data-style="sticks"]')
    soon(page, lambda: picture(page, "viewer") != before and every_band(page))
    page.click('[data-style="surface"]')
    soon(page, lambda: every_band(page) and shares(page)["low"] > 2 * ribbon)
    before = picture(page, "viewer")
    page.focus('[data-part="viewer"]')
    page.keyboard.press("ArrowRight")
    soon(page, lambda: picture(page, "viewer") != before)
    with page.expect_download() as download:
        page.click('[data-action="picture"]')
    assert download.value.suggested_filename == "one.png"
    assert Image.open(download.value.path()).size[0] > 300


@needs_molstar
def test_plots_choose_in_the_structure(opened: Opened) -> None:
    page = opened.open("one")
    readout, live = (page.locator(f'[data-part="{part}"]') for part in ("readout", "live"))
    before = picture(page, "viewer")
    page.mouse.move(*over(page, "plddt", 10.5 / COUNT, 0.5))
    soon(page, lambda: state(page, "link.hoveredResidues"), [10])
    expect(readout).to_contain_text("A 11 LYS")
    soon(page, lambda: picture(page, "viewer") != before)
    page.mouse.down()
    page.mouse.move(*over(page, "plddt", 15.5 / COUNT, 0.5))
    page.mouse.move(*over(page, "plddt", 20.5 / COUNT, 0.5))
    page.mouse.up()
    soon(page, lambda: state(page, "link.chosenStretches"), [[10, 20]])
    soon(page, lambda: marked_atoms(page), atoms_of(10, 20))
    expect(live).to_contain_text("A 11–21")
    page.mouse.move(*over(page, "pae", 40.5 / COUNT, 5.5 / COUNT))
    soon(page, lambda: state(page, "link.hovered"), {"row": 5, "column": 40})
    expect(readout).to_contain_text("Aligned on A 6 LYS, residue A 41 GLN: expected error 11.0 Å")
    page.mouse.down()
    page.mouse.move(*over(page, "pae", 45.5 / COUNT, 8.5 / COUNT))
    page.mouse.up()
    soon(page, lambda: state(page, "link.chosen"), {"rows": [5, 8], "columns": [40, 45]})
    soon(page, lambda: marked_atoms(page), atoms_of(5, 8) + atoms_of(40, 45))
    page.click('[data-action="clear"]')
    soon(page, lambda: marked_atoms(page), 0)


@needs_molstar
def test_the_structure_points_in_the_plots(opened: Opened) -> None:
    page = opened.open("one")
    soon(page, lambda: every_band(page))
    page.locator('[data-part="viewer"]').scroll_into_view_if_needed()
    frame = page.locator('[data-part="viewer"]').bounding_box()
    assert frame is not None
    plots = {part: picture(page, part) for part in ("plddt", "pae")}
    for x, y in ((x, y) for y in (0.5, 0.45, 0.55, 0.6, 0.4) for x in np.linspace(0.35, 0.65, 13)):
        place = frame["x"] + float(x) * frame["width"], frame["y"] + y * frame["height"]
        page.mouse.move(*place)
        page.wait_for_timeout(100)
        if state(page, "link.hovered"):
            break
    [index] = state(page, "link.hoveredResidues")
    name = ubiquitin()[ubiquitin().res_id == index + 1].res_name[0]
    expect(page.locator('[data-part="readout"]')).to_contain_text(f"A {index + 1} {name}")
    soon(page, lambda: all(picture(page, part) != plots[part] for part in plots))
    page.mouse.click(*place)
    soon(page, lambda: state(page, "link.chosenStretches"), [[index, index]])


def test_keys_move_and_choose(opened: Opened) -> None:
    page = opened.open("complex")
    plot, live = (page.locator(f'[data-part="{part}"]') for part in ("plddt", "live"))
    plot.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(plot).to_have_attribute("aria-valuenow", "4")
    expect(plot).to_have_attribute("aria-valuetext", "A 4 PHE: pLDDT 94.3")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    soon(page, lambda: state(page, "link.chosenStretches"), [[3, 5]])
    expect(live).to_contain_text("A 4–6")
    page.keyboard.press("Escape")
    soon(page, lambda: state(page, "link.chosen"), None)
    page.locator('[data-part="pae"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    soon(page, lambda: state(page, "link.hovered"), {"row": 1, "column": 151})
    expect(live).to_contain_text("residue B 76 GLY: expected error 4.0 Å")


def test_another_sample_is_shown(opened: Opened) -> None:
    page = opened.open("complex")
    result = page.locator("itda-result")
    expect(result).to_contain_text("high confidence in how they sit together")
    page.click('[data-sample="2"]')
    page.wait_for_function("document.querySelector('itda-result').rank === 2")
    page.evaluate("document.querySelector('itda-result').ready")
    soon(page, lambda: state(page, "residues.plddt[0]"), 88.0)
    soon(page, lambda: round(float(state(page, "map.mean(0, 100)"))), 22)
    expect(result).to_contain_text("is not known from this prediction (expected error 22.0 Å")
    expect(result).not_to_contain_text("high confidence in how they sit", use_inner_text=True)
    expect(page.locator('[data-sample="2"]')).to_have_attribute("aria-pressed", "true")
    expect(page.locator('[data-part="csv"]')).to_have_attribute("href", re.compile(r"\?sample=2$"))


def test_values_are_there_as_a_table(opened: Opened) -> None:
    page = opened.open("one")
    page.click("itda-result .result-table summary")
    rows = page.locator(".result-table tbody tr")
    expect(rows).to_have_count(COUNT)
    rows.nth(3).locator("button").click()
    soon(page, lambda: state(page, "link.chosenStretches"), [[3, 3]])
    assert rows.nth(0).inner_text().split("\t")[1:] == ["97.0", "very high", "1.4"]


def test_without_molstar_a_simpler_viewer_shows_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_result, "has_molstar", lambda: False)
    page = opened.open("one")
    assert page.get_attribute("itda-result", "data-viewer") == "simple"
    assert page.get_attribute("itda-result", "data-viewer-state") == "shown"
    soon(page, lambda: every_band(page))
    page.mouse.move(*over(page, "plddt", 0.5, 0.5))
    page.mouse.down()
    page.mouse.up()
    before = picture(page, "viewer")
    page.click('[data-style="sticks"]')
    soon(page, lambda: picture(page, "viewer") != before and every_band(page))
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
    expect(page.locator('[data-part="readout"]')).to_contain_text("A 1 MET")
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
        expect(page.locator("itda-result")).to_contain_text("잔기별 신뢰도")
        expect(page.locator("itda-result")).not_to_contain_text(
            "What this says", use_inner_text=True
        )
