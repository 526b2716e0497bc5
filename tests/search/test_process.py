import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from itda.search.process import run_program


def wait_until(is_true, seconds=20.0):
    end = time.monotonic() + seconds
    while not is_true() and time.monotonic() < end:
        time.sleep(0.02)
    return is_true()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # A killed orphan may wait for its reaper, which a container may lack.
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_status_output_and_errors() -> None:
    script = "echo out; echo wrong >&2; exit 3"
    assert run_program(["sh", "-c", script]) == (3, "out\n", "wrong\n")


def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    arguments = ["a b", "$HOME", "'", "*", "", "-n"]
    _, output, _ = run_program(
        [sys.executable, "-c", "import sys; print(sys.argv[1:])", *arguments], folder=tmp_path
    )
    assert output == f"{arguments}\n"


def test_folder_and_environment(tmp_path: Path) -> None:
    _, output, _ = run_program(
        ["sh", "-c", 'echo "$KIND"; pwd -P'], folder=tmp_path, environment={"KIND": "odd"}
    )
    assert output.splitlines() == ["odd", str(tmp_path.resolve())]


def test_program_reads_no_input() -> None:
    assert run_program(["cat"]) == (0, "", "")


def test_much_output_on_both_streams_neither_hangs_nor_fills_memory() -> None:
    script = "import sys\nfor i in range(40000): print(i); print(i, file=sys.stderr)"
    status, output, errors = run_program([sys.executable, "-c", script])
    assert status == 0
    assert output.endswith("39999\n") and errors.endswith("39999\n")
    assert len(output) == len(errors) == 100_000


def test_a_silent_program_is_told_of_all_the_same() -> None:
    pieces: list[str] = []
    run_program(["sh", "-c", "sleep 1.3; echo done"], on_output=pieces.append)
    assert pieces[0] == ""
    assert "".join(pieces) == "done\n"


def test_raising_kills_the_program_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 100000 & echo $! > {pids}; echo started; wait"

    def stop(text: str) -> None:
        if "started" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_program(["sh", "-c", script], on_output=stop)
    assert wait_until(lambda: not is_running(int(pids.read_text())))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_program_dies_with_the_process_that_runs_it(tmp_path: Path, number: int) -> None:
    pids = tmp_path / "pids"
    # The program has a child of its own, as the workflows of MMseqs2 have.
    script = f"sleep 100000 & echo $! $$ > {pids}.part; mv {pids}.part {pids}; wait"
    code = f"from itda.search.process import run_program; run_program(['sh', '-c', {script!r}])"
    owner = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert wait_until(pids.exists)
        inner = [int(pid) for pid in pids.read_text().split()]
        assert all(is_running(pid) for pid in inner)
        owner.send_signal(number)
        assert owner.wait(20) == -number
        assert wait_until(lambda: not any(is_running(pid) for pid in inner))
    finally:
        owner.kill()
        owner.wait()
