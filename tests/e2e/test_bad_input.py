"""Every kind of bad input, through the command line: said clearly, and nothing else is lost."""

import contextlib
import errno
import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from itda.cli.main import run

GOOD = "MKTAYIAKQRQISFVKSHFSRQ"


def write(tmp_path: Path, content: bytes | str, name: str = "x.fa") -> str:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def record_names(folder: str = "x_itda") -> dict[str, str]:
    records = json.loads(Path(folder, "summary.json").read_bytes())["records"]
    return {record["name"]: record["status"] for record in records}


def residues(name: str, folder: str = "x_itda") -> list[str]:
    return json.loads(Path(folder, f"{name}.confidence.json").read_bytes())["tokens"]["name"]


JUNK = random.Random(0).randbytes(5000)

UNREADABLE = {
    "empty file": (b"", "is empty"),
    "only blank lines": (b"\n\n  \n", "no record"),
    "only a byte order mark": (b"\xef\xbb\xbf", "no record"),
    "binary junk": (JUNK, "binary"),
    "junk after a header": (b">x\n" + JUNK, "binary"),
    "gzip cut off": (gzip.compress(b">x\nMKTAY\n" * 999)[:-20], "cut off"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "zip"),
    "a structure": (b"data_1UBQ\nloop_\n_atom_site.id\n", "structure"),
    "text before a header": (b"MKTAY\n>x\nMKTAY\n", "before the first header"),
    "a web page": (b"<html><body>404</body></html>", "HTML"),
}


