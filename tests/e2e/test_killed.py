"""A run that is killed and made again: the same files, and no stage is done twice."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_SECONDS

from itda.hub.registry import WeightSet
from itda.search.databases.registry import Databases
from itda.search.databases.structures import FolderStructures

HELD = Path(__file__).parent / "held.py"
EXAMPLES = Path(str(resources.files("itda").joinpath("data/examples")))
SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
RELATIVES = (
    "MQIFVKTLTGKTITLEVESSDTIDNVKSKIQDKEGIPPDQQRLIFAGKQLEDGRTLADYNIQKESTLHLVLRLRGG",
    "MLIKVKTLTGKEIEIDIEPTDTIDRIKERVEEKEGIPPVQQRLIYAGKQLADDKTAKDYNIEGGSVLHLVLALRGG",
)
STAGES = ("alignment", "templates", "predict", "validity")


@dataclass
class Ended:
    """How a run ended.

    Attributes:
        status: Its exit status; negative for a signal that killed it.
        events: What it told.
        errors: What it wrote to standard error.
    """

    status: int
    events: list[dict[str, Any]]
    errors: str

    def finished(self) -> dict[str, bool]:
        """Stages that ended, and whether each was found again."""
        return {
            event["stage"]: event["cached"]
            for event in self.events
            if event["event"] == "stage_finished"
        }


class Runs:
    """Runs of one command in one folder with one cache.

    Args:
        folder: Where they are.
        arguments: Of `itda fold`.
        environment: What they have beside the environment of the tests.
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.out = folder / "out"
        self.log = folder / "log"
        self.log.touch()
        self.arguments = arguments
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "ITDA_CACHE": str(folder / "cache"),
            "HELD_LOG": str(self.log),
            **environment,
        }
        (folder / "x.fa").write_text(f">protein\n{SEQUENCE[:40]}\n")

    def logged(self) -> list[str]:
        return self.log.read_text().splitlines()

    def start(self, place: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, HELD, "fold", "x.fa", "--out", "out", "--json", *self.arguments],
            cwd=self.folder,
            env={**self.environment, "HELD_AT": place},
            stdout=subprocess.PIPE,
            stderr=(self.folder / "errors").open("w"),
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Ended:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        lines = out.splitlines()
        # The last one may be half written.
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return Ended(process.returncode, events, (self.folder / "errors").read_text())

    def run(self) -> Ended:
        return self.end(self.start())

    def stop_at(self, place: str, sent: signal.Signals) -> Ended:
        """Run until a place, and send a signal there."""
        before = self.logged().count("held")
        process = self.start(place)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.logged().count("held") == before:
            assert process.poll() is None, (place, (self.folder / "errors").read_text())
            assert time.monotonic() < deadline, place
            time.sleep(0.02)
        process.send_signal(sent)
        return self.end(process)

    def kill_at(self, place: str) -> Ended:
        """Run until a place, and kill it there."""
        ended = self.stop_at(place, signal.SIGKILL)
        assert ended.status == -signal.SIGKILL
        return ended

    def files(self) -> dict[str, bytes]:
        """The files of the results, but for times."""
        return {
            str(path.relative_to(self.out)): without_times(path.read_bytes())
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        }


def without_times(content: bytes) -> bytes:
    """Return a file without the moments and lengths of time in it, and whether it was found again.

    In a report page, JSON stands within JSON.
    """
    if content.startswith(b"position\t"):
        header, *rows = (line.split(b"\t") for line in content.splitlines())
        timed = [header.index(name) for name in (b"cached", b"seconds")]
        for row in rows:
            for column in timed:
                row[column] = b""
        return b"\n".join(b"\t".join(row) for row in [header, *rows])
    content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00|Z)", b"TIME", content)
    content = re.sub(rb'(\\?"seconds\\?": ?)[\d.]+', rb"\1SECONDS", content)
    content = re.sub(rb'(\\?"cached\\?": ?)(true|false)', rb"\1CACHED", content)
    return content


@pytest.fixture(scope="module")
def databases(tmp_path_factory) -> Path:
    """A database of three sequences and one of a structure, and the folder that they are in."""
    folder = tmp_path_factory.mktemp("databases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ITDA_DATABASES", str(folder))
        fasta = folder.parent / "small.fasta"
        records = [f">relative_{number}\n{text}\n" for number, text in enumerate(RELATIVES)]
        fasta.write_text("".join(records))
        Databases().add_sequences("small", fasta)
        Databases().add_structures("known", FolderStructures(EXAMPLES))
    return folder


@pytest.fixture(scope="module")
def start(databases, tmp_path_factory):
    """Begin runs of a fold with an alignment and templates."""

    def begin(name: str) -> Runs:
        return Runs(
            tmp_path_factory.mktemp("runs") / name,
            *("--msa", "hmmer", "--db", "small", "--templates", "known", "--threads", "1"),
            *("--effort", "quick"),
            *("--recycles", "0"),
            ITDA_DATABASES=str(databases),
        )

    return begin


