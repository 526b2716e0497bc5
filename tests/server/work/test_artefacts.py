"""Files by what they hold: whole, once, and collected only where no job names them."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest
from sqlalchemy import delete, select

from itda.errors import OutputError
from itda.server.artefacts import Artefacts
from itda.server.database import tables
from itda.server.errors import NotFoundError

from .rows import add_job, name_file

LONG = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def artefacts(database, tmp_path, clock) -> Artefacts:
    return Artefacts(tmp_path / "artefacts", database, clock=clock)


def name(database, digest: str, size: int) -> str:
    with database.write() as connection:
        job_id = add_job(connection)
        name_file(connection, job_id, digest, size)
    return job_id


def rows(database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(tables.artefacts.c.digest)).scalars())


def test_what_is_put_is_found_by_its_digest(artefacts):
    digest, size = artefacts.put(b"a structure")
    assert digest == hashlib.sha256(b"a structure").hexdigest()
    assert size == 11
    assert artefacts.path(digest).read_bytes() == b"a structure"
    with artefacts.open(digest) as file:
        assert file.read() == b"a structure"


def test_a_file_is_copied_and_an_equal_one_is_kept_once(artefacts, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * 10_000)
    digest, size = artefacts.put(source)
    again = artefacts.put(source.read_bytes())
    assert again == (digest, size) == (digest, 2_560_000)
    assert source.exists()
    assert [p for p in artefacts.folder.glob("??/*") if p.is_file()] == [artefacts.path(digest)]
    assert list(artefacts.folder.glob("waiting/*")) == []


def test_a_truncated_file_is_replaced_when_it_is_put_again(artefacts):
    digest, _ = artefacts.put(b"whole")
    artefacts.path(digest).write_bytes(b"who")
    artefacts.put(b"whole")
    assert artefacts.path(digest).read_bytes() == b"whole"


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64, "0" * 63 + "\n"])
def test_what_is_not_there_is_not_found(artefacts, digest):
    with pytest.raises(NotFoundError):
        artefacts.path(digest)


def test_only_old_files_that_no_job_names_are_collected(artefacts, database, clock):
    kept, size = artefacts.put(b"named")
    job_id = name(database, kept, size)
    left, _ = artefacts.put(b"left behind")
    assert artefacts.collect(LONG) == 0  # too young: its row may be on its way
    assert artefacts.unnamed() == [left]
    clock.now += 2 * LONG
    assert artefacts.collect(LONG) == 1
    assert artefacts.path(kept)
    with pytest.raises(NotFoundError):
        artefacts.path(left)
    assert artefacts.unnamed() == []

    with database.write() as connection:
        connection.execute(delete(tables.job_files).where(tables.job_files.c.job_id == job_id))
    assert artefacts.collect(LONG) == 1
    assert rows(database) == set()


def test_what_is_put_again_is_young_again(artefacts, clock):
    digest, _ = artefacts.put(b"x")
    clock.now += 2 * LONG
    artefacts.put(b"x")
    assert artefacts.collect(LONG) == 0
    assert artefacts.path(digest)


def test_what_was_half_written_long_ago_is_collected(artefacts, clock):
    artefacts.put(b"x")
    old, young = (artefacts.folder / "waiting" / name for name in ("old", "young"))
    for path, age in ((old, 2 * LONG), (young, 0)):
        path.write_bytes(b"ha")
        os.utime(path, (clock.now - age, clock.now - age))
    artefacts.collect(LONG)
    assert (old.exists(), young.exists()) == (False, True)


def test_put_and_collect_at_once_lose_nothing(artefacts, clock):
    """What was just put is there, however often others collect what was put a while ago."""
    stop, lost, removed = threading.Event(), [], []

    def collect() -> None:
        while not stop.is_set():
            removed.append(artefacts.collect(1000))

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for number in range(60):
            digest, size = artefacts.put(f"{number % 5}".encode())
            if artefacts.path(digest).stat().st_size != size:
                lost.append(digest)
            clock.now += 400  # old before it is put the next time
            time.sleep(0.005)
    finally:
        stop.set()
        thread.join()
    assert lost == []
    assert sum(removed) > 0


def test_verify_finds_what_is_missing_altered_or_of_another_size(artefacts, database):
    digests = {}
    for text in ("good", "missing", "altered", "sized"):
        digests[text], size = artefacts.put(text.encode())
        name(database, digests[text], size + (text == "sized"))
    assert [d.digest for d in artefacts.verify()] == [digests["sized"]]
    artefacts.path(digests["missing"]).unlink()
    artefacts.path(digests["altered"]).write_bytes(b"changed")
    found = {damage.digest: damage.problem for damage in artefacts.verify()}
    assert found == {
        digests["missing"]: "is missing",
        digests["altered"]: "holds something else",
        digests["sized"]: "has 5 bytes, its row says 6",
    }


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(database, tmp_path):
    (tmp_path / "file").write_text("")
    artefacts = Artefacts(tmp_path / "file" / "artefacts", database)
    with pytest.raises(OutputError, match="artefacts"):
        artefacts.put(b"x")
