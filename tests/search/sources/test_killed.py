"""A search whose process is killed, and taken up by another in the same work folder."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from itda.search.sources.choose import choose_source
from tests.patience import PATIENCE_SECONDS
from tests.sequences import has_mmseqs

# Kills its own process when the search says something for the first time, or with small chunks, for
# the second.
CHILD = """
import json, os, signal, sys
from pathlib import Path
from itda.search.databases.database import open_database
from itda.search.sources import hmmer_search
from itda.search.sources.choose import choose_source

source, folder, query, work, fatal = json.loads(sys.argv[1])
hmmer_search.CHUNK_RESIDUES = 1000
heard = 0

def progress(fraction, message):
    global heard
    heard += message.startswith(fatal)
    if heard == (1 if source == "mmseqs" else 2):
        os.kill(os.getpid(), signal.SIGKILL)

choose_source(source, databases=[open_database(Path(folder))]).search(
    query, work=Path(work), progress=progress
)
"""

CASES = [
    ("hmmer", "jackhmmer in cut, shard 1 of 3", 0),
    ("hmmer", "jackhmmer in cut, shard 2 of 3", 1),
    ("hmmer:phmmer", "phmmer in cut, shard 3 of 3", 2),
    ("hmmer:jackhmmer:3", "jackhmmer in cut, iteration 2 of 3, shard 2 of 3", 0),
    ("hmmer:jackhmmer:3", "jackhmmer in cut, iteration 3 of 3, shard 3 of 3", 2),
    ("mmseqs", "mmseqs in cut shard 1 of 3: profile search", 0),
    ("mmseqs", "mmseqs in cut shard 2 of 3: profile search", 1),
    ("mmseqs", "mmseqs in cut shard 3 of 3: alignment", 2),
]


@pytest.fixture(scope="module")
def unkilled(cut, query, tmp_path_factory):
    """Give the alignment of each source, searched at one go."""
    found = {}

    def search(source):
        if source not in found:
            folder = tmp_path_factory.mktemp("unkilled")
            found[source] = choose_source(source, databases=[cut]).search(
                query, work=folder / "work", progress=lambda fraction, message: None
            )
        return found[source]

    return search


def working_under(folder: Path) -> list[str]:
    """Programs that run in a folder or below it."""
    programs = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").readlink().is_relative_to(folder.resolve()):
                programs.append((process / "cmdline").read_text())
        except OSError:
            continue
    return programs


@pytest.mark.parametrize(("source", "fatal", "finished"), CASES)
def test_the_alignment_is_that_of_an_unkilled_search(
    cut, query, work, unkilled, source, fatal, finished
):
    pytest.importorskip("pyhmmer")
    if source == "mmseqs" and not has_mmseqs():
        pytest.skip("MMseqs2 is not installed")
    told = json.dumps([source, str(cut.folder), query, str(work), fatal])
    child = subprocess.run([sys.executable, "-c", CHILD, told], check=False)
    assert child.returncode == -signal.SIGKILL

    end = time.monotonic() + PATIENCE_SECONDS
    while working_under(work) and time.monotonic() < end:
        time.sleep(0.05)
    assert working_under(work) == []

    # Shards of the last round that were finished are not searched again, the others are.
    heard: list[str] = []
    alignment = choose_source(source, databases=[cut]).search(
        query, work=work, progress=lambda fraction, message: heard.append(message)
    )
    assert alignment == unkilled(source)
    last = [message for message in heard if "iteration" not in message or "3 of 3, sh" in message]
    again = {number for number in (1, 2, 3) if any(f"shard {number} of" in said for said in last)}
    assert again == {1, 2, 3} - set(range(1, finished + 1))
    assert len(alignment) > 30
    assert not list(work.glob("scratch-*"))


def test_working_under_sees_a_program(tmp_path):
    program = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    try:
        assert len(working_under(tmp_path)) == 1 or not Path("/proc").exists()
    finally:
        program.kill()
        program.wait()
