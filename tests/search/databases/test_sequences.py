"""Databases of sequences: made, made again, killed, refused."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import DataError, DependencyError, InputError, OutputError
from itda.search.databases.database import Shard
from itda.search.databases.registry import Databases
from itda.search.mmseqs import run_mmseqs
from tests.sequences import needs_mmseqs

from .conftest import fasta_text

Records = list[tuple[str, str]]
Written = Callable[[bytes], Path]

# Builds until a step is reported for the first time, and kills itself.
KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from itda.search.databases.registry import Databases

def progress(fraction, message):
    if message == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

Databases(Path(sys.argv[1])).add_sequences(
    "mine", Path(sys.argv[2]), shard_residues=900, mmseqs=sys.argv[4] == "mmseqs", progress=progress
)
"""

# Lets no file grow beyond a size, which the system reports as it reports a full disk.
FULL_DISK = """
import resource, sys
from pathlib import Path
from itda.errors import OutputError
from itda.search.databases.registry import Databases

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    Databases(Path(sys.argv[1])).add_sequences("mine", Path(sys.argv[2]), mmseqs=False)
except OutputError as error:
    print(error.problem, error.hint)
"""


def stored(shards: tuple[Shard, ...]) -> Records:
    found = []
    for shard in shards:
        lines = shard.fasta.read_text().splitlines()
        found += list(zip([line[1:] for line in lines[::2]], lines[1::2], strict=True))
    return found


def killed(databases: Databases, fasta: Path, message: str, *, mmseqs: bool = False) -> None:
    arguments = [str(databases.folder), str(fasta), message, "mmseqs" if mmseqs else "none"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_BUILD, *arguments], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_records_and_counts(databases: Databases, fasta: Path, records: Records) -> None:
    database = databases.add_sequences("mine", fasta, mmseqs=False)
    assert stored(database.shards) == records
    assert (database.kind, database.sequences) == ("sequences", 60)
    assert database.residues == sum(len(sequence) for _, sequence in records)
    assert not database.has_mmseqs
    assert databases.names() == ("mine",)
    assert [found.digest for found in databases.list()] == [database.digest]
    assert databases.get("mine").manifest == database.manifest
    assert database.manifest["source"]["files"][0]["name"] == str(fasta)
    with pytest.raises(DataError, match="without MMseqs2 files"):
        database.require_mmseqs()
    with pytest.raises(DataError, match="holds sequences, no structures"):
        database.chains()


@needs_mmseqs
@pytest.mark.parametrize("gpu", [False, True])
def test_mmseqs_gives_the_records_back(
    databases: Databases, fasta: Path, records: Records, tmp_path: Path, gpu: bool
) -> None:
    database = databases.add_sequences("mine", fasta, shards=2, gpu=gpu)
    database.require_mmseqs()
    texts = []
    for shard in database.shards:
        run_mmseqs(["convert2fasta", str(shard.mmseqs), str(tmp_path / "back.fasta")])
        texts.append((tmp_path / "back.fasta").read_text())
    wanted = [f">{header}\n{sequence}\n" for header, sequence in records]
    if gpu:
        assert sorted("".join(texts).split(">")[1:]) == sorted(text[1:] for text in wanted)
    else:
        assert "".join(texts) == "".join(wanted)


@pytest.mark.parametrize("shards", [1, 2, 7, 60])
def test_shards_are_as_many_and_as_even_as_asked(
    databases: Databases, fasta: Path, records: Records, shards: int
) -> None:
    database = databases.add_sequences("mine", fasta, shards=shards, mmseqs=False)
    assert len(database.shards) <= shards
    if shards < 60:
        assert len(database.shards) == shards
        longest = max(len(sequence) for _, sequence in records)
        assert all(
            abs(shard.residues - database.residues / shards) <= longest for shard in database.shards
        )
    assert stored(database.shards) == records
    assert all(
        shard.residues == sum(len(sequence) for _, sequence in stored((shard,)))
        for shard in database.shards
    )


