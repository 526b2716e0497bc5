"""What `itda plan` admits, `itda fold` with the same options admits, and the other way round."""

import json
from importlib import resources
from pathlib import Path

import pytest

from itda.cli.main import run
from itda.models.demand import Demand
from itda.search.databases.registry import Databases
from itda.search.databases.structures import FolderStructures

EXAMPLES = Path(str(resources.files("itda").joinpath("data/examples")))
SHORT = "MKTAYIAKQRQISFVKSHFSRQ"
LONG = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
TEMPLATE_BYTES = 10**8


@pytest.fixture
def place(family, monkeypatch, tmp_path) -> Path:
    """An empty folder, a database of structures, and a family that asks for much with templates."""
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        family,
        "demand",
        lambda load: Demand(
            weights_bytes=0,
            live_bytes=load.longest * 10**6 + load.templates * TEMPLATE_BYTES,
            work={"products": 1.0},
            batches=False,
        ),
    )
    Databases().add_structures("known", FolderStructures(EXAMPLES), mmseqs=False)
    Path("x.fa").write_text(f">short\n{SHORT}\n>long\n{LONG}\n>bad\nMK1\n")
    Path("alignments").mkdir()
    Path("alignments/short.a3m").write_text(f">query\n{SHORT}\n")
    return tmp_path


def planned(capsys, *options: str) -> tuple[int, dict[str, dict]]:
    status = run(["plan", "x.fa", "--json", *options])
    return status, {job["name"]: job for job in json.loads(capsys.readouterr().out)["jobs"]}


def folded(capsys, *options: str) -> tuple[int, dict[str, dict]]:
    status = run(["fold", "x.fa", "--progress", "none", "--out", "out", *options])
    capsys.readouterr()
    records = json.loads(Path("out/summary.json").read_bytes())["records"]
    return status, {record["name"]: record for record in records}


def needed(capsys, *options: str) -> int:
    return planned(capsys, *options)[1]["long"]["bytes"]


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ((), {"bad"}),
        (("--templates", "known"), {"short", "long", "bad"}),
        (("--templates", "known", "--template-count", "1"), {"bad"}),
        (("--msa", "alignments"), {"long", "bad"}),
        (("--msa", "alignments", "--templates", "none", "--seed", "3"), {"long", "bad"}),
    ],
)
def test_the_same_records_are_refused_for_the_same_reason(place, capsys, options, refused) -> None:
    two = needed(capsys, "--templates", "known", "--template-count", "2")
    options = (*options, "--memory", str(two))
    status, plan = planned(capsys, *options)
    assert {name for name, job in plan.items() if job["verdict"] == "refused"} == refused
    fold_status, fold = folded(capsys, *options)
    assert {name for name, job in fold.items() if job["status"] == "refused"} == refused
    assert {job["status"] for name, job in fold.items() if name not in refused} <= {"done"}
    assert fold_status == status
    for name in refused:
        assert fold[name]["error"]["problem"] == plan[name]["problem"]
        assert fold[name]["error"].get("hint", "") == (plan[name]["hint"] or "")


def test_the_count_of_templates_is_what_counts(place, capsys) -> None:
    without, *with_templates = (
        needed(capsys, *options)
        for options in (
            (),
            ("--templates", "known"),
            ("--templates", "known", "--template-count", "4"),
            ("--templates", "known", "--template-count", "8"),
        )
    )
    four, also_four, eight = (count - without for count in with_templates)
    assert four == also_four > 0
    assert eight == pytest.approx(2 * four)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--msa", "mmseqs", "--db", "nowhere"), "nowhere"),
        (("--templates", "nowhere"), "nowhere"),
        (("--msa", "no/such/file.a3m"), "no such file"),
        (("--max-template-identity", "0.3"), "no templates are searched"),
        (("--db", "known"), "--db"),
        (("--profile", "no/such/folder"), "no such file"),
        (("--templates", "known", "--max-template-date", "tomorrow"), "is no date"),
    ],
)
def test_what_no_run_could_search_is_refused_alike(place, capsys, options, said) -> None:
    problems = []
    for command in ("plan", "fold"):
        assert run([command, "x.fa", *options]) == 1
        problems.append(capsys.readouterr().err)
    assert said in problems[0] and problems[0] == problems[1]
    assert not Path("x_itda").exists()
