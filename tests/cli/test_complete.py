"""What a shell offers for a half-written line, asked as each shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHELLS = ("bash", "zsh", "fish")


def itda(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "itda", *arguments],
        env={**os.environ, "ITDA_HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def offered(folder: Path, line: str, shell: str = "bash") -> str:
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = itda(folder, _ITDA_COMPLETE=f"complete_{shell}", **asked)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_names_are_offered(tmp_path, shell) -> None:
    assert "compare" in offered(tmp_path, "itda com", shell)
    assert "plan" not in offered(tmp_path, "itda com", shell)
    assert "--max-template-date" in offered(tmp_path, "itda fold --max", shell)
    assert "flashabb" in offered(tmp_path, "itda fold --model fl", shell)


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("itda plan --msa mm", "mmseqs"),
        ("itda fold --weights esm", "esmfold_v1"),
        ("itda weights pull esm", "esmfold_v1"),
        ("itda fold --device cu", "cuda"),
        ("itda fold --templates n", "none"),
        ("itda train mini-c", "mini-cpu.yaml"),
    ],
)
def test_names_of_each_kind(tmp_path, line, some) -> None:
    assert some in offered(tmp_path, line).split()


def test_databases_are_offered_by_their_kind(tmp_path) -> None:
    (tmp_path / "few.fasta").write_text(">a\nMKTAYIAKQRQISFVK\n>b\nMKVLAAGIVGLLLAQWSTYR\n")
    done = itda(tmp_path, "db", "add", "lab", "few.fasta", "--no-mmseqs")
    assert done.returncode == 0, done.stderr
    assert offered(tmp_path, "itda fold --db l").split() == ["lab"]
    assert offered(tmp_path, "itda fold --templates l").split() == []
    assert offered(tmp_path, "itda db remove l").split() == ["lab"]
    (tmp_path / "databases" / "lab" / "database.json").write_text("{")
    assert offered(tmp_path, "itda fold --db l").split() == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_shown_and_installed(tmp_path, shell) -> None:
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = itda(tmp_path, "--show-completion", shell, **home)
    assert shown.returncode == 0 and "_ITDA_COMPLETE=complete_" + shell in shown.stdout
    installed = itda(tmp_path, "--install-completion", shell, **home)
    assert installed.returncode == 0 and "installed in" in installed.stdout
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_ITDA_COMPLETE" in path.read_text() for path in files)
