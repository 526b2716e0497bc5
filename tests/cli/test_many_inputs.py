"""`itda fold` and `itda plan` of several files, folders and patterns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from itda.cli.main import run

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def write(path: str, *names: str) -> str:
    """Write a record for each name, each with a sequence of its own."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(f">{name}\nMKT{RESIDUES}{_letters(name)}\n" for name in names))
    return path


def _letters(name: str) -> str:
    return "".join(RESIDUES[letter % 20] for letter in name.encode())


def records(folder: str = "results_itda") -> list[tuple[str, str, str]]:
    summary = json.loads(Path(folder, "summary.json").read_bytes())
    assert [one["position"] for one in summary["records"]] == list(
        range(1, len(summary["records"]) + 1)
    )
    return [(one["name"], one["source"], one["status"]) for one in summary["records"]]


@pytest.fixture(autouse=True)
def _fake(family) -> None:
    pass


def test_several_files_are_one_run(capsys) -> None:
    write("b.fasta", "b1", "b2")
    write("a.fasta", "a1")
    assert run(["fold", "b.fasta", "a.fasta"]) == 0
    captured = capsys.readouterr()
    assert "3 of 3 done, in results_itda" in captured.out
    assert records() == [
        ("b1", "b.fasta", "done"),
        ("b2", "b.fasta", "done"),
        ("a1", "a.fasta", "done"),
    ]
    table = Path("results_itda/summary.tsv").read_text().splitlines()
    assert table[0].endswith("\tsource") and table[3].endswith("\ta.fasta")


