import errno
import fcntl
import gc
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from itda.engine.stages import Codec, Stage, Stages
from itda.errors import InputError, OutputError
from itda.store import store as store_module
from itda.store.entries import UNKNOWN_STAGE, bytes_on_disk
from itda.store.limit import MOST_BYTES_BY_DEFAULT, VARIABLE, limit_of, parse_size, set_limit
from itda.store.store import Store
from itda.store.usage import Pins, tally

CONTENT = bytes(range(256)) * 400
ENTRY_BYTES = 4096 + 4096 + 102_400
DAY = 24 * 3600.0


def key(number: int) -> str:
    return Store.key("predict", 1, {"number": number})


def put(store: Store, number: int, stage: str = "predict") -> None:
    store.put(key(number), {"a": CONTENT}, stage=stage, version=1)


def age(store: Store, number: int, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(store.folder / key(number)[:2] / key(number), (then, then))


def there(store: Store) -> list[int]:
    """Numbers of the entries, the longest unused first."""
    numbers = {key(number): number for number in range(100)}
    return [numbers[entry.key] for entry in reversed(store.entries())]


@pytest.fixture
def four(store: Store, monkeypatch) -> Store:
    """A store with room for four and a half entries that holds 0 to 3, of an ended process."""
    monkeypatch.setenv(VARIABLE, str(int(4.5 * ENTRY_BYTES)))
    earlier = Store(store.folder)
    for number in range(4):
        put(earlier, number)
        age(earlier, number, 10 - number)
    del earlier
    gc.collect()
    return store


def test_least_recently_used_go(four: Store) -> None:
    assert there(four) == [0, 1, 2, 3]
    assert four.get(key(0)) == {"a": CONTENT}
    put(four, 4)
    assert there(four) == [2, 3, 0, 4]
    assert four.get(key(1)) is None
    assert sum(entry.size_bytes for entry in four.entries()) <= 0.9 * 4.5 * ENTRY_BYTES


def test_nothing_goes_within_the_limit(four: Store, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, str(6 * ENTRY_BYTES))
    put(four, 4)
    assert there(four) == [0, 1, 2, 3, 4]


def test_no_limit(four: Store, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "none")
    for number in range(4, 12):
        put(four, number)
    assert len(there(four)) == 12


def test_recency_does_not_rest_on_the_time_of_access(four: Store) -> None:
    folder = four.folder / key(0)[:2] / key(0)
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (0, 0))
    before = time.time()
    four.get(key(0))
    assert folder.stat().st_mtime > before - 60  # the clock of files may be coarse


def test_what_a_process_has_put_or_found_stays_until_it_says_so(four: Store) -> None:
    for number in range(4):
        assert four.get(key(number)) is not None
        age(four, number, 10 - number)
    for number in range(4, 8):
        put(four, number)
    assert len(there(four)) == 8
    four.release([key(0), key(1), key(5)])
    put(four, 8)
    assert set(there(four)) == {2, 3, 4, 6, 7, 8}
    four.release()
    put(four, 9)
    assert there(four)[-1] == 9 and len(there(four)) <= 4


def test_entry_larger_than_the_limit_is_kept_while_it_is_used(four: Store, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "1k")
    put(four, 4)
    assert there(four) == [4]
    assert four.get(key(4)) == {"a": CONTENT}


