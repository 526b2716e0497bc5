from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from itda.cli.plan import plan
from itda.errors import CapabilityError
from itda.parity.flashabb import HEAVY, LIGHT
from itda.search.databases.known_folds import FILE_VARIABLE, has_known_folds

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ITDA_WEIGHTS", str(tmp_path / "weights"))
    app = typer.Typer()
    app.command()(plan)

    def invoke(records: dict[str, str], *options: str):
        path = tmp_path / "proteins.fasta"
        path.write_text("".join(f">{name}\n{letters}\n" for name, letters in records.items()))
        return CliRunner().invoke(app, [str(path), "--device", "cpu", *options])

    return invoke


def jobs_of(done) -> dict[str, dict]:
    return {job["name"]: job for job in json.loads(done.stdout)["jobs"]}


def test_every_job_has_a_line_and_the_last_say_what_is_there(run):
    done = run({"ubq": UBIQUITIN, "twice": 2 * UBIQUITIN}, "--templates", "none")
    assert done.exit_code == 0
    first, second, *last = done.stdout.splitlines()
    assert first.split()[:3] == ["ubq", "76", "residues"] and first.endswith("runs")
    assert second.split()[:3] == ["twice", "152", "residues"]
    assert "MB" in first and " s " in first
    assert last[0].startswith("2 of 2 fit") and "this machine has free" in last[0]
    assert last[1].startswith("constants:") and "itda bench calibrate" in last[1]


@pytest.mark.skipif(not has_known_folds(), reason="the known folds are not packed here")
def test_sets_of_templates_are_counted_as_folds_and_told(run, monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    searched = ["--templates", "known-folds"]

    def told(*options: str):
        return jobs_of(run({"ubq": UBIQUITIN}, "--json", *searched, *options))["ubq"]

    quick, normal = told("--effort", "quick"), told()
    assert (quick["samples"], quick["template_sets"]) == (1, 1)
    assert (normal["samples"], normal["template_sets"]) == (5, 5)
    assert normal["seconds"] > 2 * quick["seconds"] and normal["bytes"] >= quick["bytes"]
    assert told("--effort", "thorough")["template_sets"] == 10
    assert told("--samples", "3")["template_sets"] == 3
    assert jobs_of(run({"ubq": UBIQUITIN}, "--json", "--templates", "none"))["ubq"]["samples"] == 1
    (line, *_) = run({"ubq": UBIQUITIN}, *searched).stdout.splitlines()
    assert line.endswith("runs, up to 5 sets of templates")


def test_effort_that_would_change_nothing_is_refused(run):
    pair = {"fv": f"{HEAVY}:{LIGHT}"}
    done = run(pair, "--model", "flashabb", "--effort", "thorough")
    assert isinstance(done.exception, CapabilityError)
    assert "flashabb chooses among no sets of templates" in str(done.exception)
    assert run(pair, "--model", "flashabb", "--effort", "normal").exit_code == 0


def test_a_larger_job_needs_more_and_takes_longer(run):
    jobs = jobs_of(run({"small": UBIQUITIN, "large": 6 * UBIQUITIN}, "--json"))
    assert jobs["large"]["bytes"] > jobs["small"]["bytes"]
    assert jobs["large"]["seconds"] > 3 * jobs["small"]["seconds"]


def test_what_does_not_fit_is_refused_with_the_largest_that_does(run):
    records = {"small": UBIQUITIN, "large": 13 * UBIQUITIN}
    needed = jobs_of(run(records, "--json"))["small"]["bytes"]
    done = run(records, "--memory", f"{needed + 2 * 10**7}", "--json")
    assert done.exit_code == 2
    jobs = jobs_of(done)
    assert jobs["small"]["verdict"] == "runs"
    assert jobs["large"]["verdict"] == "refused"
    assert (
        "--memory allows" in jobs["large"]["problem"] and "residues fit" in jobs["large"]["problem"]
    )
    assert jobs["large"]["bytes"] > needed
    shown = run(records, "--memory", f"{needed + 2 * 10**7}")
    assert "refused: 988 residues need" in shown.stdout
    assert "hint: " in shown.stderr and "raise --memory" in shown.stderr
    # What is told to raise it to is enough.
    amount = jobs["large"]["hint"].split("raise --memory to ")[1].split(";")[0]
    assert run(records, "--memory", amount).exit_code == 0


def test_nothing_that_fits_is_status_1(run):
    done = run({"ubq": UBIQUITIN}, "--memory", "1M")
    assert done.exit_code == 1
    assert "0 of 1 fit" in done.stdout


def test_records_that_no_fold_would_take_keep_their_place_and_reason(run):
    records = {"short": "MK", "bad": "MKT4AYIAKQR", "good": UBIQUITIN}
    done = run(records, "--json")
    assert done.exit_code == 2
    document = json.loads(done.stdout)
    assert [job["name"] for job in document["jobs"]] == ["short", "bad", "good"]
    assert [job["verdict"] for job in document["jobs"]] == ["refused", "refused", "runs"]
    assert "10 residues or more" in document["jobs"][0]["problem"]
    assert "digit" in document["jobs"][1]["problem"]
    assert document["total"]["jobs"] == 3 and document["total"]["fit"] == 1
    assert document["total"]["seconds"] > document["jobs"][2]["seconds"]


def test_samples_and_recycles_take_longer(run):
    once = jobs_of(run({"ubq": UBIQUITIN}, "--json"))["ubq"]["seconds"]
    for more in (("--samples", "5"), ("--recycles", "5")):
        assert jobs_of(run({"ubq": UBIQUITIN}, "--json", *more))["ubq"]["seconds"] > 1.1 * once


def test_other_families_are_planned_without_their_weights(run):
    document = json.loads(run({"ubq": UBIQUITIN}, "--model", "esmfold", "--json").stdout)
    assert document["model"] == "esmfold"
    # Weights alone are 2.8 GB.
    assert document["jobs"][0]["bytes"] > 3e9
    assert document["constants"]["origin"] in ("measured elsewhere", "derived")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--memory", "lots"), "not an amount of memory"),
        (("--device", "cuda:7"), "no such device"),
        (("--model", "nobody"), "no model family"),
        (("--model", "esmfold", "--templates", "known"), "esmfold takes no template"),
        (("--model", "flashabb", "--msa", "mmseqs"), "flashabb takes no alignment"),
    ],
)
def test_what_cannot_be_planned_is_an_error_of_the_users(tmp_path, options, said):
    path = tmp_path / "one.fasta"
    path.write_text(f">ubq\n{UBIQUITIN}\n")
    done = subprocess.run(
        [sys.executable, "-m", "itda", "plan", str(path), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_fab_is_cut_to_its_variable_domains(run) -> None:
    constant = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSS"
    records = {"fab": f"{HEAVY}{constant}:{LIGHT}"}
    whole = run(records, "--model", "flashabb", "--device", "cpu")
    assert whole.exit_code == 1
    assert "--trim cuts chain A to residues 1 to 121" in whole.output
    cut = run(records, "--model", "flashabb", "--device", "cpu", "--trim")
    assert cut.exit_code == 0
    assert "233 residues" in cut.output
    assert "chain A is the heavy variable domain, residues 1 to 121 of the 196" in cut.output
