"""Search, then fold: found again by what went into it, killed and taken up, never half."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from itda.cli.main import run
from itda.errors import DependencyError
from itda.search.databases.registry import Databases
from itda.search.databases.structures import FolderStructures
from itda.search.mmseqs import find_mmseqs

SLOW_SEARCH = Path(__file__).parent / "slow_search.py"
FAKE_FAMILY = Path(__file__).parents[1] / "engine" / "fake_family.py"
EXAMPLES = Path(str(resources.files("itda").joinpath("data/examples")))
SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


def start(script: Path, tmp_path: Path, cache: str, *arguments: str) -> subprocess.Popen[bytes]:
    (tmp_path / "x.fa").write_text(f">protein\n{SEQUENCE}\n")
    environment = {
        **os.environ,
        "ITDA_CACHE": str(tmp_path / cache),
        "SEARCH_LOG": str(tmp_path / f"{cache}.log"),
    }
    return subprocess.Popen(
        [sys.executable, script, "fold", "x.fa", "--msa", "mmseqs", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def entries(cache: Path) -> list[Path]:
    """Results that the store has."""
    return list(cache.glob("stages/??/*/entry.json"))


def confidence(folder: Path) -> dict[str, object]:
    return json.loads((folder / "protein.confidence.json").read_bytes())


class TestKilledDuringASearch:
    @pytest.fixture
    def lines(self, tmp_path) -> Callable[[str], list[str]]:
        def read(cache: str) -> list[str]:
            log = tmp_path / f"{cache}.log"
            lines = log.read_text().splitlines() if log.exists() else []
            return [line.partition(" ")[2] for line in lines]

        return read

    @pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
    def test_goes_on_and_gives_what_an_unbroken_run_gives(self, tmp_path, lines, sent) -> None:
        process = start(SLOW_SEARCH, tmp_path, "broken", "--out", "broken_out")
        wait_until(lambda: "step 2 began" in lines("broken"), process)
        process.send_signal(sent)
        assert process.wait(PATIENCE_SECONDS) != 0
        assert "step 3 began" not in lines("broken")
        assert entries(tmp_path / "broken") == []
        assert not list((tmp_path / "broken_out").glob("protein.*"))

        again = start(SLOW_SEARCH, tmp_path, "broken", "--out", "broken_out")
        assert again.wait(PATIENCE_SECONDS) == 0
        done = [line for line in lines("broken") if line.endswith("done")]
        assert done == [f"step {step} done" for step in range(4)]

        whole = start(SLOW_SEARCH, tmp_path, "whole", "--out", "whole_out")
        assert whole.wait(PATIENCE_SECONDS) == 0
        for name in ("protein.cif", "protein.confidence.json"):
            broken = (tmp_path / "broken_out" / name).read_bytes()
            assert broken == (tmp_path / "whole_out" / name).read_bytes()

    def test_two_runs_at_a_time_search_once(self, tmp_path, lines) -> None:
        processes = [
            start(SLOW_SEARCH, tmp_path, "shared", "--out", f"out_{number}") for number in "12"
        ]
        assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
        assert lines("shared").count("search") == 1
        assert confidence(tmp_path / "out_1") == confidence(tmp_path / "out_2")


def relatives(count: int, seed: int) -> str:
    """Sequences of which about a third of the residues are others than in SEQUENCE."""
    randomly = random.Random(seed)
    records = []
    for number in range(count):
        letters = [
            randomly.choice("ACDEFGHIKLMNPQRSTVWY") if randomly.random() < 0.35 else letter
            for letter in SEQUENCE
        ]
        records.append(f">relative_{number}\n{''.join(letters)}\n")
        records.append(f">other_{number}\n{''.join(randomly.sample(SEQUENCE, len(SEQUENCE)))}\n")
    return "".join(records)


@pytest.mark.slow
class TestWithMmseqs:
    """The real program on a database of a few sequences."""

    @pytest.fixture(autouse=True)
    def databases(self, family, monkeypatch, tmp_path) -> Databases:
        try:
            find_mmseqs()
        except DependencyError as error:
            pytest.skip(str(error))
        monkeypatch.setenv("ITDA_DATABASES", str(tmp_path / "databases"))
        databases = Databases()
        self.add(databases, tmp_path, seed=1)
        (tmp_path / "x.fa").write_text(f">protein\n{SEQUENCE}\n")
        return databases

    @staticmethod
    def add(databases: Databases, tmp_path: Path, seed: int) -> None:
        fasta = tmp_path / "small.fasta"
        fasta.write_text(relatives(20, seed))
        databases.add_sequences("small", fasta, shards=2)

    @staticmethod
    def finished(capsys, stage: str) -> dict[str, object]:
        """How a stage of the run just made ended."""
        told = map(json.loads, capsys.readouterr().out.splitlines())
        (event,) = (e for e in told if e["event"] == "stage_finished" and e["stage"] == stage)
        return event

    def searched(self, capsys) -> bool:
        """Whether the run just made searched, or found its alignment again."""
        return not self.finished(capsys, "alignment")["cached"]

    def test_second_run_does_no_search_and_a_changed_database_does(
        self, databases, tmp_path, capsys
    ) -> None:
        arguments = ["fold", "x.fa", "--msa", "mmseqs", "--threads", "1", "--json"]
        assert run(arguments) == 0 and self.searched(capsys)
        inputs = confidence(Path("x_itda"))["provenance"]["inputs"]
        assert int(inputs["alignment_rows"]) > 10
        assert databases.get("small").digest in inputs["alignment_search"]
        assert run(arguments) == 0 and not self.searched(capsys)
        assert run([*arguments, "--seed", "3", "--out", "other"]) == 0 and not self.searched(capsys)

        databases.remove("small")
        self.add(databases, tmp_path, seed=2)
        assert run([*arguments, "--overwrite"]) == 0 and self.searched(capsys)
        after = confidence(Path("x_itda"))["provenance"]["inputs"]
        assert after["alignment"] != inputs["alignment"]
        assert databases.get("small").digest in after["alignment_search"]

    def test_templates_are_taken_within_their_limits_and_found_again(
        self, databases, family, capsys
    ) -> None:
        databases.add_structures("known", FolderStructures(EXAMPLES))
        arguments = ["fold", "x.fa", "--templates", "known", "--threads", "1", "--json"]
        for cached in (False, True):
            assert run(arguments) == 0
            event = self.finished(capsys, "templates")
            assert event["cached"] is cached and event["message"] == "1 template: 1ubq_A (100%)"
        (template,) = family.evidence_of("protein").chains["A"].templates
        assert len(template.query_index) == 76 and template.atom_mask[:, 1].all()
        inputs = confidence(Path("x_itda"))["provenance"]["inputs"]
        assert inputs["templates"] == "1ubq_A"
        assert databases.get("known").digest in inputs["template_search"]

        limited = [*arguments, "--max-template-identity", "0.3", "--out", "limited"]
        assert run(limited) == 0
        event = self.finished(capsys, "templates")
        assert event["message"] == "no template; refused: 1 too much like the query"
        assert not event["cached"]
        assert family.evidence_of("protein").chains["A"].templates == ()

    def test_killed_search_is_taken_up_and_gives_the_same(self, tmp_path) -> None:
        options = ("--threads", "1", "--out")
        process = start(FAKE_FAMILY, tmp_path, "broken", *options, "broken_out")
        work = tmp_path / "broken" / "stages" / "work"
        wait_until(lambda: any(work.glob("*/*.step")), process)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        assert entries(tmp_path / "broken") == []
        kept = {path.name for path in work.glob("*/*.step")}
        assert kept

        for cache in ("broken", "whole"):
            again = start(FAKE_FAMILY, tmp_path, cache, *options, f"{cache}_out")
            assert again.wait(PATIENCE_SECONDS) == 0
        broken, whole = (confidence(tmp_path / f"{cache}_out") for cache in ("broken", "whole"))
        assert broken == whole
        assert int(broken["provenance"]["inputs"]["alignment_rows"]) > 10
        assert list(work.iterdir()) == []
