import json
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import DataError
from itda.search.databases.database import Database, content_digest
from itda.search.databases.registry import Databases
from itda.storage import file_digest
from tests.sequences import needs_mmseqs


@pytest.fixture
def database(databases: Databases, fasta: Path) -> Database:
    return databases.add_sequences("mine", fasta, shards=2, mmseqs=False)


def test_whole(databases: Databases, database: Database) -> None:
    seen: list[float] = []
    report = databases.check("mine", progress=lambda fraction, step: seen.append(fraction))
    assert report.problems == ()
    assert report.database == database
    assert report.notes == ("no MMseqs2 files: only hmmer searches it",)
    assert seen[-1] == 1.0


def test_one_letter_changed_is_found(databases: Databases, database: Database) -> None:
    fasta = database.shards[1].fasta
    text = bytearray(fasta.read_bytes())
    text[-2] = ord("W") if text[-2] != ord("W") else ord("A")
    fasta.write_bytes(bytes(text))
    # The size is the same, so that opening it does not find out.
    databases.get("mine")
    report = databases.check("mine")
    assert report.problems == (f"{fasta} was altered: its SHA-256 is not the manifest's",)
    assert report.database is None


def test_missing_and_longer_files_are_found_on_opening(
    databases: Databases, database: Database
) -> None:
    with database.shards[0].fasta.open("a") as stream:
        stream.write(">more\nMKV\n")
    database.shards[1].fasta.unlink()
    with pytest.raises(DataError, match="is missing or is not"):
        databases.get("mine")
    first, second = databases.check("mine").problems
    assert "the manifest says" in first
    assert second == f"{database.shards[1].fasta} is missing"


def test_manifest_with_other_counts_is_found(databases: Databases, database: Database) -> None:
    rewrite(database, lambda manifest: manifest["shards"][0].update(sequences=1))
    (problem,) = databases.check("mine").problems
    assert "records and" in problem
    assert "the manifest says 1 and" in problem


def test_digest_that_is_not_of_the_files_is_found(databases: Databases, database: Database) -> None:
    rewrite(database, lambda manifest: manifest.update(digest="sha256:0"))
    (problem,) = databases.check("mine").problems
    assert "has a digest that is not that of its files" in problem


def test_files_of_others_are_told(databases: Databases, database: Database) -> None:
    (database.folder / "notes.txt").write_text("mine")
    report = databases.check("mine")
    assert report.problems == ()
    assert "1 files are not the database's own" in report.notes[0]


@needs_mmseqs
def test_mmseqs_files_of_another_content_or_version(
    databases: Databases, fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = databases.add_sequences("fast", fasta)
    assert databases.check("fast").notes == ()
    index = database.shards[0].mmseqs.with_name("sequences.index")
    index.write_bytes(index.read_bytes()[: index.read_bytes().rindex(b"\n", 0, -1) + 1])

    def agree(manifest: dict[str, dict[str, dict[str, object]]]) -> None:
        name = index.relative_to(database.folder).as_posix()
        manifest["files"][name] = {"bytes": index.stat().st_size, "sha256": file_digest(index)}

    rewrite(database, agree)
    (problem,) = databases.check("fast").problems
    assert "holds 59 records, not 60" in problem
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho 99-other\n")
    program.chmod(0o755)
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    (note,) = databases.check("fast").notes
    assert "version 99-other is installed" in note
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    (note,) = databases.check("fast").notes
    assert "/nowhere/mmseqs" in note


def rewrite(database: Database, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg] # of JSON
    path = database.folder / "database.json"
    manifest = json.loads(path.read_text())
    assert content_digest(manifest) == manifest["digest"]
    change(manifest)
    path.write_text(json.dumps(manifest))