def test_digest_tells_records_and_shards_and_nothing_else(
    databases: Databases, fasta: Path, records: Records, written: Written
) -> None:
    plain = databases.add_sequences("a", fasta, mmseqs=False)
    # Another file with other line lengths, case and compression.
    text = fasta_text([(header, sequence.lower()) for header, sequence in records], width=13)
    same = databases.add_sequences("b", written(gzip.compress(text.encode())), mmseqs=False)
    assert same.digest == plain.digest
    halves = databases.add_sequences("c", fasta, shards=2, mmseqs=False)
    other = written(fasta_text([*records[:-1], (records[-1][0], "MKV")]).encode())
    changed = databases.add_sequences("d", other, mmseqs=False)
    header = written(fasta_text([*records[:-1], ("other", records[-1][1])]).encode())
    renamed = databases.add_sequences("e", header, mmseqs=False)
    assert len({plain.digest, halves.digest, changed.digest, renamed.digest}) == 4


def test_several_files_follow_each_other(
    databases: Databases, fasta: Path, written: Written
) -> None:
    # The first ends without a line end, which must not glue its last record to the next.
    first = written(b">first\nMKV")
    database = databases.add_sequences("mine", [first, fasta], mmseqs=False)
    assert stored(database.shards)[0] == ("first", "MKV")
    assert database.sequences == 61


def test_bad_record_is_refused_by_name_or_left_out_and_listed(
    databases: Databases, written: Written
) -> None:
    path = written(b">good\nMKVL\n>empty\n\n>bad one\nMK7\n>worse\nMK?\n>gaps\nM-K\n>good\nMMM\n")
    with pytest.raises(InputError, match=r"input.fasta record 2 \(empty\): no residue") as caught:
        databases.add_sequences("mine", path, mmseqs=False)
    assert "--skip-bad" in caught.value.hint
    assert databases.names() == ()
    assert databases.unfinished() == {}
    database = databases.add_sequences("mine", path, mmseqs=False, skip_bad=True)
    assert stored(database.shards) == [("good", "MKVL"), ("gaps", "MK"), ("good", "MMM")]
    counts = database.manifest["counts"]
    assert counts["left_out"] == {"no residue": 1, "a character that is no residue": 2}
    assert (counts["changed"], counts["repeated_names"]) == (1, 1)
    assert counts["repeated_examples"] == ["good"]
    table = (database.folder / "rejected.tsv").read_text().splitlines()
    assert table[2] == "bad\tinput.fasta record 3\t'7' at residue 3 is no residue"
    assert len(table) == 4


def test_nothing_left_is_an_error(databases: Databases, written: Written) -> None:
    with pytest.raises(InputError, match=r"no record of .* can be used: no residue"):
        databases.add_sequences("mine", written(b">a\n>b\n"), mmseqs=False, skip_bad=True)
    assert databases.unfinished() == {}


def test_truncated_file_leaves_nothing(
    databases: Databases, records: Records, written: Written
) -> None:
    content = gzip.compress(fasta_text(records).encode())
    with pytest.raises(InputError, match="ends in the middle"):
        databases.add_sequences("mine", written(content[:-40]), mmseqs=False)
    assert list(databases.folder.iterdir()) == []


def test_killed_build_leaves_no_database_and_the_next_takes_its_shards_over(
    databases: Databases, fasta: Path, records: Records
) -> None:
    killed(databases, fasta, "shard 3")
    assert databases.names() == ()
    assert databases.list() == []
    assert databases.unfinished()["mine"] > 0
    with pytest.raises(DataError, match="mine is unfinished"):
        databases.get("mine")
    work = databases.folder / ".mine.building" / "shards"
    names = {path.name for path in work.iterdir()}
    assert {"0001", "0002"} < names and len(names) == 3
    kept = [(work / name / "sequences.fasta").stat().st_ino for name in ("0001", "0002")]
    database = databases.add_sequences("mine", fasta, shard_residues=900, mmseqs=False)
    assert [shard.fasta.stat().st_ino for shard in database.shards[:2]] == kept
    assert stored(database.shards) == records
    assert databases.unfinished() == {}
    assert databases.check("mine").problems == ()
    whole = Databases(databases.folder / "other")
    assert whole.add_sequences("x", fasta, shard_residues=900, mmseqs=False).digest == (
        database.digest
    )


