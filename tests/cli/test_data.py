import subprocess
import sys
from importlib import resources

EXAMPLES = resources.files("itda").joinpath("data/examples")


def itda(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "itda", *map(str, arguments)], capture_output=True, text=True
    )


def test_build_info_check_and_remove(tmp_path):
    built = itda("data", "build", "structures", EXAMPLES, "--out", tmp_path / "set")
    assert built.returncode == 0, built.stderr
    assert "1 chains, 76 residues" in built.stdout
    again = itda("data", "build", "structures", EXAMPLES, "--out", tmp_path / "set")
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert "atoms: 602" in itda("data", "info", tmp_path / "set", "--verify").stdout
    fasta = EXAMPLES.joinpath("ubiquitin.fasta")
    found = itda("data", "check", tmp_path / "set", "--against", fasta)
    assert found.returncode == 1
    assert "1ubq_A" in found.stdout


def test_what_is_missing_is_named(tmp_path):
    for arguments, said in (
        (("build", "promod3", "--file", tmp_path / "no.dat", "--out", tmp_path / "x"), "no.dat"),
        (("info", tmp_path), "not a dataset folder"),
        (("unpack", tmp_path / "no.pack", "--out", tmp_path), "no.pack"),
        (("build", "structures", tmp_path / "no", "--out", tmp_path / "x"), "not a folder"),
        (
            ("build", "structures", tmp_path, "--out", tmp_path / "x", "--after", "soon"),
            "not a date",
        ),
    ):
        done = itda("data", *arguments)
        assert done.returncode == 1, arguments
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_promod3_of_another_layout_is_refused(tmp_path):
    path = tmp_path / "structure_db.dat"
    path.write_bytes(b"\x00" * 1000)
    done = itda("data", "build", "promod3", "--file", path, "--out", tmp_path / "x")
    assert done.returncode == 1
    assert "structure_db.dat" in done.stderr
