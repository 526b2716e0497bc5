import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from itda.store import workplace as workplace_module
from itda.store.store import Store
from itda.store.workplace import ABANDONED_AFTER_SECONDS, clear_work, workplace

KEY = "a" * 64


def silent(fraction: float, message: str) -> None:
    pass


def open_files() -> int:
    """Files that this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_folder_stays_until_its_user_is_done(store: Store) -> None:
    with workplace(store, KEY, silent) as place:
        (place.folder / "step").write_text("1")
    with workplace(store, KEY, silent) as place:
        assert (place.folder / "step").read_text() == "1"
        place.finish()
    assert list((store.folder / "work").iterdir()) == []


def test_folder_stays_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), workplace(store, KEY, silent) as place:
        (place.folder / "step").touch()
        raise ZeroDivisionError
    with workplace(store, KEY, silent) as place:
        assert (place.folder / "step").exists()


def test_keys_do_not_share(store: Store) -> None:
    with workplace(store, KEY, silent) as one, workplace(store, "b" * 64, silent) as other:
        assert one.folder != other.folder


def test_without_a_store_the_folder_is_temporary() -> None:
    with workplace(None, KEY, silent) as place:
        (place.folder / "step").touch()
    assert not place.folder.exists()


def test_store_that_cannot_be_written_is_done_without(tmp_path) -> None:
    (tmp_path / "file").touch()
    with workplace(Store(tmp_path / "file"), KEY, silent) as place:
        (place.folder / "step").touch()
        assert "begins anew" in place.problem and str(tmp_path / "file") in place.problem
    assert not place.folder.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_done_without_and_says_so(store, monkeypatch, number) -> None:
    def refused(_descriptor, _operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with workplace(store, KEY, silent) as place:
        assert store.folder not in place.folder.parents
        assert os.strerror(number) in place.problem


def test_what_another_left_that_cannot_be_removed_is_no_hindrance(store, monkeypatch) -> None:
    def refused(_root):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(workplace_module, "_sweep", refused)
    with workplace(store, KEY, silent) as place:
        assert store.folder in place.folder.parents and not place.problem


def test_without_a_store_nothing_is_said() -> None:
    with workplace(None, KEY, silent) as place:
        assert not place.problem


def test_second_user_waits_and_says_so(store: Store) -> None:
    inside, order, said = threading.Event(), [], []

    def hold() -> None:
        with workplace(store, KEY, silent) as place:
            inside.set()
            time.sleep(0.5)
            order.append("first")
            place.finish()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    with workplace(store, KEY, lambda fraction, message: said.append(message)) as place:
        order.append("second")
        assert place.folder.is_dir() and place.waited_seconds > 0
    thread.join()
    assert order == ["first", "second"] and "waiting" in said[0]


def test_lock_that_was_given_up_while_it_was_awaited_is_no_lock(store: Store, monkeypatch) -> None:
    lock = store.folder / "work" / f"{KEY}.lock"
    flock = fcntl.flock

    def overtaken(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        lock.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with workplace(store, KEY, silent):
        assert lock.exists()


def test_waiting_can_be_stopped(store: Store) -> None:
    def stop(fraction: float, message: str) -> None:
        raise KeyboardInterrupt

    with workplace(store, KEY, silent):
        with pytest.raises(KeyboardInterrupt), workplace(store, KEY, stop):
            pytest.fail("two users at a time")
        before = open_files()
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt), workplace(store, KEY, stop):
                pytest.fail("two users at a time")
        assert open_files() == before


def test_killed_user_leaves_the_folder_to_the_next(store: Store) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from itda.store.store import Store\n"
        "from itda.store.workplace import workplace\n"
        f"with workplace(Store(Path({str(store.folder)!r})), {KEY!r}, print) as place:\n"
        "    (place.folder / 'step').write_text('1')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()
    with workplace(store, KEY, silent) as place:
        assert (place.folder / "step").read_text() == "1"


def test_abandoned_folders_are_swept_unless_they_are_in_use(store: Store) -> None:
    old = time.time() - 2 * ABANDONED_AFTER_SECONDS
    work = store.folder / "work"
    for name in ("old", "used", "new"):
        (work / name).mkdir(parents=True)
    with workplace(store, "used", silent):
        for name in ("old", "used"):
            os.utime(work / name, (old, old))
        with workplace(store, KEY, silent):
            assert {path.name for path in work.iterdir() if path.is_dir()} == {"used", "new", KEY}


def test_cleared_but_for_what_is_in_use(store: Store) -> None:
    work = store.folder / "work"
    for name in ("b" * 64, "thesis"):
        (work / name).mkdir(parents=True)
    with workplace(store, KEY, silent):
        assert clear_work(store) == (1, 1)
        assert {path.name for path in work.iterdir() if path.is_dir()} == {KEY, "thesis"}
    assert clear_work(store) == (1, 0)
    assert clear_work(Store(store.folder / "nowhere")) == (0, 0)
