"""`itda fold` with a family that needs no weights."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_search import STEPS, FakeSource, FakeTemplates
from forgetful import Forgetful
from tests.patience import PATIENCE_SECONDS

from itda.cli.fold import default_folder
from itda.cli.main import run
from itda.engine.engine import Engine
from itda.engine.searches import Searches
from itda.inputs import expand
from itda.job.inputs import JOBS

FAKE = Path(__file__).parents[1] / "engine" / "fake_family.py"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def fasta(path: Path, *names: str) -> str:
    """Write a record for each name, each with a sequence of its own."""
    records = (f">{name}\nMKT{RESIDUES[place:]}\n" for place, name in enumerate(names))
    path.write_text("".join(records))
    return str(path)


@pytest.fixture
def one(family, tmp_path) -> str:
    return fasta(tmp_path / "one.fasta", "protein")


@pytest.fixture
def three(family, tmp_path) -> str:
    return fasta(tmp_path / "three.fasta", "a", "b", "c")


def events(text: str):
    return [json.loads(line) for line in text.splitlines()]


def names_in(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_one_record(one, capsys) -> None:
    assert run(["fold", one]) == 0
    captured = capsys.readouterr()
    assert names_in("one_itda") == {
        "protein.cif",
        "protein.confidence.json",
        "protein.pae.npz",
        "protein.html",
        "summary.json",
        "summary.tsv",
    }
    assert "1 of 1 done, in one_itda" in captured.out
    assert "[1/1] protein: pLDDT " in captured.err and "error" not in captured.err


def test_verdict_of_a_record_in_each_face(one, capsys, monkeypatch) -> None:
    assert run(["fold", one, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (finished,) = [line for line in lines if line["event"] == "job_finished"]
    (record,) = json.loads(Path("one_itda/summary.json").read_bytes())["records"]
    verdict = json.loads(Path("one_itda/protein.confidence.json").read_bytes())["verdict"]
    assert record["verdict"] == finished["verdict"]
    assert {key: verdict[key] for key in record["verdict"]} == record["verdict"]
    columns, row = (
        line.split("\t") for line in Path("one_itda/summary.tsv").read_text().splitlines()
    )
    assert dict(zip(columns, row, strict=True))["verdict"] == verdict["level"]
    monkeypatch.setenv("ITDA_LANG", "ko")
    assert run(["fold", one]) == 0
    assert "근거: 서열뿐입니다." in capsys.readouterr().err


def test_what_is_not_to_be_trusted_is_said_whatever_the_style(three, capsys, monkeypatch) -> None:
    monkeypatch.setattr("itda.results.verdict.whole.LOW_PLDDT", 101)
    monkeypatch.setattr("itda.results.verdict.whole.CONFIDENT_PLDDT", 101)
    assert run(["fold", three, "--progress", "none"]) == 0
    assert capsys.readouterr().err.count("DO NOT TRUST") == 3
    assert run(["fold", three]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("DO NOT TRUST") == 3
    assert "3 of 3 are not to be trusted: a, b, c" in captured.err


def test_out_and_samples_and_seed(one) -> None:
    assert run(["fold", one, "--out", "x/y", "--samples", "2", "--seed", "7"]) == 0
    assert {"protein_sample_0.cif", "protein_sample_1.cif", "protein.cif"} <= names_in("x/y")
    confidence = json.loads(Path("x/y/protein.confidence.json").read_bytes())
    assert {entry["seed"] for entry in confidence["ranking"]} == {7}


def test_standard_input(family, monkeypatch, tmp_path) -> None:
    fasta(tmp_path / "input", "piped")
    with (tmp_path / "input").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run(["fold", "-"]) == 0
    assert "piped.cif" in names_in("stdin_itda")


def test_job_file(family, tmp_path) -> None:
    (tmp_path / "job.yaml").write_text(
        "version: 1\nname: two seeds\nseeds: [3, 4]\n"
        "entities:\n  - protein: {id: X, sequence: MKTAYIAKQR}\n"
    )
    assert run(["fold", "job.yaml"]) == 0
    confidence = json.loads(Path("job_itda/two_seeds.confidence.json").read_bytes())
    assert {entry["seed"] for entry in confidence["ranking"]} == {3, 4}
    assert set(confidence["tokens"]["chain_id"]) == {"X"}


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("-", "stdin_itda"),
        ("a/b.fa.gz", "b_itda"),
        ("x.y.fasta", "x.y_itda"),
        ("plain", "plain_itda"),
    ],
)
def test_default_folder(source, folder) -> None:
    assert default_folder(expand([source], JOBS)) == Path(folder)


def test_some_done_is_2_and_the_bad_one_is_named(family, tmp_path, capsys) -> None:
    fasta(tmp_path / "x.fa", "good", "crash_it", "fine")
    with (tmp_path / "x.fa").open("a") as file:
        file.write(">letters\nMKTB\n>pair\nMKT:MKV\n")
    assert run(["fold", "x.fa"]) == 2
    shown = capsys.readouterr().err
    assert "record 4 'letters' (line 7): B at position 4" in shown
    assert "job 'pair' cannot be folded by mini" in shown
    assert "error: crash_it: unexpected ZeroDivisionError" in shown
    assert "[5/5]" not in shown and "[3/5] fine: pLDDT" in shown
    assert "Traceback" in Path("x_itda/itda.log").read_text() and "x_itda/itda.log" in shown
    records = json.loads(Path("x_itda/summary.json").read_bytes())["records"]
    assert [(record["name"], record["status"]) for record in records] == [
        ("good", "done"),
        ("crash_it", "failed"),
        ("fine", "done"),
        ("letters", "refused"),
        ("pair", "refused"),
    ]


def test_none_done_is_1(family, tmp_path) -> None:
    fasta(tmp_path / "x.fa", "crash")
    assert run(["fold", "x.fa"]) == 1
    assert json.loads(Path("x_itda/summary.json").read_bytes())["counts"]["done"] == 0


def test_all_refused_loads_nothing(family, tmp_path) -> None:
    (tmp_path / "x.fa").write_text(">a\nMKTB\n>b\nMKT:MKV\n")
    assert run(["fold", "x.fa"]) == 1
    assert family.models == []


def test_second_run_is_found_again_and_identical(three, family, capsys) -> None:
    assert run(["fold", three]) == 0
    before = {path.name: path.read_bytes() for path in Path("three_itda").iterdir()}
    assert run(["fold", three]) == 0
    after = {path.name: path.read_bytes() for path in Path("three_itda").iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"summary.json", "summary.tsv"} and set(before) == set(after)
    assert family.folded == ["a", "b", "c"]
    assert capsys.readouterr().err.count("found again") == 3


def test_cache_option_says_where_work_is_kept(one, family, tmp_path) -> None:
    for _ in range(2):
        assert run(["fold", one, "--cache", "kept"]) == 0
    assert family.folded == ["protein"]
    assert (tmp_path / "kept").is_dir() and not (tmp_path / "cache").exists()


def test_other_settings_need_overwrite(one, capsys) -> None:
    assert run(["fold", one]) == 0
    before = Path("one_itda/protein.cif").read_bytes()
    assert run(["fold", one, "--seed", "2"]) == 1
    assert "another run: protein" in capsys.readouterr().err
    assert Path("one_itda/protein.cif").read_bytes() == before
    assert run(["fold", one, "--seed", "2", "--overwrite"]) == 0
    assert Path("one_itda/protein.cif").read_bytes() != before


def test_json_lines_tell_the_whole_story(three, capsys) -> None:
    assert run(["fold", three, "--json"]) == 0
    told = events(capsys.readouterr().out)
    assert [event["job"] for event in told if event["event"] == "job_finished"] == ["a", "b", "c"]
    finished = next(event for event in told if event["event"] == "job_finished")
    assert all(Path(path).is_file() for path in finished["files"])
    assert told[-1] == {
        "event": "run_finished",
        "status": "finished",
        "exit_status": 0,
        "done": 3,
        "total": 3,
        "folder": "three_itda",
    }
    assert {event["event"] for event in told} == {
        "job_started",
        "stage_started",
        "stage_progress",
        "stage_finished",
        "job_finished",
        "run_finished",
    }


def test_json_lines_have_failures_and_their_hints(family, tmp_path, capsys) -> None:
    (tmp_path / "x.fa").write_text(">ok\nMKTAY\n>bad\nMKTB\n")
    assert run(["fold", "x.fa", "--json"]) == 2
    told = events(capsys.readouterr().out)
    (failed,) = [event for event in told if event["event"] == "job_failed"]
    assert failed["job"] == "bad" and failed["refused"]
    assert failed["error"]["kind"] == "InputError" and "D or N" in failed["error"]["hint"]
    assert told[-1]["exit_status"] == 2


def test_json_lines_end_with_what_stopped_the_run(one, tmp_path, capsys) -> None:
    (tmp_path / "weights").write_bytes(b"bad")
    assert run(["fold", one, "--json", "--weights", "weights"]) == 1
    told = events(capsys.readouterr().out)
    assert told[-1]["event"] == "run_failed" and told[-1]["error"]["kind"] == "WeightsError"


def test_unknown_model_is_refused(one, capsys) -> None:
    assert run(["fold", one, "--model", "maxi"]) == 1
    assert "no model family 'maxi'" in capsys.readouterr().err
    assert not Path("one_itda").exists()


def test_alignment_belongs_to_the_one_record(one, three, family, tmp_path, capsys) -> None:
    (tmp_path / "x.a3m").write_text(f">q\nMKT{RESIDUES}\n>r\nMKW{RESIDUES}\n")
    assert run(["fold", one, "--msa", "x.a3m"]) == 0
    assert "[1/1] protein: alignment: 1 relative" in capsys.readouterr().err
    assert run(["fold", three, "--msa", "x.a3m"]) == 1
    assert "one file for 3 records (a, b, c)" in capsys.readouterr().err


def test_folder_of_alignments_refuses_the_records_without_one(
    three, family, tmp_path, capsys
) -> None:
    (tmp_path / "msas").mkdir()
    (tmp_path / "msas" / "b.a3m").write_text(f">q\nMKT{RESIDUES[1:]}\n")
    assert run(["fold", three, "--msa", "msas"]) == 2
    shown = capsys.readouterr().err
    assert "job 'a': msa msas: holds no file for it" in shown and "'c'" in shown
    assert family.folded == ["b"]
    records = json.loads(Path("three_itda/summary.json").read_bytes())["records"]
    assert [(record["position"], record["status"]) for record in records] == [
        (1, "refused"),
        (2, "done"),
        (3, "refused"),
    ]


def test_alignment_of_another_record_fails_it(one, family, tmp_path, capsys) -> None:
    (tmp_path / "x.a3m").write_text(">q\nMKT\n")
    assert run(["fold", one, "--msa", "x.a3m"]) == 1
    assert "x.a3m" in capsys.readouterr().err and family.folded == []


@pytest.fixture
def searched(monkeypatch) -> tuple[FakeSource, FakeTemplates]:
    """Fakes that `--msa mmseqs` and `--templates pdb` stand for."""
    from itda.engine import search_options

    source, finder = FakeSource(), FakeTemplates()

    def choose(options, family) -> Searches:
        return Searches(
            source if options.msa else None,
            finder if options.templates else None,
        )

    monkeypatch.setattr(search_options, "choose_searches", choose)
    return source, finder


def test_searches_come_before_the_fold_and_are_found_again(three, family, searched, capsys) -> None:
    source, finder = searched
    arguments = ["fold", three, "--msa", "mmseqs", "--templates", "pdb"]
    assert run(arguments) == 0
    shown = capsys.readouterr().err
    assert "[2/3] b: alignment: 4 relatives, " in shown
    assert "[2/3] b: templates: 1 template: 0abc_A (100%); refused: 2 released after" in shown
    before = Path("three_itda/b.confidence.json").read_bytes()
    assert json.loads(before)["provenance"]["inputs"]["alignment_source"] == "fake in one"
    settings = json.loads(Path("three_itda/summary.json").read_bytes())["settings"]
    assert settings["alignments"] == "fake in one"
    assert settings["templates"] == "fake templates in structures"
    assert run(arguments) == 0
    shown = capsys.readouterr().err
    assert "[2/3] b: alignment: 4 relatives, found again" in shown
    assert len(source.queries) == len(finder.alignments) == len(family.folded) == 3
    assert Path("three_itda/b.confidence.json").read_bytes() == before


def test_other_database_is_another_run(one, family, searched, capsys) -> None:
    source, _ = searched
    assert run(["fold", one, "--msa", "mmseqs"]) == 0
    source.database = "two"
    assert run(["fold", one, "--msa", "mmseqs"]) == 1
    assert "another run: protein" in capsys.readouterr().err
    assert run(["fold", one, "--msa", "mmseqs", "--overwrite"]) == 0
    assert len(source.queries) == 2


def test_search_and_its_result_are_told_as_json(one, searched, capsys) -> None:
    assert run(["fold", one, "--msa", "mmseqs", "--json"]) == 0
    told = [event for event in events(capsys.readouterr().out) if event.get("stage") == "alignment"]
    assert [event["event"] for event in told] == [
        "stage_started", *["stage_progress"] * STEPS, "stage_finished",
    ]  # fmt: skip
    assert told[2]["fraction"] == 0.25 and told[-1]["message"] == "4 relatives"


def test_sequences_that_leave_the_machine_are_announced(one, searched, capsys) -> None:
    assert run(["fold", one, "--msa", "server:http://localhost:1"]) == 0
    assert "warning: the sequences leave this machine" in capsys.readouterr().err
    assert run(["fold", one, "--msa", "mmseqs", "--overwrite"]) == 0
    assert "leave this machine" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--msa", "mmseq"], "did you mean mmseqs"),
        (["--db", "x"], "--db x: --msa none searches no database"),
        (["--template-count", "2"], "no templates are searched"),
        (["--templates", "nowhere"], "nowhere"),
        (["--max-template-identity", "30"], "--max-template-identity"),
    ],
)
def test_searches_that_cannot_be_are_refused_before_any_work(
    one, family, monkeypatch, tmp_path, capsys, arguments, said
) -> None:
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
    assert run(["fold", one, *arguments]) == 1
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown and "unexpected" not in shown
    assert family.models == [] and not Path("one_itda").exists()


def test_warnings_of_reading_are_shown(family, tmp_path, capsys) -> None:
    (tmp_path / "x.fa").write_text(">low\nmktay\n")
    assert run(["fold", "x.fa"]) == 0
    assert "warning: record 1 'low' (line 1): lower case" in capsys.readouterr().err


def test_ambiguous_letters_can_be_read_as_unknown(family, tmp_path) -> None:
    (tmp_path / "x.fa").write_text(">b\nMKTBAY\n")
    assert run(["fold", "x.fa", "--ambiguous", "x"]) == 0
    names = json.loads(Path("x_itda/b.confidence.json").read_bytes())["tokens"]["name"]
    assert names[3] == "UNK"


def start(tmp_path: Path, *arguments: str, slow: float = 0.0) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "ITDA_CACHE": str(tmp_path / "cache"),
        "FAKE_SLOW_SECONDS": str(slow),
    }
    return subprocess.Popen(
        [sys.executable, FAKE, "fold", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle_saves_what_is_done(tmp_path, sent, status) -> None:
    fasta(tmp_path / "x.fa", "first", "slow", "never")
    process = start(tmp_path, "x.fa", slow=10.0)
    for line in process.stderr:
        if "first: pLDDT" in line:
            break
    process.send_signal(sent)
    _, shown = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == status
    assert "stopped: 1 of 3 done and saved in x_itda" in shown and "Traceback" not in shown
    summary = json.loads((tmp_path / "x_itda" / "summary.json").read_bytes())
    assert summary["status"] == "interrupted"
    assert [record["status"] for record in summary["records"]] == ["done", "waiting", "waiting"]
    again = start(tmp_path, "x.fa")
    _, shown = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0
    assert "[1/3] first: pLDDT" in shown and shown.count("found again") == 1


def test_bar_on_a_terminal(tmp_path) -> None:
    pty = pytest.importorskip("pty")
    fasta(tmp_path / "x.fa", "slow_one", "crash_two")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, FAKE, "fold", "x.fa"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ITDA_CACHE": str(tmp_path / "cache"),
            "TERM": "xterm",
            "COLUMNS": "100",
        },
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    text = shown.decode()
    assert process.returncode == 2 and b"1 of 2 done" in output
    assert "[1/2] slow_one" in text and "pass 2 of 4" in text and "%" in text
    assert "ZeroDivisionError" in text and "Traceback" not in text


def test_weights_of_another_family_are_refused_by_name(family, tmp_path, capsys) -> None:
    one = fasta(tmp_path / "x.fa", "good")
    assert run(["fold", one, "--weights", "esmfold_v1"]) == 1
    shown = capsys.readouterr().err
    assert "weights of the family esmfold, not mini" in shown and "--model esmfold" in shown
    assert family.models == []
    assert run(["fold", one, "--weights", "mini"]) == 0


@pytest.mark.parametrize("how", ["by the run", "by whoever reads its events"])
def test_a_record_that_is_lost_is_named_and_ends_the_run_with_1(
    family, tmp_path, capsys, monkeypatch, how
) -> None:
    if how == "by the run":
        monkeypatch.setattr("itda.engine.run.Ledger", Forgetful)
    else:
        real = Engine.run_plan
        monkeypatch.setattr(
            Engine, "run_plan", lambda *given: (e for e in real(*given) if e.job != "twin")
        )
    Path("in.fasta").write_text(">one\nMKTAYIAKQR\n>twin\nMKTAYIAKQR\n>other\nMKTWYV\n")
    assert run(["fold", "in.fasta", "--json"]) == 1
    captured = capsys.readouterr()
    assert "'twin' was lost" in captured.err and "a fault of Itda" in captured.err
    end = events(captured.out)[-1]
    assert (end["status"], end["exit_status"], end["done"]) == ("lost", 1, 2)
    summary = json.loads(Path("in_itda/summary.json").read_bytes())
    assert summary["status"] == "lost"
    assert summary["counts"] == {"done": 2, "failed": 0, "refused": 0, "waiting": 0, "lost": 1}
    assert {r["name"]: r["status"] for r in summary["records"]}["twin"] == "lost"
    assert "\ttwin\tlost\t" in Path("in_itda/summary.tsv").read_text()
    assert "'twin' was lost" in Path("in_itda/itda.log").read_text()


def test_records_of_equal_sequences_are_all_done(family, tmp_path) -> None:
    Path("in.fasta").write_text("".join(f">r{n}\nMKTAYIAKQR\n" for n in range(30)))
    assert run(["fold", "in.fasta"]) == 0
    rows = Path("in_itda/summary.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[1:3] for row in rows] == [[f"r{n}", "done"] for n in range(30)]
    for number in range(30):
        confidence = json.loads(Path(f"in_itda/r{number}.confidence.json").read_bytes())
        assert confidence["name"] == f"r{number}"
