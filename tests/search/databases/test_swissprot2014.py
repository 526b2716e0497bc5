import struct
from pathlib import Path

import pytest

from itda.errors import DataError, InputError
from itda.search.databases.blast_version4 import BlastDatabase
from itda.search.databases.registry import Databases
from itda.search.databases.swissprot2014 import SwissProt2014
from tests.packages import LETTERS, blast_files, metastudent_files, write_package

ONE, TWO = ("P00001|GO:0005737", "MKVLA"), ("A7GJB3|GO:1,GO:2", "MSTNPKPQUX")
LONG = ("Q9ZZZ9|" + ",".join(f"GO:{number:07}" for number in range(60)), "MG" * 40)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for suffix, content in files.items():
        (folder / f"small{suffix}").write_bytes(content)
    return folder / "small"


def test_every_letter_and_long_headers_are_read(tmp_path: Path) -> None:
    records = [ONE, LONG, ("all", LETTERS[1:])]
    database = BlastDatabase(written(tmp_path, blast_files(records, "a title")))
    assert (database.title, database.count, database.residues) == ("a title", 3, 5 + 80 + 27)
    found = [(one.header.decode(), one.sequence.decode()) for one in database.records()]
    assert found == records


def nucleotides(files: dict[str, bytes]) -> None:
    files[".pin"] = struct.pack(">ii", 4, 0) + files[".pin"][8:]


def version_five(files: dict[str, bytes]) -> None:
    files[".pin"] = struct.pack(">ii", 5, 1) + files[".pin"][8:]


def cut_index(files: dict[str, bytes]) -> None:
    files[".pin"] = files[".pin"][:-3]


def cut_sequences(files: dict[str, bytes]) -> None:
    files[".psq"] = files[".psq"][:-1]


def cut_headers(files: dict[str, bytes]) -> None:
    files[".phr"] = files[".phr"][:-1]


def other_residues(files: dict[str, bytes]) -> None:
    right = struct.pack("<q", 15)
    assert files[".pin"].count(right) == 1
    files[".pin"] = files[".pin"].replace(right, struct.pack("<q", 16))


def no_text(files: dict[str, bytes]) -> None:
    files[".phr"] = b"\x31" + files[".phr"][1:]


@pytest.mark.parametrize(
    "harm",
    [
        nucleotides,
        version_five,
        cut_index,
        cut_sequences,
        cut_headers,
        other_residues,
        no_text,
        lambda files: files.pop(".psq"),
        lambda files: files.update({".pin": b""}),
    ],
)
def test_a_harmed_database_of_blast_is_refused(tmp_path: Path, harm) -> None:
    files = blast_files([ONE, TWO])
    harm(files)
    with pytest.raises(DataError, match="is no protein database of BLAST, version 4"):
        list(BlastDatabase(written(tmp_path, files)).records())


def package(tmp_path: Path, **databases) -> Path:
    return write_package(tmp_path / "metastudent-data.deb", metastudent_files(databases))


def test_each_accession_is_taken_once(databases: Databases, tmp_path: Path) -> None:
    deb = package(tmp_path, BPO=[ONE, TWO], MFO=[TWO], CCO=[LONG, ONE])
    made = databases.add_sequences("old", SwissProt2014(deb, any_count=True), mmseqs=False)
    assert made.shards[0].fasta.read_text() == (
        f">P00001\n{ONE[1]}\n>A7GJB3\n{TWO[1]}\n>Q9ZZZ9\n{LONG[1]}\n"
    )
    source = made.manifest["source"]
    assert source["counts"] == {"BPO": 2, "MFO": 1, "CCO": 2, "all": 3}
    assert source["licence"] == "GPL-2+"
    assert source["files"][0]["name"] == str(deb)
    assert sorted(path.name for path in databases.folder.iterdir()) == ["old"]
    assert {path.name for path in made.folder.iterdir()} == {
        "database.json",
        "shards",
        "rejected.tsv",
    }


def test_an_entry_with_two_sequences_is_refused(databases: Databases, tmp_path: Path) -> None:
    deb = package(tmp_path, BPO=[ONE], MFO=[(ONE[0], "MKVLG")], CCO=[ONE])
    with pytest.raises(DataError, match="MFO: P00001 has two sequences"):
        databases.add_sequences("old", SwissProt2014(deb, any_count=True), mmseqs=False)
    assert databases.unfinished() == {}


def test_other_counts_are_refused(databases: Databases, tmp_path: Path) -> None:
    deb = package(tmp_path, BPO=[ONE], MFO=[ONE], CCO=[ONE])
    with pytest.raises(InputError, match="has 1 sequences in BPO, not 486,000") as caught:
        databases.add_sequences("old", SwissProt2014(deb), mmseqs=False)
    assert "--any-count" in caught.value.hint
    assert databases.names() == ()
