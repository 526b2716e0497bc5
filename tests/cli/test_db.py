import gzip
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from tests.packages import metastudent_files, write_package

from itda.cli import main
from itda.search.databases.registry import Databases

EXAMPLES = resources.files("itda").joinpath("data/examples")
FASTA = ">one\nMKVLAAGIVGA\n>two words\nmkvl-aag*\n>one\nMKV\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `itda db`; gives status, standard output and standard error."""
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
    monkeypatch.setitem(main.COMMANDS, "db", "itda.cli.db:app")

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main.run(["db", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "mine.fasta"
    path.write_text(FASTA)
    return path


def test_add_list_check_remove(db: Run, fasta: Path, tmp_path: Path) -> None:
    status, out, _ = db("list")
    assert (status, out.splitlines()[0]) == (0, f"no databases in {tmp_path / 'databases'}")
    status, out, _ = db("add", "mine", fasta, "--no-mmseqs", "--shards", 2)
    assert status == 0
    digest = Databases(tmp_path / "databases").get("mine").digest
    assert "mine: 3 sequences, 21 residues in 2 parts" in out
    assert f"digest: {digest}" in out
    assert "rid of gaps or stops: 1 sequence\n" in out
    assert "repeated names: 1 record, such as one; all are kept" in out
    status, out, _ = db("list")
    assert status == 0
    assert out.splitlines()[1].split()[:6] == ["mine", "sequences", "3", "21", "2", out.split()[13]]
    status, out, _ = db("check")
    assert status == 0
    assert "whole: every file, record and digest" in out
    status, out, _ = db("remove", "mine")
    assert (status, out.split(",")[0]) == (0, "mine removed")
    assert "no databases" in db("list")[1]


def test_structures(db: Run) -> None:
    status, out, err = db("add-structures", "pdb", EXAMPLES, "--no-mmseqs")
    assert status == 0, err
    assert "pdb: 1 chain, 76 residues in 1 part" in out
    assert "release dates: 1 known, 1987-04-16 to 1987-04-16" in out
    status, _, err = db(
        "add-structures", "old", EXAMPLES, "--no-mmseqs", "--max-date", "1980-01-01"
    )
    assert status == 1
    assert "no chain was accepted" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add-structures", "x", "promod3", "--max-date", "2021-09-30"), "no release dates"),
        (("add-structures", "x", "promod3", "--max-resolution", "2"), "has no meaning for promod3"),
        (("add-structures", "x", EXAMPLES, "--any-count"), "has no meaning for a folder"),
        (("add-structures", "x", EXAMPLES, "--max-date", "soon"), "'soon' is no date"),
        (("add-structures", "x", "nowhere"), "nowhere is not a folder"),
        (("add-structures", "a/b", EXAMPLES), "'a/b' cannot be the name"),
        (("add", "x", "nowhere.fasta"), "nowhere.fasta: cannot be read"),
        (("check", "x"), "there is no database x"),
        (("remove", "x"), "there is no database x"),
        (("add", "x", "nowhere.fasta", "--shards", "2", "--shard-residues", "9"), "one of them"),
    ],
)
def test_refused_by_name(db: Run, tmp_path: Path, arguments: tuple[object, ...], said: str) -> None:
    if arguments[0] != "check" and arguments[0] != "remove":
        arguments = (*arguments, "--no-mmseqs")
    status, _, err = db(*arguments)
    assert status == 1
    assert said in err
    assert "Traceback" not in err
    assert "no databases" in db("list")[1]


def test_bad_record_and_truncated_file(db: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.fasta"
    path.write_text(">good\nMKV\n>bad\nM7V\n")
    status, _, err = db("add", "mine", path, "--no-mmseqs")
    assert status == 1
    assert f"{path} record 2 (bad): '7' at residue 2" in err
    status, out, _ = db("add", "mine", path, "--no-mmseqs", "--skip-bad")
    assert status == 0
    assert "left out: 1 (a character that is no residue)" in out
    assert str(tmp_path / "databases" / "mine" / "rejected.tsv") in out
    packed = tmp_path / "cut.fasta.gz"
    packed.write_bytes(gzip.compress(FASTA.encode())[:-9])
    status, _, err = db("add", "cut", packed, "--no-mmseqs")
    assert status == 1
    assert "cut.fasta.gz: ends in the middle" in err


def test_altered_and_unfinished_are_shown(db: Run, fasta: Path, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        assert db("add", name, fasta, "--no-mmseqs")[0] == 0
    altered = tmp_path / "databases" / "bad" / "shards" / "0001" / "sequences.fasta"
    altered.write_text(altered.read_text().replace("MKVLAAGIVGA", "MKVLAAGIVGW"))
    status, out, err = db("check")
    assert status == 2
    assert "was altered: its SHA-256" in err
    assert "itda db remove bad" in err
    assert out.count("whole:") == 1
    assert db("check", "bad")[0] == 1
    altered.unlink()
    (tmp_path / "databases" / ".late.building").mkdir()
    status, out, err = db("list")
    assert status == 2
    assert "sequences.fasta is missing" in err
    assert "good  sequences" in out
    assert "late: unfinished" in out
    assert db("remove", "bad")[0] == db("remove", "late")[0] == 0
    assert "late" not in db("list")[1]


def test_long_steps_are_told_where_there_is_no_terminal(
    db: Run, fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from itda.cli import step_progress

    monkeypatch.setattr(step_progress, "_LINE_EVERY_SECONDS", 0.0)
    _, _, err = db("add", "mine", fasta, "--no-mmseqs", "--shard-residues", 12)
    assert "building mine:" in err
    assert "shard 1, about" in err


def test_a_package_is_told_by_its_content(db: Run, fasta: Path, tmp_path: Path) -> None:
    records = [("P00001|GO:1", "MKVLA"), ("P00002|GO:2", "MKVLG")]
    files = metastudent_files({"BPO": records, "MFO": records[:1], "CCO": records[1:]})
    package = write_package(tmp_path / "no-suffix", files)
    status, _, err = db("add", "swissprot-2014", package, "--no-mmseqs")
    assert (status, "not 486,000 as metastudent-data 2.0.1" in err) == (1, True)
    status, _, err = db("add", "old", package, fasta, "--no-mmseqs")
    assert (status, "stands with others" in err) == (1, True)
    status, out, err = db("add", "swissprot-2014", package, "--no-mmseqs", "--any-count")
    assert status == 0, err
    assert "swissprot-2014: 2 sequences, 10 residues in 1 part" in out
    assert db("check")[0] == 0
    status, _, err = db("add", "mine", fasta, "--no-mmseqs", "--any-count")
    assert (status, "has no meaning for FASTA files" in err) == (1, True), err
    status, _, err = db("add", "mine", "--no-mmseqs")
    assert (status, "no FASTA file was given" in err) == (1, True)
