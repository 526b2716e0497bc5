"""docs/outputs.md names every file, key and event, in both languages."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "engine"))

from fake_search import FakeManySource, FakeTemplates

from itda.cli.main import run
from itda.engine.searches import Searches

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "outputs.md", DOCS / "ko" / "outputs.md"]


@pytest.fixture
def told(family, tmp_path, capsys, monkeypatch) -> list[dict[str, object]]:
    """The events of a run that met everything; its files are in x_itda."""
    source, templates = FakeManySource(), FakeTemplates()
    monkeypatch.setattr(
        "itda.engine.search_options.choose_searches",
        lambda options, family: Searches(source, templates),
    )
    text = ">good one\nMKTAYIAKQR\n>crash\nMKTAW\n>bad\nMKTB\n"
    (tmp_path / "x.fa").write_text(text)
    assert run(["fold", "x.fa", "--json", "--samples", "2"]) == 2
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=["en", "ko"])
def test_everything_that_is_written_is_documented(told, page) -> None:
    documented = set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8")))
    used = {event["event"] for event in told}
    used |= {key for event in told for key in event}
    summary = json.loads(Path("x_itda/summary.json").read_bytes())
    used |= {key for record in summary["records"] for key in record}
    used |= {record["status"] for record in summary["records"]} | set(summary["counts"])
    confidence = json.loads(Path("x_itda/good.confidence.json").read_bytes())
    used |= set(confidence) | set(confidence["tokens"]) | set(confidence["ranking"][0])
    used |= set(np.load("x_itda/good.pae.npz"))
    hits = json.loads(Path("x_itda/good.templates.json").read_bytes())
    used |= set(hits) | set(hits["hits"][0]) | {hits["format"]}
    assert Path("x_itda/good.a3m").is_file()
    used |= {
        path.name.replace("good", "NAME")
        for path in Path("x_itda").iterdir()
        if "sample_1" not in path.name
    }
    assert used <= documented


def test_both_languages_document_the_same() -> None:
    english, korean = (
        set(re.findall(r"`([a-z_]+)`", page.read_text(encoding="utf-8"))) for page in PAGES
    )
    assert english == korean