@pytest.fixture(scope="module")
def whole(start) -> dict[str, bytes]:
    """The files of a run that nobody stopped."""
    runs = start("whole")
    ended = runs.run()
    assert ended.status == 0, ended.errors
    assert ended.finished() == dict.fromkeys(STAGES, False)
    return runs.files()


PLACES = (
    "event stage_started alignment",
    "put alignment",
    "put templates",
    "event stage_progress predict",
    "put predict",
    "put validity",
    "output .html",
    "event job_finished",
)


def test_comparison_sees_what_differs(whole) -> None:
    content = whole["protein.confidence.json"]
    assert b"TIME" in content and b'"sample": 0' in content
    assert without_times(content.replace(b'"sample": 0', b'"sample": 1')) != content
    assert without_times(b'{"cached": true, "seconds": 1.5}') == (
        b'{"cached": CACHED, "seconds": SECONDS}'
    )


@pytest.mark.slow
def test_killed_at_each_stage_in_turn(start, whole) -> None:
    runs = start("killed")
    done: set[str] = set()
    computed: Counter[str] = Counter()
    for place in [*PLACES, None]:
        ended = runs.run() if place is None else runs.kill_at(place)
        finished = ended.finished()
        for stage in done & set(finished):
            assert finished[stage], f"{stage} was done again in the run to {place}"
        done |= set(finished)
        computed.update(stage for stage, cached in finished.items() if not cached)
        assert "damaged" not in ended.errors
    assert ended.status == 0 and ended.events[-1]["done"] == 1
    assert set(finished) == set(STAGES) and all(finished.values())
    assert max(computed.values()) == 1
    puts = Counter(line for line in runs.logged() if line.startswith("put"))
    assert puts == {f"put {stage}": 1 for stage in STAGES}
    assert runs.files() == whole


@pytest.mark.slow
def test_killed_between_the_jobs_of_a_run(tmp_path) -> None:
    killed, whole = (Runs(tmp_path / name) for name in ("killed", "whole"))
    for runs in (killed, whole):
        records = [f">protein_{start}\n{SEQUENCE[start : start + 20]}\n" for start in (0, 20, 40)]
        (runs.folder / "x.fa").write_text("".join(records))
    assert killed.kill_at("event job_finished").events[-1]["event"] == "job_finished"
    assert killed.run().status == whole.run().status == 0
    for runs in (killed, whole):
        puts = Counter(line for line in runs.logged() if line.startswith("put"))
        assert puts == {"put predict": 3, "put validity": 3}
    assert killed.files() == whole.files()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_told_to_stop(start, whole, sent, status) -> None:
    runs = start("stopped")
    ended = runs.stop_at("event stage_progress predict", sent)
    assert ended.status == status
    assert ended.events[-1]["event"] == "run_finished"
    assert ended.events[-1]["status"] == "interrupted"
    assert ended.events[-1]["exit_status"] == status
    assert "stopped: 0 of 1 done" in ended.errors and "goes on from there" in ended.errors
    assert "Traceback" not in ended.errors

    again = runs.run()
    assert again.status == 0
    assert again.finished()["alignment"] and again.finished()["templates"]
    assert runs.files() == whole


@pytest.mark.slow
def test_killed_while_weights_are_converted(tmp_path) -> None:
    from tests.hub.laboratory import CONFIG, MODEL, model_bytes

    content = {MODEL: model_bytes(), CONFIG: b'{"width": 5}'}
    lab = WeightSet.model_validate(
        {
            "name": "lab",
            "family": "mini",
            "title": "A set of a test",
            "source": {"kind": "http", "url": "http://localhost:9"},
            "files": [
                {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in content.items()
            ],
            "licence": {
                "spdx": "LicenseRef-lab",
                "title": "Licence of the laboratory",
                "text": "esmfold.txt",
                "non_commercial": False,
                "forbids": [],
            },
            "citations": [],
            "homepage": "",
        }
    )
    described = tmp_path / "lab.json"
    described.write_text(lab.model_dump_json())
    source = tmp_path / "weights" / "lab" / "source"
    source.mkdir(parents=True)
    for name, data in content.items():
        (source / name).write_bytes(data)
    runs = Runs(
        tmp_path / "runs",
        HELD_LABORATORY=str(described),
        ITDA_WEIGHTS=str(tmp_path / "weights"),
    )
    killed = runs.kill_at("conversion")
    assert killed.finished() == {}
    again = runs.run()
    assert again.status == 0, again.errors
    assert "weights" in again.finished()
    # Once by the run that was killed before it was written, once by the second.
    files = runs.files()
    assert runs.run().status == 0
    assert runs.logged().count("converted") == 2
    assert runs.files() == files
