import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from tests.patience import PATIENCE_SECONDS
from tests.search.service.fakes import FakeSource, serving

from itda.cli import main as cli
from itda.search.alignments.formats import read_alignment
from itda.search.folder import MANIFEST, AlignmentFolder

FASTA = ">one\nMKTAYIAKQR\n>two words\nAYIAKQR\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in, with no databases and no cache."""
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "search", "itda.cli.search:app")
    (tmp_path / "p.fasta").write_text(FASTA)
    return tmp_path


@pytest.fixture
def source(place, monkeypatch):
    """What `--msa fake` would be: put in the place of every source."""
    fake = FakeSource()
    monkeypatch.setattr(
        "itda.search.sources.choose.choose_source", lambda text, *, databases, threads: fake
    )
    return fake


def rows(path, query):
    return len(read_alignment(Path(path), query=query))


def test_run_writes_an_alignment_for_each_record(source, place, capsys):
    assert cli.run(["search", "run", "p.fasta", "--msa", "none"]) == 0
    assert rows("p_msa/one.a3m", "MKTAYIAKQR") == rows("p_msa/two.a3m", "AYIAKQR") == 3
    said = capsys.readouterr()
    assert "2 of 2 done, in p_msa" in said.out
    assert "3 rows" in said.err
    assert not (place / "p_msa" / ".searching").exists()


def test_run_again_searches_nothing(source, place, capsys):
    command = ["search", "run", "p.fasta", "--msa", "none", "--out", "out"]
    assert cli.run(command) == 0
    assert cli.run(command) == 0
    assert source.searched == ["MKTAYIAKQR", "AYIAKQR"]
    assert capsys.readouterr().err.count("found again") == 2


