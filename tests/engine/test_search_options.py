"""What `--msa`, `--db`, `--templates` and their limits stand for."""

import datetime
import json
from types import SimpleNamespace

import pytest

from itda.engine import search_options
from itda.engine.search_options import choose_searches, default_templates, split_msa
from itda.errors import CapabilityError, DataError, InputError
from itda.hub.weights import card_path
from itda.job.options import RunOptions
from itda.models.registry import get_family
from itda.search.databases import choose as choose_databases
from itda.search.databases import registry
from itda.search.sources import choose
from itda.search.templates.selection import TemplateLimits


@pytest.fixture
def databases(monkeypatch, tmp_path):
    """Names of databases with their kinds, to be filled by a test."""
    kinds: dict[str, str] = {}

    class Fake:
        folder = tmp_path

        def get(self, name):
            if name not in kinds:
                raise DataError(f"there is no database {name}")
            dates = SimpleNamespace(release_dates=("", "2020-01-01") if name != "old" else ("",))
            return SimpleNamespace(name=name, kind=kinds[name], chains=lambda: dates)

        def list(self):
            return [self.get(name) for name in kinds]

    for module in (registry, choose_databases):
        monkeypatch.setattr(module, "Databases", Fake)
    return kinds


@pytest.fixture
def chosen(monkeypatch):
    """What `choose_source` was asked for."""
    asked: list[tuple[str, list[str], int]] = []

    def choose_source(text, *, databases=(), threads=1):
        asked.append((text, [database.name for database in databases], threads))
        return SimpleNamespace(title=text)

    monkeypatch.setattr(choose, "choose_source", choose_source)
    return asked


def searches(family, **options):
    return choose_searches(RunOptions.checked(**options), family)


