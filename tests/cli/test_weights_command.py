import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hub.laboratory import CONFIG, MODEL, DoublingConverter, model_bytes
from tests.hub.servers import REPO, REVISION, Server, serving

from itda.cli import main, transfer_progress
from itda.hub import fetch, registry
from itda.hub.fetch import Transferred
from itda.hub.folders import source_folder
from itda.hub.registry import WeightSet
from itda.models import registry as families

Run = Callable[..., tuple[int, str, str]]


class _Laboratory:
    """A family that converts the test's weights."""

    converter = DoublingConverter()


FAMILY = _Laboratory()


@pytest.fixture
def weights(tmp_path, monkeypatch, capsys) -> Run:
    """Run `itda weights`; gives status, standard output and standard error."""
    for name in ("ITDA_WEIGHTS", "ITDA_MIRROR", "ITDA_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(fetch.download.__kwdefaults__, "wait", lambda seconds: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main.run(["weights", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def hub():
    """A server as the Hugging Face hub, with a model."""
    content = {MODEL: model_bytes(50_000), CONFIG: b'{"width": 5}'}
    start = f"{REPO}/resolve/{REVISION}/"
    with serving(Server({start + name: data for name, data in content.items()}, hub=True)) as one:
        yield one


@pytest.fixture
def laboratory(hub, monkeypatch) -> Callable[..., WeightSet]:
    """Make the set `lab` known, and the family that runs it."""

    def make(*, non_commercial: bool = False) -> WeightSet:
        content = registry.get_weight_set("esmfold_v1").model_dump(mode="json")
        content |= {"name": "lab", "family": "laboratory"}
        content["source"] |= {"repo": REPO, "revision": REVISION}
        content["files"] = [
            {"name": name, "bytes": None, "sha256": None} for name in (MODEL, CONFIG)
        ]
        content["licence"]["non_commercial"] = non_commercial
        made = WeightSet.model_validate(content)
        known = {**registry.weight_sets(), "lab": made}
        monkeypatch.setattr(registry, "weight_sets", lambda: known)
        entry = {**families.FAMILIES, "laboratory": f"{__name__}:FAMILY"}
        monkeypatch.setattr(families, "FAMILIES", entry)
        return made

    return make


def test_list(weights: Run, tmp_path: Path) -> None:
    status, out, _ = weights("list")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["name", "family", "source", "size", "licence", "state"]
    assert lines[1].endswith("Apache-2.0    built in")
    assert "facebook/esmfold_v1@75a3841e " in out
    assert "about 8.4 GB" in out
    assert max(map(len, lines[:-1])) <= 100
    assert lines[-1] == f"in {tmp_path / 'home' / 'weights'}"
    entries = json.loads(weights("list", "--json")[1])["weights"]
    assert [entry["name"] for entry in entries] == ["mini", "flashabb", "esmfold_v1"]
    assert entries[0]["bytes"] > 10_000_000
    assert entries[2]["state"] == "not here"
    assert "itda weights pull esmfold_v1" in entries[2]["how_to_get"]


def test_pull_verify_remove(weights: Run, hub: Server, laboratory) -> None:
    laboratory()
    status, out, err = weights("pull", "lab", "--mirror", hub.url)
    assert status == 0, err
    assert f"lab: {MODEL} is here and verified" in out
    path = Path(out.splitlines()[-1].removeprefix("lab is ready: "))
    assert path.name.startswith("converted-")
    assert path.is_file()
    assert "installed" in weights("list")[1]
    status, out, _ = weights("verify", "lab")
    assert (status, out.count("is whole, SHA-256")) == (0, 3)
    path.write_bytes(path.read_bytes()[:-1])
    status, _, err = weights("verify")
    assert status == 2
    assert "it was truncated or altered" in err
    status, out, _ = weights("remove", "lab")
    assert status == 0
    assert out.startswith("lab removed, ")
    status, _, err = weights("verify", "lab")
    assert status == 1
    assert "nothing of it is here" in err


def test_stopped_pull_is_shown_and_goes_on(weights: Run, hub: Server, laboratory) -> None:
    laboratory()
    hub.cut_after = [60_000, 0, 0, 0, 0]
    status, _, err = weights("pull", "lab", "--mirror", hub.url)
    assert status == 1
    assert "60,000 bytes are here" in err
    assert "hint: the same command goes on from there" in err
    assert "lab: 60." in weights("list")[1]
    hub.cut_after = []
    assert weights("pull", "lab", "--mirror", hub.url)[0] == 0
    assert hub.gets()[-2] == "bytes=60000-"


def test_pull_as_json_lines(weights: Run, hub: Server, laboratory) -> None:
    laboratory()
    status, out, _ = weights("pull", "lab", "--mirror", hub.url, "--json")
    assert status == 0
    events = [json.loads(line) for line in out.splitlines()]
    moved = [event for event in events if event["event"] == "transfer"]
    assert {event["file"] for event in moved} == {MODEL, CONFIG}
    last = [event for event in moved if event["file"] == MODEL][-1]
    assert last["bytes"] == last["total_bytes"] == (source_folder("lab") / MODEL).stat().st_size
    assert events[-1]["message"].startswith("lab is ready")


def test_offline(weights: Run, laboratory, monkeypatch) -> None:
    laboratory()
    monkeypatch.setenv("ITDA_OFFLINE", "1")
    status, _, err = weights("pull", "lab")
    assert status == 1
    assert f"https://huggingface.co/{REPO}/resolve/{REVISION}/{MODEL}" in err
    assert "itda weights import lab FOLDER" in err


def test_import(weights: Run, laboratory, tmp_path: Path) -> None:
    laboratory()
    folder = tmp_path / "usb"
    folder.mkdir()
    (folder / CONFIG).write_bytes(b"{}")
    (folder / "notes.txt").write_text("x")
    status, out, err = weights("import", "lab", folder)
    assert status == 2
    assert "its publisher gives no digest; it has SHA-256 44136fa3" in out
    assert "not taken, since lab has no such files: notes.txt" in err
    assert f"lab still needs {MODEL}" in err
    (folder / MODEL).write_bytes(model_bytes())
    status, out, _ = weights("import", "lab", folder / MODEL, "--link")
    assert status == 0
    assert "lab is ready" in out
    status, _, err = weights("import", "lab", folder / "notes.txt")
    assert status == 1
    assert "was not opened" in err


def test_licence_is_shown_and_asked_for(weights: Run, hub: Server, laboratory) -> None:
    laboratory(non_commercial=True)
    status, _, err = weights("pull", "lab", "--mirror", hub.url)
    assert status == 1
    assert "Permission is hereby granted" in err
    assert "must be acknowledged first" in err
    assert not hub.requests
    assert "Not acknowledged yet" in weights("licence", "lab")[1]
    assert weights("pull", "lab", "--mirror", hub.url, "--accept-licence")[0] == 0
    status, out, _ = weights("licence", "lab")
    assert "Commercial use is forbidden." in out
    assert "Acknowledged by " in out
    assert "non-commercial" in weights("list")[1]
    # Once is enough.
    assert weights("pull", "lab")[0] == 0


@pytest.mark.parametrize(("answer", "status"), [("yes\n", 0), ("y\n", 1), ("\n", 1)])
def test_licence_is_typed_on_a_terminal(
    weights: Run, hub: Server, laboratory, monkeypatch, answer: str, status: int
) -> None:
    laboratory(non_commercial=True)
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert weights("pull", "lab", "--mirror", hub.url)[0] == status


def test_permissive_licence(weights: Run) -> None:
    status, out, _ = weights("licence", "flashabb")
    assert status == 0
    assert "University of Oxford" in out
    assert "It needs no acknowledgement." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pull", "esmfold"), "did you mean esmfold_v1?"),
        (("verify", "esmfold"), "did you mean esmfold_v1?"),
        (("remove", "mini"), "come with Itda"),
        (("remove", "esmfold_v1"), "nothing of weights esmfold_v1"),
        (("import", "mini", "."), "come with Itda"),
        (("import", "esmfold_v1", "nowhere"), "is no file of weights esmfold_v1"),
        (("pull", "esmfold_v1", "--mirror", "ftp://x"), "no http address"),
    ],
)
def test_refused_by_name(weights: Run, arguments: tuple[object, ...], said: str) -> None:
    status, _, err = weights(*arguments)
    assert status == 1
    assert said in err
    assert "Traceback" not in err


def test_what_comes_with_itda_needs_no_pull(weights: Run) -> None:
    assert weights("pull", "mini")[:2] == (0, "mini comes with Itda; there is nothing to pull\n")


def test_lines_of_a_long_download(capsys, monkeypatch) -> None:
    clock = iter([100.0, 112.0, 113.0])
    monkeypatch.setattr(transfer_progress.time, "monotonic", lambda: next(clock))
    with transfer_progress.transfer_progress("lab") as show:
        show(Transferred(MODEL, 1_000_000, 8_000_000_000))
        show(Transferred(MODEL, 1_201_000_000, 8_000_000_000))
        show(Transferred(MODEL, 1_301_000_000, 8_000_000_000, "the server stumbled"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lab: model.bin 1.2 GB of 8.0 GB, 100.0 MB/s, about 1 min 08 s left"
    assert lines[1] == "warning: model.bin: the server stumbled"
    assert len(lines) == 3