def test_a_changed_database_is_searched_anew_and_old_files_stay(source, place, capsys):
    command = ["search", "run", "p.fasta", "--msa", "none", "--out", "out"]
    assert cli.run(command) == 0
    before = Path("out/one.a3m").read_bytes()
    source.version = 2
    source.names = ("x", "y")
    assert cli.run(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert Path("out/one.a3m").read_bytes() == before
    assert cli.run([*command, "--overwrite"]) == 0
    assert Path("out/one.a3m").read_bytes() != before
    assert len(source.searched) == 4


@pytest.mark.parametrize("harm", ["altered", "gone", "manifest gone", "manifest torn"])
def test_files_that_were_touched_are_not_trusted(source, place, harm):
    command = ["search", "run", "p.fasta", "--msa", "none", "--out", "out"]
    assert cli.run(command) == 0
    file, manifest = Path("out/one.a3m"), Path("out") / MANIFEST
    if harm == "altered":
        file.write_text(">query\nMKTAYIAKQR\n")
    elif harm == "gone":
        file.unlink()
    elif harm == "manifest gone":
        manifest.unlink()
    else:
        manifest.write_text(manifest.read_text()[:-5])
    assert cli.run([*command, "--overwrite"]) == 0
    assert rows(file, "MKTAYIAKQR") == 3


def test_one_sequence_twice_is_searched_once(source, place):
    Path("twice.fasta").write_text(">a\nMKTAYIAKQR\n>b\nMKTAYIAKQR\n")
    assert cli.run(["search", "run", "twice.fasta", "--msa", "none"]) == 0
    assert source.searched == ["MKTAYIAKQR"]
    assert Path("twice_msa/a.a3m").read_bytes() == Path("twice_msa/b.a3m").read_bytes()


def test_chains_of_a_complex_have_files_of_their_own(source, place, capsys):
    Path("job.yaml").write_text(
        "version: 1\nname: pair\nentities:\n  - protein: {sequence: MKTAYIAKQR}\n"
        "  - protein: {sequence: AYIAKQR}\n  - ion: {ccd: ZN}\n"
    )
    assert cli.run(["search", "run", "job.yaml", "--msa", "none", "--out", "out"]) == 0
    assert rows("out/pair_A.a3m", "MKTAYIAKQR") == rows("out/pair_B.a3m", "AYIAKQR") == 3
    assert "chains C are no proteins" in capsys.readouterr().err


def test_some_done_is_2_and_none_is_1(source, place, capsys):
    Path("some.fasta").write_text(">good\nMKTAYIAKQR\n>bad\nMK1\n")
    assert cli.run(["search", "run", "some.fasta", "--msa", "none"]) == 2
    assert "1 of 2 done" in capsys.readouterr().out
    source.error = ZeroDivisionError("a fault")
    again = ["search", "run", "p.fasta", "--msa", "none", "--out", "new"]
    assert cli.run([*again, "--cache", "empty"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert not list(Path("new").glob("*.a3m"))
    # One of them was searched before.
    assert cli.run(again) == 2


def test_a_stopped_run_goes_on(source, place, capsys):
    searched = source.search

    def stopped(query, **options):
        if query == "AYIAKQR":
            raise KeyboardInterrupt
        return searched(query, **options)

    source.search = stopped
    command = ["search", "run", "p.fasta", "--msa", "none", "--out", "out"]
    assert cli.run(command) == 130
    assert "1 of 2 done" in capsys.readouterr().err
    assert [path.name for path in Path("out").glob("*.a3m")] == ["one.a3m"]
    source.search = searched
    assert cli.run(command) == 0
    assert source.searched == ["MKTAYIAKQR", "AYIAKQR"]


def test_a_killed_search_finds_its_work_folder(source, place):
    found = []

    def killed(query, *, work, progress):
        found.append((work, sorted(path.name for path in work.iterdir())))
        (work / "step").write_text("done")
        raise KeyboardInterrupt

    source.search = killed
    folder = AlignmentFolder(place / "out", source)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            folder.write("one", "MKT", lambda fraction, message: None)
    assert [names for _, names in found] == [[], ["step"]]
    assert found[0][0] == found[1][0]


def test_what_is_wrong_is_named(place, capsys):
    for arguments, said in (
        (["run", "p.fasta"], "no sequence database"),
        (["run", "p.fasta", "--db", "nowhere"], "nowhere"),
        (["run", "no.fasta", "--msa", "none"], "no.fasta"),
        (["run", "p.fasta", "--msa", "blast"], "blast"),
        (["run", "p.fasta", "--msa", "server:ftp://x"], "ftp://x"),
        (["serve"], "no sequence database"),
        (["serve", "--msa", "none"], "nothing that could be served"),
    ):
        assert cli.run(["search", *arguments]) == 1, arguments
        error = capsys.readouterr().err
        assert said in error
        assert "Traceback" not in error


def test_serve_without_its_packages(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "itda.search.service.http", None)
    assert cli.run(["search", "serve", "--msa", "hmmer"]) == 1
    assert 'pip install "itda[search]"' in capsys.readouterr().err


def test_run_from_a_server(place, capsys):
    with serving(FakeSource(), place / "data") as (_, url):
        assert cli.run(["search", "run", "p.fasta", "--msa", f"server:{url}"]) == 0
    assert rows("p_msa/one.a3m", "MKTAYIAKQR") == 3
    manifest = json.loads((place / "p_msa" / MANIFEST).read_text())
    assert manifest["files"]["one.a3m"]["key"]["url"] == url


SERVE = """
import sys
sys.path.insert(0, {root!r})
import itda.search.sources.choose as choose
from itda.cli import main
from tests.search.service.fakes import FakeSource
choose.choose_source = lambda text, *, databases, threads: FakeSource()
main.COMMANDS["search"] = "itda.cli.search:app"
main.main({arguments!r})
"""


def test_serve_until_it_is_told_to_stop(place):
    root = str(Path(__file__).parents[2])
    arguments = ["search", "serve", "--msa", "fake", "--port", "0", "--data", "data"]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(root=root, arguments=arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ITDA_SEARCH_TOKEN": "secret"},
    )
    try:
        line = process.stderr.readline()
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", line)
        assert "fake in tiny" in line
        request = urllib.request.Request(f"{url}/queue", headers={"Authorization": "Bearer secret"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            assert json.load(reply)["queued"] == 0
        with_token = url.replace("//", "//:secret@")
        assert cli.run(["search", "run", "p.fasta", "--msa", f"server:{with_token}"]) == 0
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "0 tickets wait" in said
    assert "MKTAYIAKQR" not in said
