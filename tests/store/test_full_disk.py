"""A cache that a full disk cut short is never read: it is computed anew, and the user is told."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.engine.events import Event, JobWarned
from itda.engine.stages import Codec, Stage, Stages
from itda.store import entries as store_entries
from itda.store import store as store_module
from itda.store.store import DamagedEntryError, Store

PREDICT = Stage("predict", 1)
INPUTS = {"sequence": "MKT", "seed": 0}
KEY = Store.key(PREDICT.name, PREDICT.version, INPUTS)
FILES = {"a.npz": bytes(range(256)) * 40, "b.json": b'{"x": 1}'}
CODEC = Codec[dict[str, bytes]](dict, dict)

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """Fails from the call of a number on, as a full disk does; counts the calls before."""

    def __init__(self, monkeypatch, *, full_at: int = sys.maxsize, leave: bool = False) -> None:
        self.calls = 0
        self.full_at = full_at
        for module, name, half in (
            (store_entries, "write_pieces", self._write_half),
            (os, "fsync", None),
            (os, "utime", None),
            (Path, "mkdir", None),
            (store_module, "_rename", None),
        ):
            monkeypatch.setattr(module, name, self._limited(getattr(module, name), half))
        if leave:
            # As where the process is killed at that moment, and nothing tidies up.
            monkeypatch.setattr(shutil, "rmtree", lambda *_arguments, **_named: None)

    def _limited(self, function: Callable, half: Callable | None) -> Callable:
        def limited(*arguments, **named):
            self.calls += 1
            if self.calls < self.full_at:
                return function(*arguments, **named)
            if half is not None:
                half(*arguments, **named)
            raise FULL

        return limited

    @staticmethod
    def _write_half(path: Path, pieces: list[bytes], *, synced: bool) -> None:
        [content] = pieces
        path.write_bytes(content[: len(content) // 2])


def compute(store: Store) -> tuple[int, list[str], dict[str, bytes]]:
    """Run a stage; returns how often it was computed, the warnings and the result."""
    computed = 0

    def work(_progress) -> dict[str, bytes]:
        nonlocal computed
        computed += 1
        return FILES

    events = Stages(store).find_or_compute("job", PREDICT, INPUTS, work, CODEC)
    told: list[Event] = []
    while True:
        try:
            told.append(next(events))
        except StopIteration as stopped:
            warnings = [event.message for event in told if isinstance(event, JobWarned)]
            return computed, warnings, stopped.value[0]


def calls_of_a_put(folder: Path, *, sync: bool) -> int:
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        Store(folder).put(KEY, FILES, sync=sync)
    return disk.calls


@pytest.mark.parametrize("sync", [True, False], ids=["synced", "not synced"])
@pytest.mark.parametrize("leave", [False, True], ids=["tidied", "killed"])
def test_disk_that_fills_up_at_any_moment_of_a_put(tmp_path, leave, sync) -> None:
    calls = calls_of_a_put(tmp_path / "whole", sync=sync)
    assert calls >= (13 if sync else 8)
    failed = 0
    for moment in range(1, calls + 1):
        store = Store(tmp_path / str(moment))
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, full_at=moment, leave=leave)
            try:
                store.put(KEY, FILES, sync=sync)
            except OSError:
                failed += 1
        later = Store(store.folder)
        found = later.get(KEY)
        assert found in (None, FILES), moment
        assert compute(later) == (1 if found is None else 0, [], FILES)
        assert later.get(KEY) == FILES
    assert failed >= calls // 2


@pytest.mark.parametrize("leave", [False, True], ids=["tidied", "killed"])
def test_result_that_cannot_be_kept_is_given_with_a_warning(store: Store, leave) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Disk(patch, full_at=4, leave=leave)
        computed, (warning,), result = compute(store)
    assert computed == 1 and result == FILES
    assert "cannot be kept" in warning and "No space left" in warning
    assert compute(store) == (1, [], FILES)
    assert compute(store) == (0, [], FILES)


def cut(path: Path, length: int) -> None:
    os.truncate(path, length)


def blank(path: Path, length: int) -> None:
    """Keep the size and lose the rest, as where blocks were promised and never written."""
    size = path.stat().st_size
    os.truncate(path, length)
    os.truncate(path, size)


@pytest.mark.parametrize("harm", [cut, blank])
@pytest.mark.parametrize("name", ["a.npz", "b.json", "entry.json"])
def test_file_that_was_cut_short_anywhere_is_not_read(store: Store, name, harm) -> None:
    store.put(KEY, FILES)
    path = store.folder / KEY[:2] / KEY / name
    content = path.read_bytes()
    step = max(1, len(content) // 150)
    for length in [*range(0, len(content) - 1, step), len(content) - 1]:
        if harm is blank and not content[length:].strip(b"\0"):
            continue
        path.write_bytes(content)
        harm(path, length)
        with pytest.raises(DamagedEntryError):
            store.get(KEY)
    path.write_bytes(content)
    assert store.get(KEY) == FILES


@pytest.mark.parametrize("name", ["a.npz", "b.json", "entry.json"])
def test_stage_whose_result_was_cut_short_is_computed_anew_with_a_warning(
    store: Store, name
) -> None:
    assert compute(store) == (1, [], FILES)
    assert compute(store) == (0, [], FILES)
    path = store.folder / KEY[:2] / KEY / name
    cut(path, path.stat().st_size // 2)
    computed, (warning,), result = compute(Store(store.folder))
    assert computed == 1 and result == FILES
    assert "damaged and is computed anew" in warning
    assert compute(Store(store.folder)) == (0, [], FILES)


def test_what_is_not_compared_with_its_digest_would_be_read(store: Store, monkeypatch) -> None:
    store.put(KEY, FILES)
    cut(store.folder / KEY[:2] / KEY / "a.npz", 100)
    monkeypatch.setattr(
        store_entries, "_read_verified", lambda path, **_expected: path.read_bytes()
    )
    assert store.get(KEY) == {**FILES, "a.npz": FILES["a.npz"][:100]}


ON_A_SMALL_DISK = """
import os, resource, sys
from pathlib import Path
from itda.store.store import Store
how, folder, key = sys.argv[1:]
if how == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
store = Store(Path(folder) / "store")
content = bytes(range(256)) * 160
store.put("0" * 64, {"small": content})
try:
    store.put(key, {"small": content, "large": content * 10})
except OSError as error:
    print(error.errno)
assert store.get(key) is None
assert list((store.folder / "waiting").iterdir()) == []
assert store.get("0" * 64) == {"small": content}
"""


def test_file_that_may_not_grow(tmp_path) -> None:
    command = [sys.executable, "-c", ON_A_SMALL_DISK, "limited", str(tmp_path), KEY]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) == errno.EFBIG


def test_real_full_disk(tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=256k none "{disk}" && exec "$@"'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a small disk of his own")
    command = [*alone, sys.executable, "-c", ON_A_SMALL_DISK, "full", str(disk), KEY]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) == errno.ENOSPC
