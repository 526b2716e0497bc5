import json
import os
import time
from pathlib import Path

import pytest

from itda.cli.main import run
from itda.store.limit import VARIABLE
from itda.store.store import Store

DAY = 24 * 3600.0
CONTENT = b"x" * 8000
STAGES = ("alignment", "predict", "validity")
ENTRY_BYTES = 16_384


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ITDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "cache" / "stages"


@pytest.fixture
def keys(folder) -> list[str]:
    """Three entries that were used 50, 20 and 0 days ago, of an ended process."""
    store = Store(folder)
    keys = []
    for stage, days in zip(STAGES, (50, 20, 0), strict=True):
        keys.append(Store.key(stage, 1, {}))
        store.put(keys[-1], {"a": CONTENT}, stage=stage, version=1)
        then = time.time() - days * DAY
        os.utime(place(folder, keys[-1]), (then, then))
    store.release()
    return keys


def place(folder: Path, key: str) -> Path:
    return folder / key[:2] / key


def kept(folder: Path) -> list[str]:
    return [entry.stage for entry in reversed(Store(folder).entries())]


def told(capsys, *arguments: str) -> dict:
    assert run(["cache", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info(folder, keys, capsys) -> None:
    content = told(capsys, "info")
    assert content["folder"] == str(folder)
    assert content["entries"] == 3 and content["bytes"] == 3 * ENTRY_BYTES
    assert content["stages"] == {stage: {"entries": 1, "bytes": ENTRY_BYTES} for stage in STAGES}
    assert content["limit_source"] == "the default" and content["limit_bytes"] > 0
    (folder / "work" / "x").mkdir(parents=True)
    (folder / "work" / "x" / "step").write_bytes(CONTENT)
    assert told(capsys, "info")["unfinished_bytes"] == 3 * 4096
    assert run(["cache", "info"]) == 0
    shown = capsys.readouterr().out
    assert "3 entries, 49.2 kB" in shown and "  alignment 1 entry, 16.4 kB" in shown
    assert str(folder) in shown and "by the default" in shown


def test_info_of_nothing(folder, capsys) -> None:
    content = told(capsys, "info")
    assert content["entries"] == 0 and content["oldest_use"] is None
    assert run(["cache", "list"]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    assert not folder.exists()


def test_list(keys, capsys) -> None:
    entries = told(capsys, "list")["entries"]
    assert [entry["stage"] for entry in entries] == ["validity", "predict", "alignment"]
    assert [entry["key"] for entry in entries] == keys[::-1]
    assert all(entry["itda"] and entry["created"] and entry["version"] == 1 for entry in entries)
    (only,) = told(capsys, "list", "--stage", "predict")["entries"]
    assert only["key"] == keys[1]
    assert run(["cache", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[1].startswith(keys[2][:12])


def test_stage_of_which_nothing_is_kept(keys, capsys) -> None:
    assert run(["cache", "prune", "--stage", "folding"]) == 1
    assert "hint: there is: alignment, predict, validity" in capsys.readouterr().err


class TestVerify:
    def test_whole(self, keys, capsys) -> None:
        assert told(capsys, "verify") | {"folder": ""} == {
            "folder": "", "whole": 3, "removed": 0, "damaged": [],
        }  # fmt: skip

    def test_damaged_is_told_and_stays_until_it_is_to_go(self, folder, keys, capsys) -> None:
        path = place(folder, keys[1]) / "a"
        path.write_bytes(CONTENT[:-1] + b"y")
        assert run(["cache", "verify"]) == 2
        shown = capsys.readouterr()
        assert "2 entries whole, 1 damaged, 0 removed" in shown.out
        assert str(path) in shown.err and "verify --remove" in shown.err
        assert len(kept(folder)) == 3
        assert run(["cache", "verify", "--remove", "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["removed"] == 1 and content["damaged"][0]["key"] == keys[1]
        assert kept(folder) == ["alignment", "validity"]
        assert run(["cache", "verify"]) == 0

    def test_nothing_whole(self, folder, keys) -> None:
        for key in keys:
            (place(folder, key) / "entry.json").unlink()
        assert run(["cache", "verify"]) == 1

    def test_does_not_count_as_use(self, folder, keys) -> None:
        before = place(folder, keys[0]).stat().st_mtime
        assert run(["cache", "verify"]) == 0
        assert place(folder, keys[0]).stat().st_mtime == before


class TestPrune:
    @pytest.mark.parametrize(
        ("options", "left"),
        [
            (["--older-than", "30d"], ["predict", "validity"]),
            (["--older-than", "1w"], ["validity"]),
            (["--to", "40k"], ["predict", "validity"]),
            (["--to", "0"], []),
            (["--stage", "validity"], ["alignment", "predict"]),
            (["--stage", "predict", "--older-than", "30d"], ["alignment", "predict", "validity"]),
            (["--older-than", "1d", "--to", "20k"], ["validity"]),
            ([], ["alignment", "predict", "validity"]),
        ],
    )
    def test_options(self, folder, keys, capsys, options, left) -> None:
        content = told(capsys, "prune", *options)
        assert kept(folder) == left
        assert len(content["removed"]) == 3 - len(left)
        assert content["bytes"] == len(left) * ENTRY_BYTES

    def test_down_to_the_limit_where_nothing_is_said(self, folder, keys, monkeypatch) -> None:
        monkeypatch.setenv(VARIABLE, "20k")
        assert run(["cache", "prune"]) == 0
        assert kept(folder) == ["validity"]

    def test_dry_run(self, folder, keys, capsys) -> None:
        assert run(["cache", "prune", "--to", "0", "--dry-run"]) == 0
        assert "would remove 3 entries, 49.2 kB; 0 bytes would stay" in capsys.readouterr().out
        assert len(kept(folder)) == 3

    @pytest.mark.parametrize(
        "options", [["--older-than", "30"], ["--older-than", "d"], ["--to", "5Q"]]
    )
    def test_what_cannot_be_read(self, folder, keys, capsys, options) -> None:
        assert run(["cache", "prune", *options]) == 1
        shown = capsys.readouterr().err
        assert options[0] in shown and options[1] in shown and "hint: write" in shown
        assert len(kept(folder)) == 3


class TestClear:
    def test_asks_where_somebody_is_there(self, folder, keys, capsys) -> None:
        assert run(["cache", "clear"]) == 1
        assert "--yes" in capsys.readouterr().err
        assert len(kept(folder)) == 3

    def test_all_goes_but_what_is_not_of_the_cache(self, folder, keys, capsys) -> None:
        work = folder / "work"
        for name in ("b" * 64, "thesis"):
            (work / name).mkdir(parents=True)
        assert run(["cache", "limit", "5G"]) == 0
        assert run(["cache", "clear", "--yes"]) == 0
        assert "removed 3 entries" in capsys.readouterr().out
        assert kept(folder) == [] and [path.name for path in work.iterdir()] == ["thesis"]
        assert Store(folder).limit.size_bytes == 5 * 10**9

    def test_what_a_running_process_uses_stays(self, folder, keys, capsys) -> None:
        running = Store(folder)
        assert running.get(keys[0]) is not None
        assert run(["cache", "clear", "--yes"]) == 0
        shown = capsys.readouterr()
        assert "removed 2 entries" in shown.out and "a running process uses 1 entry" in shown.err
        assert running.get(keys[0]) is not None


class TestLimit:
    def test_set_and_shown(self, folder, capsys) -> None:
        assert run(["cache", "limit", "5G"]) == 0
        assert "5.0 GB, by `itda cache limit`" in capsys.readouterr().out
        assert told(capsys, "limit")["limit_bytes"] == 5 * 10**9
        assert told(capsys, "limit", "none")["limit_bytes"] is None
        assert told(capsys, "limit", "default")["limit_source"] == "the default"

    def test_environment_goes_first(self, folder, monkeypatch, capsys) -> None:
        monkeypatch.setenv(VARIABLE, "7G")
        assert run(["cache", "limit", "5G"]) == 0
        shown = capsys.readouterr()
        assert "7.0 GB" in shown.out and VARIABLE in shown.err

    def test_what_is_no_size(self, folder, capsys) -> None:
        assert run(["cache", "limit", "plenty"]) == 1
        assert "'plenty' is no size" in capsys.readouterr().err
        assert not folder.exists()

    def test_one_that_was_altered_is_told_and_can_be_mended(self, folder, keys, capsys) -> None:
        (folder / "limit").write_text("plenty\n")
        assert run(["cache", "info"]) == 1
        assert str(folder / "limit") in capsys.readouterr().err
        assert run(["cache", "limit", "default"]) == 0
        assert run(["cache", "info"]) == 0


def test_folder_that_is_none(tmp_path, folder, capsys) -> None:
    (tmp_path / "file").touch()
    assert run(["cache", "info", "--cache", str(tmp_path / "file")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert run(["cache", "clear", "--yes", "--cache", str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