@pytest.mark.parametrize(
    "word", ["none", "mmseqs", "hmmer", "hmmer:phmmer", "hmmer:jackhmmer:3", "server:https://x"]
)
def test_way_to_search_is_no_path(word, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mmseqs").mkdir()
    assert split_msa(word) == (word, None)


def test_path_is_no_way_to_search(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mmseqs"
    path.touch()
    assert split_msa("./mmseqs")[0] is None and split_msa("./mmseqs")[1].samefile(path)
    assert split_msa(path) == (None, path)
    assert split_msa(None) == (None, None)


def test_misspelt_way_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file or folder") as caught:
        split_msa("MMseqs2")
    assert "did you mean mmseqs" in caught.value.hint
    with pytest.raises(InputError) as caught:
        split_msa(tmp_path / "missing.a3m")
    assert "server:URL" in caught.value.hint


@pytest.mark.parametrize("nothing", [None, "none"])
def test_nothing_is_searched_unless_told(family, nothing) -> None:
    assert searches(family, msa=nothing, templates=nothing).key() == {}


def test_the_only_database_is_taken(family, databases, chosen) -> None:
    databases |= {"pdb": "structures", "uniref": "sequences"}
    searches(family, msa="mmseqs", threads=3)
    assert chosen == [("mmseqs", ["uniref"], 3)]


def test_several_databases_must_be_chosen_from(family, databases, chosen) -> None:
    databases |= {"uniref": "sequences", "bfd": "sequences", "pdb": "structures"}
    with pytest.raises(DataError, match=r"several sequence databases: uniref, bfd\n") as caught:
        searches(family, msa="hmmer")
    assert "--db uniref" in caught.value.hint
    searches(family, msa="hmmer:phmmer", databases=("bfd", "uniref", "bfd"), threads=1)
    assert chosen == [("hmmer:phmmer", ["bfd", "uniref"], 1)]


def test_no_database_at_all(family, databases, chosen) -> None:
    databases |= {"pdb": "structures"}
    with pytest.raises(DataError, match="no sequence database") as caught:
        searches(family, msa="mmseqs")
    assert "itda db add" in caught.value.hint


def test_a_server_needs_no_database(family, databases, chosen) -> None:
    searches(family, msa="server:http://localhost:1", threads=1)
    assert chosen == [("server:http://localhost:1", [], 1)]


def test_all_cores_unless_told(family, databases, chosen, monkeypatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    searches(family, msa="server:http://localhost:1")
    assert chosen[0][2] == 3


@pytest.mark.parametrize("msa", [None, "none", "server:http://localhost:1"])
def test_database_without_a_search_in_it_is_refused(family, databases, msa) -> None:
    with pytest.raises(InputError, match="--db uniref"):
        searches(family, msa=msa, databases=("uniref",))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_template_date", "2021-09-30"),
        ("max_template_identity", 0.3),
        ("template_count", 2),
    ],
)
@pytest.mark.parametrize("templates", [None, "none"])
def test_limit_of_templates_that_are_not_searched_is_refused(
    family, option, value, templates
) -> None:
    with pytest.raises(InputError, match="no templates are searched") as caught:
        searches(family, templates=templates, **{option: value})
    assert option.replace("_", "-") in caught.value.problem


def test_limits_reach_the_search(family, databases, monkeypatch) -> None:
    databases |= {"pdb": "structures"}
    monkeypatch.setattr(search_options.DatabaseTemplates, "key", lambda self: self.limits.key())
    made = searches(
        family,
        templates="pdb",
        max_template_date="2021-09-30",
        max_template_identity=0.3,
        template_count=2,
    )
    limits = made.templates.limits
    assert (limits.max_date, limits.max_identity, limits.count) == (
        datetime.date(2021, 9, 30), 0.3, 2,
    )  # fmt: skip
    assert made.key() == {"templates": limits.key()}
    assert searches(family, templates="pdb").templates.limits == TemplateLimits()


def test_date_that_is_none_is_refused(family, databases) -> None:
    databases |= {"pdb": "structures"}
    with pytest.raises(InputError, match=r"30\.9\.2021: is no date"):
        searches(family, templates="pdb", max_template_date="30.9.2021")


def test_templates_need_structures(family, databases) -> None:
    databases |= {"uniref": "sequences", "pdb": "structures"}
    with pytest.raises(DataError, match="holds sequences, no structures") as caught:
        searches(family, templates="uniref")
    assert "pdb" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "missing"),
    [({"msa": "mmseqs"}, "msa"), ({"templates": "pdb"}, "template")],
)
def test_family_is_asked_before_any_database(family, databases, monkeypatch, options, missing):
    capabilities = vars(family.capabilities)
    narrow = type(family.capabilities)(
        **{**capabilities, "inputs": family.capabilities.inputs - {missing}}
    )
    monkeypatch.setattr(type(family), "capabilities", narrow)
    with pytest.raises(CapabilityError, match="mini takes no"):
        searches(family, **options)


def test_a_limit_of_dates_in_a_database_without_any_is_refused_before_any_work(
    family, databases, chosen
) -> None:
    databases |= {"old": "structures"}
    with pytest.raises(InputError, match="database old holds no release dates"):
        searches(family, templates="old", max_template_date="2021-09-30")
    assert searches(family, templates="old").templates is not None


def card_of(path, **config) -> None:
    card = {
        "version": 1,
        "family": "mini",
        "name": "own",
        "sha256": "0" * 64,
        "licence": "MIT",
        "config": config,
    }
    path.write_text(json.dumps(card))


def test_known_folds_are_the_default_where_family_and_weights_take_templates(
    monkeypatch, tmp_path
) -> None:
    mini, esmfold = get_family("mini"), get_family("esmfold")
    assert default_templates(mini, None) == "none"
    monkeypatch.delenv("ITDA_KNOWN_FOLDS")
    assert default_templates(mini, None) == "known-folds"
    assert default_templates(esmfold, None) == "none"
    own = tmp_path / "own.safetensors"
    # What is wrong with weights is said where they are loaded.
    assert default_templates(mini, own) == "known-folds"
    own.touch()
    card_of(card_path(own), template_channels=0)
    assert default_templates(mini, own) == "none"
    card_of(card_path(own), template_channels=8)
    assert default_templates(mini, str(own)) == "known-folds"
    card_path(own).write_text("{")
    assert default_templates(mini, own) == "known-folds"