def hold(store: Store, number: int) -> subprocess.Popen[str]:
    """Start a process that has found an entry and goes on."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from itda.store.store import Store\n"
        f"store = Store(Path({str(store.folder)!r}))\n"
        f"assert store.get({key(number)!r}) is not None\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_what_another_process_uses_stays_until_it_ends_however_it_ends(four: Store) -> None:
    process = hold(four, 1)
    try:
        age(four, 1, 20)
        put(four, 4)
        assert 1 in there(four) and 0 not in there(four)
        pruned = four.prune()
        assert {entry.key for entry in pruned.in_use} == {key(1), key(4)}
        assert set(there(four)) == {1, 4}
    finally:
        process.kill()
        process.wait()
    four.release()
    assert four.prune().in_use == () and there(four) == []
    assert len(list((four.folder / "running").iterdir())) <= 1


def test_process_that_did_not_say_what_it_uses_would_lose_it(four: Store, monkeypatch) -> None:
    process = hold(four, 1)
    try:
        monkeypatch.setattr(Pins, "of_all", lambda _self: set())
        assert len(four.prune().removed) == 4
    finally:
        process.kill()
        process.wait()


def test_several_processes_at_once(store: Store) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from itda.store.store import Store\n"
        f"store = Store(Path({str(store.folder)!r}))\n"
        "content = bytes(range(256)) * 400\n"
        "for number in range(int(sys.argv[1]), int(sys.argv[1]) + 40):\n"
        "    key = Store.key('predict', 1, {'number': number % 60})\n"
        "    store.put(key, {'a': content})\n"
        "    assert store.get(key) == {'a': content}, number\n"
        "    store.release([key])\n"
    )
    environment = {**os.environ, VARIABLE: str(10 * ENTRY_BYTES)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, start], env=environment)
        for start in ("0", "20", "30")
    ]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0, 0]
    assert list((store.folder / "waiting").iterdir()) == []
    entries = store.entries()
    size = sum(entry.size_bytes for entry in entries)
    assert 0 < size <= 13 * ENTRY_BYTES
    counted = int((store.folder / "usage").read_bytes().split()[0])
    # One that came while another process counted is counted twice, until the next count.
    assert size <= counted <= size + 2 * ENTRY_BYTES


@pytest.mark.parametrize("said", ["", "nothing", "7", "12 yesterday"])
def test_tally_that_cannot_be_read_is_made_anew(four: Store, said) -> None:
    (four.folder / "usage").write_text(said)
    put(four, 4)
    assert len(there(four)) == 4 and 0 not in there(four)


def test_a_tally_that_cannot_be_locked_is_neither_read_nor_written(four: Store, monkeypatch):
    """Two that change it at once would write down what is not so."""

    def refused(_descriptor, _operation):
        raise OSError(errno.ENOLCK, "No locks available")

    before = (four.folder / "usage").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refused)
        with tally(four.folder, alone=True) as one, tally(four.folder, alone=True) as other:
            assert one.size_bytes is other.size_bytes is None
            one.count(7)
            other.change(9)
        assert (four.folder / "usage").read_bytes() == before
        put(four, 4)  # and the limit holds all the same, by counting
        assert len(there(four)) == 4 and 0 not in there(four)
        assert (four.folder / "usage").read_bytes() == before


def test_entry_that_goes_while_it_is_read_is_none(four: Store, monkeypatch) -> None:
    read = store_module.read_entry

    def overtaken(folder: Path, key: str) -> dict[str, bytes]:
        shutil.rmtree(folder)
        return read(folder, key)

    monkeypatch.setattr(store_module, "read_entry", overtaken)
    assert four.get(key(0)) is None


def test_store_that_cannot_be_written_is_read_all_the_same(four: Store, monkeypatch) -> None:
    def refused(*_arguments, **_named):
        raise PermissionError(13, "Permission denied")

    for name in ("open", "utime"):
        monkeypatch.setattr(os, name, refused)
    monkeypatch.setattr(Path, "mkdir", refused)
    assert four.get(key(0)) == {"a": CONTENT}


class TestPrune:
    def test_by_age(self, four: Store) -> None:
        assert len(four.prune(unused_for_seconds=8.5 * DAY).removed) == 2
        assert there(four) == [2, 3]

    def test_to_a_size(self, four: Store) -> None:
        assert four.prune(to_bytes=ENTRY_BYTES).left_bytes == ENTRY_BYTES
        assert there(four) == [3]

    def test_of_a_stage(self, four: Store, monkeypatch) -> None:
        monkeypatch.setenv(VARIABLE, "none")
        put(four, 4, "validity")
        four.release()
        (removed,) = four.prune(stage="validity").removed
        assert removed.key == key(4) and removed.stage == "validity"
        assert there(four) == [0, 1, 2, 3]

    def test_dry(self, four: Store) -> None:
        pruned = four.prune(dry=True)
        assert len(pruned.removed) == 4 and pruned.left_bytes == 0
        assert there(four) == [0, 1, 2, 3]

    def test_only_entries_go(self, four: Store) -> None:
        foreign = [
            four.folder / "ab" / ("c" * 64),
            four.folder / "thesis",
            four.folder / "ab" / "x",
        ]
        for folder in foreign:
            folder.mkdir(parents=True)
            (folder / "entry.json").write_text("{}")
        four.prune()
        assert all((folder / "entry.json").exists() for folder in foreign)

    def test_of_nothing(self, store: Store) -> None:
        assert store.prune().removed == () and not store.folder.exists()


def test_entry_says_what_it_is(four: Store) -> None:
    entry = four.entries()[0]
    assert entry.stage == "predict" and entry.manifest["version"] == 1
    assert entry.manifest["itda"] and entry.manifest["created"].endswith("+00:00")
    assert entry.size_bytes == ENTRY_BYTES == bytes_on_disk(entry.folder)


def test_older_entry_without_a_stage_is_read(four: Store) -> None:
    entry = four.entries()[0]
    text = (entry.folder / "entry.json").read_text()
    lines = [
        line
        for line in text.splitlines()
        if line.split(":")[0].strip(' "') not in ("stage", "version", "itda", "created")
    ]
    assert len(lines) == len(text.splitlines()) - 4
    (entry.folder / "entry.json").write_text("\n".join(lines))
    assert four.get(entry.key) == {"a": CONTENT}
    assert four.entries()[0].stage == UNKNOWN_STAGE


class TestLimit:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("5G", 5 * 10**9),
            ("500 MB", 5 * 10**8),
            ("1.5KiB", 1536),
            ("12", 12),
            ("2t", 2 * 10**12),
        ],
    )
    def test_sizes(self, text, size) -> None:
        assert parse_size(text, what="x") == size

    @pytest.mark.parametrize("text", ["", "G", "5 X", "-1G", "5iB", "1e9", "5GG"])
    def test_what_is_no_size(self, text) -> None:
        with pytest.raises(InputError, match=r"x: .* is no size"):
            parse_size(text, what="x")

    @pytest.mark.parametrize(
        ("disk", "limit"), [(50 * 10**9, 5 * 10**9), (10**13, MOST_BYTES_BY_DEFAULT)]
    )
    def test_default_is_a_share_of_the_disk(self, tmp_path, monkeypatch, disk, limit) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(disk, 0, disk))
        assert limit_of(tmp_path / "a" / "b").size_bytes == limit

    def test_set_and_forgotten(self, store: Store, monkeypatch) -> None:
        set_limit(store.folder, "5G")
        assert store.limit.size_bytes == 5 * 10**9 and "cache limit" in store.limit.source
        set_limit(store.folder, "none")
        assert store.limit.size_bytes is None
        monkeypatch.setenv(VARIABLE, "7k")
        assert store.limit.size_bytes == 7000 and VARIABLE in store.limit.source
        monkeypatch.delenv(VARIABLE)
        set_limit(store.folder, None)
        assert store.limit.source == "the default"

    def test_set_limit_holds(self, four: Store, monkeypatch) -> None:
        monkeypatch.delenv(VARIABLE)
        set_limit(four.folder, "1k")
        put(four, 4)
        assert there(four) == [4]

    def test_wrong_ones_are_refused_before_any_work(self, store: Store, monkeypatch) -> None:
        with pytest.raises(InputError):
            set_limit(store.folder, "much")
        monkeypatch.setenv(VARIABLE, "much")
        with pytest.raises(InputError, match=f"{VARIABLE}: 'much'"):
            Store(store.folder)

    def test_folder_that_cannot_be_written(self, tmp_path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError) as raised:
            set_limit(tmp_path / "file", "5G")
        assert "--cache" in raised.value.hint


class TestStages:
    """What a job uses stays until it is done; what two jobs share, until both are."""

    CODEC = Codec[str](lambda value: {"a": value.encode()}, lambda files: files["a"].decode())

    def run(self, stages: Stages, job: str, number: int) -> bool:
        events = stages.find_or_compute(
            job, Stage("predict", 1), {"number": number}, lambda _progress: "x", self.CODEC
        )
        while True:
            try:
                next(events)
            except StopIteration as stopped:
                return stopped.value[1]

    def test_release(self, store: Store) -> None:
        stages = Stages(store)
        assert [self.run(stages, *one) for one in (("a", 1), ("a", 2), ("b", 2))] == [
            False, False, True,
        ]  # fmt: skip
        stages.release("a")
        pruned = store.prune()
        assert [entry.key for entry in pruned.removed] == [key(1)]
        assert [entry.key for entry in pruned.in_use] == [key(2)]
        stages.release("b")
        assert [entry.key for entry in store.prune().removed] == [key(2)]
        stages.release("never seen")

    def test_without_a_store(self) -> None:
        stages = Stages(None)
        assert not self.run(stages, "a", 1)
        stages.release("a")
