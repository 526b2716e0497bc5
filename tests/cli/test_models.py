from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from itda.cli.models import models
from itda.models import registry
from itda.models.family import Capabilities

FIRST = Capabilities(
    molecules=frozenset({"protein"}),
    max_chains=1,
    min_length=16,
    max_length=1024,
    inputs=frozenset(),
    outputs=frozenset({"plddt", "pae"}),
    modifications=False,
    bonds=False,
    constraints=False,
)
SECOND = dataclasses.replace(
    FIRST, molecules=frozenset({"protein", "dna"}), max_chains=None, bonds=True
)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    families = {
        name: SimpleNamespace(
            name=name,
            title=f"The {name} family [test]",
            licence="CC0-1.0",
            citation="Kim 2026",
            capabilities=capabilities,
            weight_set="mini",
            converter=None,
        )
        for name, capabilities in (("first", FIRST), ("second", SECOND))
    }
    monkeypatch.setattr(registry, "FAMILIES", dict.fromkeys(families, ""))
    monkeypatch.setattr(registry, "get_family", families.__getitem__)
    return CliRunner(env={"COLUMNS": "120"})


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(models)
    return app


def test_the_table_says_what_each_family_can_do(runner: CliRunner) -> None:
    done = runner.invoke(_app(), [])
    assert done.exit_code == 0
    rows = [
        [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]
        for line in done.output.splitlines()
    ]
    cells = {row[0]: row[1:] for row in rows if len(row) == 3}
    assert cells[""] == ["first", "second"]
    assert cells["molecules"] == ["protein", "dna, protein"]
    assert cells["max chains"] == ["1", "no limit"]
    assert cells["max length"] == ["1024", "1024"]
    assert cells["inputs"] == ["none", "none"]
    assert cells["bonds"] == ["no", "yes"]
    assert cells["licence of weights"] == ["CC0-1.0", "CC0-1.0"]
    for field in dataclasses.fields(Capabilities):
        assert field.name.replace("_", " ") in cells
    assert "The first family [test]" in done.output


def test_json_is_the_capabilities_themselves(runner: CliRunner) -> None:
    done = runner.invoke(_app(), ["--json"])
    families = json.loads(done.output)["families"]
    assert [family["name"] for family in families] == ["first", "second"]
    assert families[1]["capabilities"] == SECOND.to_dict()
    assert families[0]["licence"] == "CC0-1.0"