@needs_mmseqs
def test_killed_inside_mmseqs(databases: Databases, fasta: Path, records: Records) -> None:
    killed(databases, fasta, "shard 2: MMseqs2 files", mmseqs=True)
    assert databases.names() == ()
    database = databases.add_sequences("mine", fasta, shard_residues=900)
    assert stored(database.shards) == records
    assert databases.check("mine").problems == ()


def test_a_finished_shard_that_was_altered_since_is_made_anew(
    databases: Databases, fasta: Path, records: Records
) -> None:
    killed(databases, fasta, "shard 3")
    shard = databases.folder / ".mine.building" / "shards" / "0001" / "sequences.fasta"
    text = bytearray(shard.read_bytes())
    text[-5:-1] = b"WWWW"
    shard.write_bytes(bytes(text))
    database = databases.add_sequences("mine", fasta, shard_residues=900, mmseqs=False)
    assert stored(database.shards) == records


def test_after_a_kill_other_records_and_other_settings_begin_anew(
    databases: Databases, fasta: Path, records: Records, written: Written
) -> None:
    killed(databases, fasta, "shard 4")
    # The first shard agrees, the others do not, and fewer are wanted.
    other = [*records[:20], *[(f"new{index}", "MKVLW" * 9) for index in range(10)]]
    path = written(fasta_text(other).encode())
    database = databases.add_sequences("mine", path, shard_residues=900, mmseqs=False)
    assert stored(database.shards) == other
    assert sorted(path.name for path in (database.folder / "shards").iterdir()) == [
        f"{number:04d}" for number in range(1, len(database.shards) + 1)
    ]


def test_stopped_by_progress_keeps_finished_shards_alone(databases: Databases, fasta: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        if message == "shard 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        databases.add_sequences("mine", fasta, shard_residues=900, mmseqs=False, progress=stop)
    work = databases.folder / ".mine.building" / "shards"
    assert [path.name for path in work.iterdir()] == ["0001"]
    assert databases.remove("mine") > 0
    assert list(databases.folder.iterdir()) == []


def test_progress_rises_to_one(databases: Databases, fasta: Path) -> None:
    seen: list[float] = []
    databases.add_sequences(
        "mine",
        fasta,
        shards=3,
        mmseqs=False,
        progress=lambda fraction, message: seen.append(fraction),
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 4


def test_two_adds_at_once(databases: Databases, fasta: Path) -> None:
    refused = []

    def add_again(fraction: float, message: str) -> None:
        if message == "shard 1":
            for again in (
                lambda: databases.add_sequences("mine", fasta, mmseqs=False),
                lambda: databases.remove("mine"),
            ):
                with pytest.raises(OutputError, match="mine is being built") as caught:
                    again()
                refused.append(caught.value)
            # One of another name has nothing to do with it.
            databases.add_sequences("other", fasta, mmseqs=False)

    databases.add_sequences("mine", fasta, mmseqs=False, progress=add_again)
    assert len(refused) == 2
    assert databases.names() == ("mine", "other")


def test_a_name_that_is_taken_is_refused(databases: Databases, fasta: Path) -> None:
    first = databases.add_sequences("mine", fasta, mmseqs=False)
    with pytest.raises(OutputError, match="there is a database mine already") as caught:
        databases.add_sequences("mine", fasta, shards=2, mmseqs=False)
    assert "itda db remove mine" in caught.value.hint
    assert databases.get("mine").digest == first.digest


@pytest.mark.parametrize(
    "name", ["a/b", "../up", ".hidden", "", "none", "None", "a b", "x" * 65, "-x", "a\n", "단백질"]
)
def test_names_that_are_refused(databases: Databases, fasta: Path, name: str) -> None:
    for use in (
        lambda: databases.add_sequences(name, fasta, mmseqs=False),
        lambda: databases.get(name),
        lambda: databases.check(name),
        lambda: databases.remove(name),
    ):
        with pytest.raises(InputError):
            use()
    assert not databases.folder.exists()


def test_full_disk_says_so_and_leaves_nothing(databases: Databases, tmp_path: Path) -> None:
    fasta = tmp_path / "large.fasta"
    fasta.write_text(fasta_text([(f"s{number}", "MKVLW" * 100) for number in range(200)]))
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(databases.folder), str(fasta)],
        capture_output=True,
        text=True,
    )
    assert "cannot be written" in done.stdout, done.stderr
    assert "free some space" in done.stdout
    assert list(databases.folder.iterdir()) == []


