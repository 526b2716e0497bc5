from pathlib import Path

from itda.search.databases.database import FASTA
from itda.search.databases.duplicates import RepeatedNames


def test_names_that_repeat_are_counted_and_named(tmp_path: Path) -> None:
    names = [b"a", b"b", b"a", b"c", b"a", b"b"]
    (tmp_path / FASTA).write_bytes(b"".join(b">%b some text\nMKV\n" % name for name in names))
    memory = RepeatedNames()
    for name in names:
        memory.add(name)
    found = memory.find([tmp_path])
    assert (found.count, found.examples) == (3, ("a", "b"))


def test_names_of_one_record_each() -> None:
    memory = RepeatedNames()
    assert memory.find([]).count == 0
    for name in (b"a", b"A", b"a1"):
        memory.add(name)
    assert memory.find([]).count == 0
