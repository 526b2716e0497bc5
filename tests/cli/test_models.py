from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from itda.cli.family_table import LANGUAGES, Language, default_set, family_rows, markdown
from itda.cli.models import models
from itda.models import registry
from itda.models.family import Capabilities

FIRST = Capabilities(
    molecules=frozenset({"protein"}),
    max_chains=1,
    min_length=16,
    max_tokens=1024,
    inputs=frozenset(),
    outputs=frozenset({"plddt", "pae"}),
    modifications=False,
    bonds=False,
    constraints=False,
)
SECOND = dataclasses.replace(
    FIRST,
    molecules=frozenset({"protein", "dna"}),
    min_chains=2,
    max_chains=None,
    max_chain_length=400,
    samples=False,
    recycles=False,
    bonds=True,
)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("ITDA_WEIGHTS", str(tmp_path / "weights"))
    families = {
        name: SimpleNamespace(
            name=name,
            title=f"The {name} family [test]",
            licence="CC0-1.0",
            citation="Kim 2026",
            capabilities=capabilities,
            weight_set=weight_set,
            parameters=None,
            converter=None,
        )
        for name, capabilities, weight_set in (
            ("first", FIRST, "mini"),
            ("second", SECOND, "esmfold_v1"),
        )
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
    assert cells["molecules"] == ["protein", "DNA, protein"]
    assert cells["chains"] == ["1", "2 or more"]
    assert cells["residues of a chain"] == ["16–1024", "16–400"]
    assert cells["tokens in all"] == ["up to 1024", "up to 1024"]
    assert cells["inputs beside sequences"] == ["none", "none"]
    assert cells["outputs"] == ["pae, plddt", "pae, plddt"]
    assert cells["samples"] == ["differ by seed", "one structure"]
    assert cells["recycles"] == ["yes", "no"]
    assert cells["covalent bonds"] == ["no", "yes"]
    assert cells["licence of weights"] == ["CC0-1.0", "CC0-1.0"]
    assert cells["weights"] == ["mini", "esmfold_v1"]
    assert cells["on this machine"] == ["built in", "not here"]
    assert "The first family [test]" in done.output
    assert "itda weights pull esmfold_v1" in done.output


def test_what_a_family_declares_is_in_the_table(runner: CliRunner) -> None:
    """A field that is added to the capabilities changes a row, or this fails."""
    other: dict[str, object] = {
        "molecules": frozenset({"rna"}),
        "min_chains": 3,
        "max_chains": 5,
        "min_length": 3,
        "max_chain_length": 7,
        "max_tokens": 9,
        "inputs": frozenset({"msa"}),
        "outputs": frozenset({"ptm"}),
        "samples": False,
        "template_sets": True,
        "recycles": False,
        "modifications": True,
        "bonds": True,
        "constraints": True,
    }
    assert set(other) == {field.name for field in dataclasses.fields(Capabilities)}

    def rows(capabilities: Capabilities) -> dict[str, str]:
        family = SimpleNamespace(capabilities=capabilities, licence="", weight_set="mini")
        return family_rows(family)  # type: ignore[arg-type]

    base = dataclasses.replace(FIRST, max_chains=3)
    for name, value in other.items():
        assert rows(dataclasses.replace(base, **{name: value})) != rows(base), name  # type: ignore[arg-type]


def test_the_table_of_this_release_fits_100_columns() -> None:
    done = CliRunner(env={"COLUMNS": "100"}).invoke(_app(), [])
    assert done.exit_code == 0
    assert "…" not in done.output
    assert max(map(len, done.output.splitlines())) <= 100


def test_json_is_the_capabilities_themselves(runner: CliRunner) -> None:
    done = runner.invoke(_app(), ["--json"])
    families = json.loads(done.output)["families"]
    assert [family["name"] for family in families] == ["first", "second"]
    assert families[1]["capabilities"] == SECOND.to_dict()
    assert families[0]["licence"] == "CC0-1.0"


def test_json_tells_where_the_weights_are(runner: CliRunner) -> None:
    first, second = json.loads(runner.invoke(_app(), ["--json"]).output)["families"]
    assert first["weights"]["state"] == "built in"
    assert second["weights"]["name"] == "esmfold_v1"
    assert second["weights"]["state"] == "not here"
    assert "itda weights pull esmfold_v1" in second["weights"]["how_to_get"]
    assert second["weights"]["non_commercial"] is False


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_documentation_is_what_the_families_declare(language: Language) -> None:
    """`itda models --markdown [--language ko]` writes it."""
    page = Path(__file__).parents[2] / "docs" / ("ko" if language == "ko" else "") / "families.md"
    families = [registry.get_family(name) for name in registry.FAMILIES]
    assert page.read_text(encoding="utf-8") == markdown(families, language)
    done = CliRunner().invoke(_app(), ["--markdown", "--language", language])
    assert done.output == page.read_text(encoding="utf-8")


def test_the_korean_table_says_the_same_as_the_english() -> None:
    for name in registry.FAMILIES:
        family = registry.get_family(name)
        english, korean = family_rows(family), family_rows(family, "ko")
        assert len(english) == len(korean)
        assert not set(english) & set(korean)


@pytest.mark.parametrize("name", sorted(registry.FAMILIES))
def test_the_weights_of_a_family_are_in_the_table_of_weights(name: str) -> None:
    family = registry.get_family(name)
    weight_set = default_set(family)
    assert weight_set is not None and weight_set.family == name
    assert weight_set.licence.spdx == family.licence