def test_too_little_room_is_refused_before_any_work(
    databases: Databases, fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(fasta.parent)
    size = fasta.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=size - 1))
    with pytest.raises(OutputError, match="MB free; the database needs at least"):
        databases.add_sequences("mine", fasta, mmseqs=False)
    assert list(databases.folder.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=size))
    assert databases.add_sequences("mine", fasta, mmseqs=False).sequences == 60


def test_folder_that_cannot_be_made(tmp_path: Path, fasta: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written") as caught:
        Databases(tmp_path / "file" / "below").add_sequences("mine", fasta, mmseqs=False)
    assert "ITDA_DATABASES" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(tmp_path: Path, fasta: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        Databases(closed).add_sequences("mine", fasta, mmseqs=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shards": 2, "shard_residues": 100}, "give one of them|both"),
        ({"shards": 0}, "1 or more, not 0"),
        ({"index": True, "mmseqs": False}, "without MMseqs2 files"),
        ({"index": True, "gpu": True}, "together"),
    ],
)
def test_settings_that_contradict_each_other(
    databases: Databases, fasta: Path, settings: dict[str, int], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        databases.add_sequences("mine", fasta, **settings)
    assert databases.unfinished() == {}


def test_without_mmseqs_the_way_out_is_named(
    databases: Databases, fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    with pytest.raises(DependencyError) as caught:
        databases.add_sequences("mine", fasta)
    assert "--no-mmseqs" in caught.value.hint


def test_mmseqs_that_fails_leaves_nothing(
    databases: Databases, fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mmseqs"
    program.write_text('#!/bin/sh\n[ "$1" = version ] && echo 1 && exit\necho no >&2\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    with pytest.raises(DataError, match="createdb failed with status 3: no") as caught:
        databases.add_sequences("mine", fasta)
    assert "MB are free" in caught.value.hint
    assert list(databases.folder.iterdir()) == []


def test_unknown_names_get_the_nearest(databases: Databases, fasta: Path) -> None:
    with pytest.raises(DataError, match="there is no database mine"):
        databases.get("mine")
    databases.add_sequences("uniref", fasta, mmseqs=False)
    with pytest.raises(DataError, match="no database unirefs") as caught:
        databases.get("unirefs")
    assert "did you mean uniref?" in caught.value.hint
    with pytest.raises(DataError) as caught:
        databases.remove("pdb")
    assert "there are uniref" in caught.value.hint


def test_removed_is_gone(databases: Databases, fasta: Path) -> None:
    size = databases.add_sequences("mine", fasta, mmseqs=False).size_bytes
    assert databases.remove("mine") > size
    assert list(databases.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(version=99), "has version 99, this Itda reads version 1"),
        (lambda manifest: manifest.update(format="x"), "does not describe a database"),
        (lambda manifest: manifest.pop("shards"), "cannot be read: KeyError"),
        (lambda manifest: manifest.update(files=[]), "cannot be read: AttributeError"),
    ],
)
def test_manifest_that_cannot_be_read(
    databases: Databases, fasta: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    path = databases.add_sequences("mine", fasta, mmseqs=False).folder / "database.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=said):
        databases.get("mine")
    assert len(databases.check("mine").problems) == 1
