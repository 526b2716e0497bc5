"""The report page: opens from disk, loads nothing, shows what the result holds."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE_SECONDS

from itda.confidence.validity import check_validity
from itda.job.model import Job
from itda.results.files import confidence_of, write_result
from itda.results.report.page import fill, render_page, script_json

REPORT = Path(str(files("itda.results.report")))
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
HOSTILE = "<img src=x onerror=document.title='taken'>&'{{data}}"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects elements, and what stands inside scripts; counts what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.inside.append(tag)
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        if self.inside and self.inside[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        else:
            self.text += data


@pytest.fixture
def result(fold, job):
    return fold(job, samples=2)


@pytest.fixture
def text(result) -> str:
    return render_page(result, "data_helix\n", confidence_of(result))


def data_of(page: Page):
    return json.loads(next(body for given, body in page.scripts if given.get("id") == "data"))


def test_page_parses_and_names_the_job(text) -> None:
    page = Page(text)
    assert page.inside == []
    assert len(page.scripts) == 3
    assert "helix" in page.text and "16 residues" in page.text


def test_page_holds_the_result(text, result) -> None:
    data = data_of(Page(text))
    assert np.allclose(data["plddt"], result.plddt, atol=0.006)
    errors = np.frombuffer(base64.b64decode(data["pae"]["bytes"]), np.uint8).reshape(16, 16)
    assert np.allclose(errors * data["pae"]["step"], result.pae, atol=0.07)
    assert data["cif"] == "data_helix\n"
    assert data["provenance"] == result.provenance.to_dict()
    assert [sample["rank"] for sample in data["samples"]] == [0, 1]


def test_page_says_the_verdict_in_both_languages(text, result) -> None:
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert data["verdict"]["level"] == result.verdict.level
    for code in ("en", "ko"):
        assert data["verdict"][code] == result.verdict.said(language=code)
    assert "{side_chains}" in data["strings"]["en"]["reading"]["plddt"][1]


def test_page_loads_nothing_from_anywhere(text) -> None:
    page = Page(text)
    loading = {"src", "srcset", "href", "action", "data", "poster", "background"}
    for tag, attributes in page.elements:
        for name in loading & set(attributes):
            assert attributes[name].startswith(("data:", "#")), (tag, name)
    own = text.replace((REPORT / "vendor" / "3Dmol-min.js").read_text(encoding="utf-8"), "")
    own = own.replace(html.escape((REPORT / "vendor" / "3Dmol-LICENSE.txt").read_text("utf-8")), "")
    assert len(own) < len(text) - 500_000
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", own, re.IGNORECASE)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", own)


def test_policy_lets_nothing_in(text) -> None:
    (policy,) = [
        attributes["content"]
        for tag, attributes in Page(text).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"https?:|\*|unsafe-eval", policy)
    assert "connect-src" not in rules and "img-src" in rules


def test_vendored_script_can_stand_in_a_page() -> None:
    script = (REPORT / "vendor" / "3Dmol-min.js").read_text(encoding="utf-8")
    assert "</script" not in script.lower() and "<!--" not in script


def test_vendored_script_is_the_one_that_is_recorded() -> None:
    digest = hashlib.sha256((REPORT / "vendor" / "3Dmol-min.js").read_bytes()).hexdigest()
    assert digest in (REPORT / "vendor" / "README.md").read_text(encoding="utf-8")


def test_every_part_of_the_page_is_in_its_place(text) -> None:
    for part in ("page.css", "page.js", "vendor/3Dmol-min.js"):
        assert (REPORT / part).read_text(encoding="utf-8") in text


def test_plots_are_those_of_a_servers_page(text) -> None:
    plots = (REPORT / "plots.js").read_text(encoding="utf-8")
    assert plots.count("\nexport ") > 5
    assert plots.replace("\nexport ", "\n") in text
    page = REPORT.parents[1] / "server" / "pages" / "static" / "result"
    assert (page / "plots.js").read_text(encoding="utf-8") == plots
    assert 'from "./plots.js"' in (page / "core.js").read_text(encoding="utf-8")


def test_hostile_name_stays_text(fold) -> None:
    result = fold(Job.from_sequence(HOSTILE, "MKTAY"))
    page = Page(render_page(result, "data_x\n", confidence_of(result)))
    assert HOSTILE in page.text
    assert "img" not in {tag for tag, _ in page.elements}
    assert data_of(page)["confidence"]["name"] == HOSTILE


def test_script_json_cannot_end_the_script() -> None:
    value = {"x": "</script><script>alert(1)</script><!-- \u2028 & 한글"}
    written = script_json(value)
    assert not re.search("[<>&\u2028]", written) and json.loads(written) == value


def test_what_fills_a_slot_is_not_filled_again() -> None:
    assert fill("{{a}} {{b}}", {"a": "{{b}}", "b": "\\1 $"}) == "{{b}} \\1 $"


def test_unknown_slot_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{{a}}", {})


def test_both_languages_say_the_same_things() -> None:
    strings = json.loads((REPORT / "strings.json").read_text(encoding="utf-8"))

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else "text"

    assert shape(strings["en"]) == shape(strings["ko"])
    used = set(
        re.findall(r'data-(?:text|label)="(\w+)"', (REPORT / "page.html").read_text("utf-8"))
    )
    used |= set(re.findall(r"\btext\.(\w+)", (REPORT / "page.js").read_text("utf-8")))
    assert used == set(strings["en"])


def in_browser(page: Path, tmp_path: Path, script: str = "") -> tuple[str, str]:
    """Open a page, run a script in it, and return its title and what the browser complained of."""
    copy = tmp_path / "opened.html"
    copy.write_text(page.read_text(encoding="utf-8") + f"<script>{script}</script>", "utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--enable-unsafe-swiftshader", "--use-gl=angle",
            "--use-angle=swiftshader", f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    # A software renderer complains of its own slowness.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if "CONSOLE" in line and "GL Driver Message" not in line
    ]
    return done.stdout, "\n".join(complaints)


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@needs_chromium
def test_browser_shows_the_structure_and_the_plots(result, tmp_path) -> None:
    page = write_result(result, tmp_path)["report"]
    script = """
      const drawn = (id) => {
        const canvas = document.getElementById(id);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(pixels.buffer)).size;
      };
      const box = document.getElementById("pae").getBoundingClientRect();
      const at = { clientX: box.left + 60, clientY: box.top + 60, bubbles: true };
      document.getElementById("pae").dispatchEvent(new PointerEvent("pointermove", at));
      document.getElementById("pae").dispatchEvent(new MouseEvent("click", at));
      document.querySelector('[data-style="stick"]').click();
      document.getElementById("reset").click();
      document.title = [document.body.dataset.viewer, drawn("plddt") > 20, drawn("pae") > 100,
        document.getElementById("pae-readout").textContent.includes("Å"),
        document.getElementById("provenance").rows.length > 8].join();
    """
    shown, complaints = in_browser(page, tmp_path, script)
    assert "<title>shown,true,true,true,true</title>" in shown
    assert complaints == ""


@needs_chromium
def test_every_clash_is_counted_though_only_the_worst_are_named(result, tmp_path) -> None:
    collapsed = result.atoms.copy()
    collapsed.coord *= 0.2
    validity = check_validity(collapsed).to_dict()
    count, named = validity["clash_count"], len(validity["clashes"])
    assert count > named
    validity["bonds"] |= {"within_tolerance": 0.99996}
    page = tmp_path / "page.html"
    page.write_text(
        render_page(result, "data_x\n", {**confidence_of(result), "validity": validity}), "utf-8"
    )
    shown, complaints = in_browser(page, tmp_path)
    assert f"<td>{count}: " in shown and f"<td>{named}: " not in shown
    assert "<td>99.9 % (" in shown, "what is not whole is not 100 %"
    assert complaints == ""


@needs_chromium
def test_browser_speaks_korean(result, tmp_path) -> None:
    page = write_result(result, tmp_path)["report"]
    shown, complaints = in_browser(
        page, tmp_path, "document.querySelector('[data-language=ko]').click()"
    )
    assert '<html lang="ko">' in shown and "잔기별 신뢰도" in shown
    assert complaints == ""


@needs_chromium
def test_browser_shows_the_templates(result, tmp_path) -> None:
    found = {
        "chain_ids": ["A"], "origin": "searched", "source": "pdb", "entry": "1abc", "chain": "B",
        "identity": 0.504, "coverage": 0.25, "pairs": 19, "e_value": 3.2e-9, "year": 1999,
        "release_date": "1999-12-31",
    }  # fmt: skip
    own = {**found, "origin": "given", "source": HOSTILE, "e_value": None, "year": None}
    confidence = {**confidence_of(result), "templates": [own, found]}
    page = tmp_path / "page.html"
    page.write_text(render_page(result, "data_helix\n", confidence))
    shown, complaints = in_browser(page, tmp_path)
    said = ("1abc, B", "found in pdb", "50 %", "25 %", "3.2e-9", "1999", "given by you: &lt;img")
    assert [words for words in said if words not in shown] == [] and complaints == ""
    assert "<title>taken" not in shown


@needs_chromium
def test_browser_does_not_run_a_name(fold, tmp_path) -> None:
    page = write_result(fold(Job.from_sequence(HOSTILE, "MKTAY")), tmp_path)["report"]
    shown, _ = in_browser(page, tmp_path)
    assert "<title>taken" not in shown


@needs_chromium
def test_browser_refuses_the_network(result, tmp_path) -> None:
    page = write_result(result, tmp_path)["report"]
    script = """
      fetch("https://example.org/").then(() => "let out", () => "held").then((word) => {
        document.title = word;
      });
    """
    shown, complaints = in_browser(page, tmp_path, script)
    assert "<title>held</title>" in shown and "Content Security Policy" in complaints