@pytest.mark.parametrize(("content", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_input_that_is_no_list_of_records(family, tmp_path, capsys, content, said) -> None:
    assert run(["fold", write(tmp_path, content)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ") and said in shown and "hint: " in shown
    assert "Traceback" not in shown and "unexpected" not in shown
    assert not Path("x_itda").exists() and family.models == []


REFUSED = {
    "B": (">bad\nMKTB\n", "B at position 4"),
    "Z": (">bad\nZMKT\n", "Z at position 1"),
    "U": (">bad\nMKUT\n", "selenocysteine"),
    "O": (">bad\nMKOT\n", "pyrrolysine"),
    "J": (">bad\nMKJT\n", "leucine or isoleucine"),
    "stop inside": (">bad\nMK*TAY\n", "a stop inside"),
    "gap": (">bad\nMK-TAY\n", "a gap"),
    "digit": (">bad\nMK1TAY\n", "a digit"),
    "letter of another script": (">bad\nMKТAY\n", "at position 3"),
    "path as a sequence": (">bad\n/data/ubiquitin.fasta\n", "path where a sequence belongs"),
    "no sequence": (">bad\n", "no sequence"),
    "DNA": (">bad\nATGCGTACGTTAGCCATG\n", "looks like DNA"),
    "RNA": (">bad\nAUGCGUACGUUAGCCAUG\n", "looks like RNA"),
    "1 residue": (">bad\nM\n", "residues or more"),
    "5,000 residues": (">bad\n" + "MKTAYIAKQR" * 500 + "\n", "5000"),
    "name of 300 letters": (">" + "x" * 300 + "\nMKTAY\n", "300 bytes long"),
    "name that cannot be printed": (">a\x07b\nMKTAY\n", "cannot be printed"),
    "blank line inside": (">bad\nMKTAY\n\nMKVAY\n", "does one sequence go on after it"),
    "two chains": (">bad\nMKTAY:MKVAY\n", "one chain at a time"),
}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../x", "_._x"),
        ("../../../../../../../../tmp/x", "_._.._.._.._.._.._.._.._tmp_x"),
        ("/etc/x", "_etc_x"),
        (".x", "_x"),
        ("-rf", "_rf"),
        ("CON", "_CON"),
        ("..\\x", "_._x"),
        ("UBC_HUMAN/1-76", "UBC_HUMAN_1-76"),
    ],
)
def test_a_name_that_is_no_file_name_keeps_its_name_and_has_safe_files(
    family, tmp_path, name, file
) -> None:
    assert run(["fold", write(tmp_path, f">{name}\nMKTAY\n")]) == 0
    assert record_names() == {name: "done"}
    assert {path.name for path in Path("x_itda").iterdir()} >= {f"{file}.cif", f"{file}.html"}
    assert {path.name for path in Path().iterdir()} <= {"x.fa", "x_itda", "cache"}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_bad_record_is_refused_and_its_neighbours_are_folded(
    family, tmp_path, capsys, content, said
) -> None:
    source = write(tmp_path, f">before\n{GOOD}\n{content}>after\n{GOOD[1:]}\n")
    assert run(["fold", source]) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.count("error: ") == 1 and "unexpected" not in shown
    names = record_names()
    bad = next(name for name in names if name not in ("before", "after"))
    assert names == {"before": "done", bad: "refused", "after": "done"}
    written = {path.name for path in Path("x_itda").iterdir()}
    assert len(written) == 2 + 2 * 4
    assert not (tmp_path / "x.cif").exists() and not (tmp_path.parent / "x.cif").exists()


READ_WITH_A_WORD = {
    "lower case": (">good\nmktayi\n", "lower case"),
    "mixed case": (">good\nMktAyI\n", "lower case"),
    "stop at the end": (">good\nMKTAYI*\n", "(stop) at the end"),
}


@pytest.mark.parametrize(("content", "said"), READ_WITH_A_WORD.values(), ids=READ_WITH_A_WORD)
def test_what_is_changed_is_said(family, tmp_path, capsys, content, said) -> None:
    assert run(["fold", write(tmp_path, content)]) == 0
    assert said in capsys.readouterr().err
    assert residues("good") == ["MET", "LYS", "THR", "ALA", "TYR", "ILE"]


READ_AS_IT_IS = {
    "plain": b">good\nMKTAYI\n",
    "CRLF": b">good\r\nMKT\r\nAYI\r\n",
    "CR": b">good\rMKT\rAYI\r",
    "byte order mark": b"\xef\xbb\xbf>good\nMKTAYI\n",
    "UTF-16": ">good\nMKTAYI\n".encode("utf-16"),
    "gzip": gzip.compress(b">good\nMKTAYI\n"),
    "gzip with CRLF and a byte order mark": gzip.compress(b"\xef\xbb\xbf>good\r\nMKTAYI\r\n"),
    "no last line end": b">good\nMKTAYI",
    "blank lines": b"\n>good\n\nMKT\nAYI\n\n",
}


@pytest.mark.parametrize("content", READ_AS_IT_IS.values(), ids=READ_AS_IT_IS)
def test_forms_of_text_are_all_read(family, tmp_path, capsys, content) -> None:
    assert run(["fold", write(tmp_path, content)]) == 0
    assert "warning" not in capsys.readouterr().err
    assert residues("good") == ["MET", "LYS", "THR", "ALA", "TYR", "ILE"]


def test_unknown_residue_is_kept(family, tmp_path, capsys) -> None:
    assert run(["fold", write(tmp_path, ">good\nMKXAYI\n")]) == 0
    assert residues("good")[2] == "UNK"


def test_duplicate_names_are_never_one_result(family, tmp_path, capsys) -> None:
    source = write(tmp_path, f">same\n{GOOD}\n>other\nMKTAY\n>same\nWWWWW\n>SAME\nMKVAY\n")
    assert run(["fold", source]) == 2
    shown = capsys.readouterr().err
    assert "the name was taken by record 1" in shown and "ignores case" in shown
    assert len(residues("same")) == len(GOOD)
    records = json.loads(Path("x_itda/summary.json").read_bytes())["records"]
    assert [record["status"] for record in records] == ["done", "done", "refused", "refused"]


def test_missing_file(family, tmp_path, capsys) -> None:
    assert run(["fold", "missing.fasta"]) == 1
    assert "there is no file 'missing.fasta'" in capsys.readouterr().err


def test_folder_without_an_input(family, tmp_path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["fold", str(tmp_path / "empty")]) == 1
    assert "holds no FASTA, YAML or JSON; it is empty" in capsys.readouterr().err


def test_sequence_in_place_of_a_file(family, capsys) -> None:
    assert run(["fold", GOOD]) == 1
    assert "looks like a sequence" in capsys.readouterr().err


def test_unwritable_folder_is_refused_before_work(family, tmp_path, capsys, monkeypatch) -> None:
    source = write(tmp_path, f">good\n{GOOD}\n")
    (tmp_path / "closed").mkdir(mode=0o500)
    if os.access(tmp_path / "closed", os.W_OK):  # root may write anywhere
        (tmp_path / "closed").rmdir()
        (tmp_path / "closed").write_text("a file")
    assert run(["fold", source, "--out", "closed/x"]) == 1
    assert "closed/x: cannot be written" in capsys.readouterr().err
    assert family.models == []


def disk_of(*, free: int) -> SimpleNamespace:
    return SimpleNamespace(free=free, total=10**12)


def test_disk_without_room_is_refused_before_work(family, tmp_path, capsys, monkeypatch) -> None:
    source = write(tmp_path, f">good\n{GOOD}\n")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: disk_of(free=1000))
    assert run(["fold", source]) == 1
    shown = capsys.readouterr().err
    assert "x_itda: 1 MB are needed, 0 MB are free" in shown and "--out" in shown
    assert family.models == []


def test_disk_that_fills_up_loses_nothing_that_was_done(
    family, tmp_path, capsys, monkeypatch
) -> None:
    source = write(tmp_path, f">one\n{GOOD}\n>two\n{GOOD[1:]}\n>three\n{GOOD[2:]}\n")
    real_replace = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if target.name.startswith("two.pae"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_replace(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert run(["fold", source]) == 2
    shown = capsys.readouterr().err
    assert "two.pae.npz" in shown and "No space left on device" in shown
    assert "free some space" in shown
    assert record_names() == {"one": "done", "two": "failed", "three": "waiting"}
    assert not [path for path in Path("x_itda").iterdir() if path.name.startswith(".")]
    monkeypatch.setattr(Path, "replace", real_replace)
    assert run(["fold", source]) == 0
    assert sorted(family.folded) == ["one", "three", "two"]


@contextlib.contextmanager
def small_disk(place: Path, size: str):
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "itda-test", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can be mounted by root on Linux only")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_real_disk_that_is_full(family, tmp_path, capsys, monkeypatch) -> None:
    source = write(tmp_path, f">one\n{GOOD}\n>two\n{GOOD[1:]}\n")
    with small_disk(tmp_path / "disk", "1000k") as disk:
        assert run(["fold", source, "--out", str(disk / "out")]) == 1
        assert "are free" in capsys.readouterr().err and family.models == []
        monkeypatch.setattr("shutil.disk_usage", lambda _path: disk_of(free=10**9))
        assert run(["fold", source, "--out", str(disk / "out")]) == 2
        assert "No space left on device" in capsys.readouterr().err
        assert {path.name for path in (disk / "out").iterdir()} >= {"one.cif", "one.html"}
        assert record_names(str(disk / "out"))["one"] == "done"


def test_fifty_records_with_one_bad(family, tmp_path, capsys) -> None:
    random.seed(0)
    sequences = ["".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=20)) for _ in range(50)]
    sequences[22] = "MKTBAYIAK"
    text = "".join(f">protein_{place}\n{letters}\n" for place, letters in enumerate(sequences))
    assert run(["fold", write(tmp_path, text)]) == 2
    captured = capsys.readouterr()
    assert "record 23 'protein_22' (line 45)" in captured.err and captured.err.count("error") == 1
    assert "49 of 50 done" in captured.out
    names = record_names()
    assert names.pop("protein_22") == "refused" and set(names.values()) == {"done"}
    assert len(list(Path("x_itda").glob("*.cif"))) == 49
    for place, letters in enumerate(sequences):
        if place != 22:
            assert len(residues(f"protein_{place}")) == len(letters)


def test_ctrl_c_in_the_middle(family, tmp_path, capsys) -> None:
    source = write(tmp_path, f">one\n{GOOD}\n>interrupted\n{GOOD[1:]}\n>three\n{GOOD[2:]}\n")
    assert run(["fold", source]) == 130
    shown = capsys.readouterr().err
    assert "stopped: 1 of 3 done and saved in x_itda" in shown
    assert "the same command goes on from there" in shown
    assert record_names() == {"one": "done", "interrupted": "waiting", "three": "waiting"}
    assert Path("x_itda/one.cif").is_file() and not Path("x_itda/three.cif").exists()


@pytest.mark.parametrize("content", [b"goo", b"bad!", b""])
def test_weights_that_are_not_whole_stop_before_work(family, tmp_path, capsys, content) -> None:
    source = write(tmp_path, f">good\n{GOOD}\n")
    write(tmp_path, content, "weights")
    assert run(["fold", source, "--weights", "weights"]) == 1
    assert "weights.json is missing" in capsys.readouterr().err
    assert family.folded == [] and not Path("x_itda").exists()


def test_missing_weights(family, tmp_path, capsys) -> None:
    source = write(tmp_path, f">good\n{GOOD}\n")
    assert run(["fold", source, "--weights", "nowhere"]) == 1
    assert "nowhere: weights cannot be read" in capsys.readouterr().err


def test_standard_input_that_is_empty() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from itda.cli.main import main; main()", "fold", "-"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "standard input is empty" in done.stderr
