import os
import subprocess
import sys
from pathlib import Path

import pytest

from itda.errors import OutputError
from itda.search.databases.lock import build_lock

HOLDER = """
import sys, time
from pathlib import Path
from itda.search.databases.lock import build_lock
with build_lock(Path(sys.argv[1]), "pdb"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / ".pdb.lock"
    with build_lock(path, "pdb"):
        said = f"pdb is being built .* process {os.getpid()}"
        with pytest.raises(OutputError, match=said), build_lock(path, "pdb"):
            pass
        with build_lock(tmp_path / ".other.lock", "other"):
            assert path.exists()
    assert not path.exists()
    with build_lock(path, "pdb"):
        assert path.exists()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".pdb.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {holder.pid}"), build_lock(path, "pdb"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with build_lock(path, "pdb"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        build_lock(tmp_path / "file" / ".pdb.lock", "pdb"),
    ):
        pass
