import json
import os
import subprocess
import sys
import time

import pytest

from itda.store import store as store_module
from itda.store.store import DamagedEntryError, Store, digest_of

KEY = Store.key("predict", 1, {"sequence": "MKT", "seed": 0})
FILES = {"a.npz": bytes(range(256)) * 40, "b.json": b'{"x": 1}'}


def test_what_is_put_is_found(store: Store) -> None:
    assert store.get(KEY) is None
    store.put(KEY, FILES)
    assert store.get(KEY) == FILES
    assert Store(store.folder).get(KEY) == FILES


def test_nothing_waits_after_a_put(store: Store) -> None:
    store.put(KEY, FILES)
    store.put(KEY, FILES)
    assert list((store.folder / "waiting").iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        ("validity", 1, {"sequence": "MKT", "seed": 0}),
        ("predict", 2, {"sequence": "MKT", "seed": 0}),
        ("predict", 1, {"sequence": "MKT", "seed": 1}),
        ("predict", 1, {"sequence": "MKT", "seed": "0"}),
        ("predict", 1, {"sequence": "MKT"}),
    ],
)
def test_key_depends_on_everything(other) -> None:
    assert Store.key(*other) != KEY


def test_key_does_not_depend_on_order() -> None:
    assert Store.key("predict", 1, {"seed": 0, "sequence": "MKT"}) == KEY


def test_digest_refuses_what_json_has_not() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest_of({"x": float("nan")})


def entry(store: Store, name: str):
    return store.folder / KEY[:2] / KEY / name


def flip_a_bit(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "altered": lambda store: flip_a_bit(entry(store, "a.npz")),
    "truncated": lambda store: os.truncate(entry(store, "a.npz"), 100),
    "emptied": lambda store: os.truncate(entry(store, "b.json"), 0),
    "file gone": lambda store: entry(store, "a.npz").unlink(),
    "manifest gone": lambda store: entry(store, "entry.json").unlink(),
    "manifest torn": lambda store: os.truncate(entry(store, "entry.json"), 30),
    "manifest of nothing": lambda store: entry(store, "entry.json").write_text("[]"),
    "other format": lambda store: entry(store, "entry.json").write_text(
        json.dumps({"format": 99, "key": KEY, "files": {}})
    ),
    "other entry": lambda store: entry(store, "entry.json").write_text(
        json.dumps({"format": 1, "key": "0" * 64, "files": {}})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_entry_is_not_used_and_can_be_replaced(store: Store, damage) -> None:
    store.put(KEY, FILES)
    damage(store)
    with pytest.raises(DamagedEntryError):
        store.get(KEY)
    store.discard(KEY)
    assert store.get(KEY) is None
    store.put(KEY, FILES)
    assert store.get(KEY) == FILES


def test_discarding_nothing_is_harmless(store: Store) -> None:
    store.discard(KEY)
    assert store.get(KEY) is None


def test_failed_put_leaves_nothing(store: Store, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put(KEY, FILES)
    assert store.get(KEY) is None
    assert list((store.folder / "waiting").iterdir()) == []


def test_entry_put_by_another_process_meanwhile_stays(store: Store, monkeypatch) -> None:
    rename = store_module._rename

    def overtaken(source, target) -> None:
        monkeypatch.setattr(store_module, "_rename", rename)
        Store(store.folder).put(KEY, FILES)
        rename(source, target)

    monkeypatch.setattr(store_module, "_rename", overtaken)
    store.put(KEY, {"a.npz": b"later"})
    assert store.get(KEY) == FILES


def test_killed_writer_leaves_no_entry(store: Store, tmp_path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from itda.store import store\n"
        "def die(source, target): os._exit(9)\n"
        "store._rename = die\n"
        f"store.Store(Path({str(store.folder)!r})).put({KEY!r}, {{'a': b'x' * 1000}})\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert len(list((store.folder / "waiting").iterdir())) == 1
    assert store.get(KEY) is None


def test_old_leftovers_are_swept(store: Store) -> None:
    waiting = store.folder / "waiting"
    (waiting / "old").mkdir(parents=True)
    (waiting / "new").mkdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(waiting / "old", (two_days_ago, two_days_ago))
    store.put(KEY, FILES)
    assert [path.name for path in waiting.iterdir()] == ["new"]
