"""The tutorial, run as it stands from an empty folder: its commands, and what it says they print.

A block of `sh` or `python` is run; a block of `text` right behind it holds lines that it prints, in
order, but for numbers and for what `…` leaves out. A block that begins with `# needs` is not run. A
command that ends with `# exit status N` ends so, and every other with 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCUMENTS = Path(__file__).parents[2] / "docs"
ENGLISH, KOREAN = DOCUMENTS / "tutorial.md", DOCUMENTS / "ko" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.M | re.S)
_STATUS = re.compile(r"^(.*?)\s*# exit status (\d+)$", re.M)
_NUMBER = r"[0-9][0-9.,]*"


@dataclass(frozen=True)
class Block:
    """A block of code of a page, and the lines that it is said to print."""

    form: str
    text: str
    line: int
    printed: str

    @property
    def runs(self) -> bool:
        return self.form in ("sh", "python") and not self.text.startswith("# needs")


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    made = []
    for place, match in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else None
        follows = after is not None and not text[match.end() : after.start()].strip()
        printed = after[2] if after is not None and follows and after[1] == "text" else ""
        made.append(Block(match[1], match[2], text.count("\n", 0, match.start()) + 1, printed))
    return made


def command(block: Block) -> list[str]:
    if block.form == "python":
        return [sys.executable, "-c", block.text]
    checked = _STATUS.sub(r"s=0; \1 || s=$?; test $s -eq \2", block.text)
    return ["bash", "-eu", "-c", checked]


def pattern(line: str) -> str:
    words = [re.escape(word) for word in re.split(r"\s+", line.strip())]
    spaced = r"\s+".join(words).replace(re.escape("…"), ".*")
    return re.sub(_NUMBER, lambda _: _NUMBER, spaced.replace(r"\.", ".").replace(r"\,", ","))


def missing(printed: str, shown: str) -> str:
    """Return the first line that is not printed after the ones before it; "" where all are."""
    place = 0
    for line in printed.splitlines():
        found = re.compile(pattern(line)).search(shown, place)
        if found is None:
            return line
        place = found.end()
    return ""


def test_lines_are_found_in_order_whatever_their_numbers() -> None:
    shown = "a: 1.5 s\nb  │ 20 of 30 │ x\n"
    assert missing("a: 2 s\nb │ 1 of 2 │ …\n", shown) == ""
    assert missing("b …\na: 2 s\n", shown) == "a: 2 s"
    assert missing("a: 2 min\n", shown) == "a: 2 min"


def test_the_tutorial_runs_from_an_empty_folder(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "ITDA_HOME": str(tmp_path / "home"),
        "ITDA_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "200",
        # As a user has it: with the known folds.
        "ITDA_KNOWN_FOLDS": "",
    }
    folder = tmp_path / "empty"
    folder.mkdir()
    for block in blocks(ENGLISH):
        if not block.runs:
            continue
        done = subprocess.run(
            command(block),
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        where = f"{ENGLISH.name}, line {block.line}:\n{done.stdout}"
        assert done.returncode == 0, where
        assert "Traceback" not in done.stdout, where
        lost = missing(block.printed, done.stdout)
        assert not lost, f"not printed: {lost}\n{where}"


@pytest.mark.parametrize("page", [ENGLISH, KOREAN], ids=["en", "ko"])
def test_no_output_folder_is_used_for_two_runs(page: Path) -> None:
    used = [
        name
        for block in blocks(page)
        if block.runs
        for name in re.findall(r"^itda fold.*--out (\S+)", block.text, re.M)
    ]
    assert len(used) > 5
    assert {name for name in used if used.count(name) > 1} == {"results-folder"}


def test_both_languages_run_the_same() -> None:
    def commands(page: Path) -> list[tuple[str, str, str]]:
        return [
            (block.form, re.sub(r"\s*#(?! exit).*", "", block.text), block.printed)
            for block in blocks(page)
            if block.form != "text"
        ]

    assert commands(ENGLISH) == commands(KOREAN)