def test_a_folder_and_a_pattern(capsys) -> None:
    write("seqs/p2.fasta", "p2")
    write("seqs/p10.fa", "p10")
    Path("seqs/notes.docx").write_text("x")
    assert run(["fold", "seqs"]) == 0
    assert "warning: seqs: 2 files taken; left out: notes.docx" in capsys.readouterr().err
    assert [name for name, _, _ in records("seqs_itda")] == ["p2", "p10"]
    assert run(["fold", "seqs/*.f*a*", "--out", "again"]) == 0
    assert records("again")[0] == ("p2", "seqs/p2.fasta", "done")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "bad.fasta is empty"),
        (b"\x00\x01\x02" * 50, "bad.fasta is binary"),
        (b"\x1f\x8b\x08broken", "cut off or damaged"),
        (b"ATOM      1  N   MET A   1", "is a structure"),
        (None, "there is no file 'bad.fasta'"),
    ],
)
def test_a_bad_file_leaves_the_others_alone(bad, said, capsys) -> None:
    write("a.fasta", "a1")
    write("z.fasta", "z1")
    if bad is not None:
        Path("bad.fasta").write_bytes(bad)
    assert run(["fold", "a.fasta", "bad.fasta", "z.fasta"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and "2 of 3 done" in captured.out
    assert records() == [
        ("a1", "a.fasta", "done"),
        ("bad.fasta", "bad.fasta", "refused"),
        ("z1", "z.fasta", "done"),
    ]


def test_of_a_file_that_breaks_off_nothing_is_folded_and_no_name_is_taken(capsys) -> None:
    import gzip

    whole = "".join(f">r{i}\nMKT{RESIDUES}{_letters(str(i))}\n" for i in range(9000)).encode()
    Path("cut.fasta.gz").write_bytes(gzip.compress(whole)[:-2000])
    write("b.fasta", "r1", "r2")
    assert run(["fold", "cut.fasta.gz", "b.fasta"]) == 2
    assert "cut off or damaged" in capsys.readouterr().err
    assert records() == [
        ("cut.fasta.gz", "cut.fasta.gz", "refused"),
        ("r1", "b.fasta", "done"),
        ("r2", "b.fasta", "done"),
    ]


def test_a_name_belongs_to_the_first_file_that_has_it(capsys) -> None:
    write("a.fasta", "x", "same")
    write("b.fasta", "y", "same")
    write("c.fasta", "SAME", "z")
    Path("d.fasta").write_text(f">bad\nMKT1\n>w\nMKTW{RESIDUES}\n")
    write("e.fasta", "bad")
    assert run(["fold", *"abcde"]) == 1  # without their endings there is no such file
    capsys.readouterr()
    assert run(["fold", *(f"{letter}.fasta" for letter in "abcde")]) == 2
    shown = capsys.readouterr().err
    assert "b.fasta, record 2 'same': the name was taken by record 2 of a.fasta" in shown
    assert "c.fasta, record 1 'SAME': the files of this name and of 'same' (record 2 of a" in shown
    assert "e.fasta, record 1 'bad': the name was taken by record 1 of d.fasta" in shown
    assert [name for name, _, status in records() if status == "done"] == [
        "x",
        "same",
        "y",
        "z",
        "w",
    ]


def test_records_without_a_name_are_called_after_their_file() -> None:
    Path("plate.fasta").write_text(f">\nMKT{RESIDUES}\n>\nMKT{RESIDUES}A\n")
    Path("tube.fasta").write_text(f">\nMKT{RESIDUES}W\n")
    assert run(["fold", "plate.fasta", "tube.fasta"]) == 0
    assert [name for name, _, _ in records()] == ["plate_1", "plate_2", "tube_1"]


def test_paths_in_a_job_start_at_its_own_file() -> None:
    for folder in ("one", "two"):
        write(f"{folder}/x.fasta", folder)
        sequence = "MKT" + RESIDUES
        Path(folder, "rows.a3m").write_text(f">q\n{sequence}\n>r\nMRT{RESIDUES}\n")
        Path(folder, "job.yaml").write_text(
            f"version: 1\nname: job_{folder}\nentities:\n"
            f"  - protein: {{id: A, sequence: {sequence}, msa: rows.a3m}}\n"
        )
    assert run(["fold", "one/job.yaml", "two/job.yaml"]) == 0


def test_an_alignment_in_a_folder_goes_with_its_sequences_or_says_what_it_is(capsys) -> None:
    write("seqs/a.fasta", "a")
    sequence = f"MKT{RESIDUES}"
    rows = f">q\n{{}}\n>r\n{sequence.replace('K', 'R')}\n"
    Path("seqs/a.a3m").write_text(rows.format(sequence + _letters("a")).replace("RESIDUES", ""))
    Path("seqs/alone.a3m").write_text(rows.format(sequence))
    assert run(["fold", "seqs", "--out", "x"]) in (0, 2)
    shown = capsys.readouterr().err
    assert [name for name, _, _ in records("x")] == ["a", "alone"]
    assert "a.a3m (an alignment that belongs to the file of its name)" in shown
    assert "alone.a3m is an alignment of 2 rows" in shown


def test_a_file_that_a_job_names_is_no_job_by_itself(capsys) -> None:
    sequence = f"MKT{RESIDUES}"
    rows = f">q\n{sequence}\n>r\nMRT{RESIDUES}\n"
    write("in/two.fasta", "other")
    with Path("in/two.fasta").open("a") as file:
        file.write(f">mine\n{sequence}\n")
    for name in ("rows.a3m", "aligned.fasta", "mine.a3m"):
        Path("in", name).write_text(rows)
    entity = "  - protein: {{sequence: {}, msa: {}}}\n"
    Path("in/job.yaml").write_text(
        "version: 1\nname: job\nentities:\n"
        + entity.format(sequence, "rows.a3m")
        + entity.format(sequence, "aligned.fasta")
    )
    run(["fold", "in", "--out", "x"])
    shown = capsys.readouterr().err
    assert [name for name, _, _ in records("x")] == ["job", "other", "mine"]
    for said in ("rows.a3m", "aligned.fasta"):
        assert f"in/{said} is not read by itself: a job of in/job.yaml names it" in shown
    assert "in/mine.a3m is not read by itself: a job of in/two.fasta names it" in shown


def test_files_that_only_look_like_jobs_are_left_out_of_a_folder(capsys) -> None:
    write("in/a.fasta", "a")
    assert run(["fold", "in/a.fasta", "--out", "in"]) == 0  # summary.json, a.confidence.json
    Path("in/environment.yml").write_text("name: lab\ndependencies: [numpy]\n")
    Path("in/README.txt").write_text("what this is\n")
    Path("in/more.txt").write_text(f">more\nMKT{RESIDUES}WW\n")
    Path("in/slip.yaml").write_text("version: 1\nname: slip\nentity: []\n")
    Path("in/af3.json").write_text('{"name": "b", "sequences": [], "modelSeeds": [1]}')
    capsys.readouterr()
    assert run(["fold", "in", "--out", "out"]) == 2
    shown = capsys.readouterr().err
    assert "a.confidence.json, environment.yml, summary.json (no job)" in shown
    assert "README.txt, summary.tsv (no sequences)" in shown
    assert "entity" in shown and "AlphaFold 3" in shown
    assert [(name, status) for name, _, status in records("out")] == [
        ("a", "done"),
        ("b", "refused"),
        ("more", "done"),
        ("slip", "refused"),
    ]


def test_nothing_that_can_be_read_makes_no_folder(capsys) -> None:
    Path("empty").mkdir()
    assert run(["fold", "gone.fasta", "*.fa", "empty"]) == 1
    shown = capsys.readouterr().err
    assert "none of 3 inputs can be read" in shown
    for said in ("no file 'gone.fasta'", "no file matches *.fa", "the folder empty holds no"):
        assert said in shown
    assert not Path("results_itda").exists()


def test_standard_input_beside_files(monkeypatch) -> None:
    write("piped", "piped")
    write("a.fasta", "a")
    with Path("piped").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run(["fold", "a.fasta", "-"]) == 0
    assert records()[1] == ("piped", "standard input", "done")


def test_programs_are_told_the_file_of_each_record(capsys) -> None:
    write("a.fasta", "a", "crash")
    Path("b.fasta").write_text(f">b\nMKT1\n>c\nMKT{RESIDUES}\n")
    assert run(["fold", "a.fasta", "b.fasta", "--json"]) == 2
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {(one["event"], one["job"]): one["source"] for one in told if "source" in one}
    assert found["job_started", "a"] == found["job_finished", "a"] == "a.fasta"
    assert found["job_failed", "crash"] == "a.fasta"
    assert found["job_finished", "c"] == "b.fasta"
    assert found["job_failed", "b"] == "b.fasta"


def test_plan_reads_the_same(capsys) -> None:
    write("seqs/a.fasta", "a")
    write("seqs/b.fasta", "b", "a")
    Path("seqs/c.fasta").touch()
    Path("seqs/x.pdb").touch()
    assert run(["plan", "seqs", "--json"]) == 2
    captured = capsys.readouterr()
    jobs = json.loads(captured.out)["jobs"]
    assert [(job["name"], job["source"], job["verdict"] == "refused") for job in jobs] == [
        ("a", "seqs/a.fasta", False),
        ("b", "seqs/b.fasta", False),
        ("a", "seqs/b.fasta", True),
        ("seqs/c.fasta", "seqs/c.fasta", True),
    ]
    assert "left out: x.pdb" in captured.err
    assert run(["plan", "seqs/*.fasta"]) == 2
    assert "2 of 4 fit" in capsys.readouterr().out
