import gzip
from importlib import resources
from pathlib import Path

import pytest
from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

from itda.errors import DataError
from itda.hub.fetch import DownloadError
from itda.published.entries import get_entry
from itda.published.get import get, plan
from itda.published.pdb_entries import chosen_entries
from itda.search.databases.database import Database
from itda.search.databases.registry import Databases
from tests.hub.servers import Server
from tests.published.conftest import Run

LIST = "pdb30/clusters-by-entity-30.txt"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ubiquitin as RCSB gives it: BinaryCIF, compressed with gzip."""
    (example,) = Path(str(resources.files("itda").joinpath("data/examples"))).glob("*.cif")
    path = tmp_path_factory.mktemp("packed") / "x.bcif"
    read = CIFFile.read(example).block
    from biotite.structure.io.pdbx import BinaryCIFBlock, BinaryCIFCategory

    block = BinaryCIFBlock(
        {
            name: BinaryCIFCategory({key: column.as_array() for key, column in category.items()})
            for name, category in read.items()
        }
    )
    BinaryCIFFile({"1ubq": block}).write(path)
    return gzip.compress(path.read_bytes())


@pytest.fixture
def entries(server: Server, packed: bytes) -> list[str]:
    """Twelve clusters, each with a predicted structure first."""
    names = [f"{number}ubq" for number in range(1, 10)] + ["1abc", "pdb_00001xyz", "2lzm"]
    server.files[LIST] = "".join(
        f"AF_AFP0CG48F1_1 {name.upper() if len(name) == 4 else name}_1 9ZZZ_{number}\n"
        for number, name in enumerate(names)
    ).encode()
    for name in names:
        server.files[f"pdb30/{name}.bcif.gz"] = packed
    return names


def built(databases: Databases) -> Database:
    made = get(plan(get_entry("pdb30"), databases), databases, mmseqs=False)
    assert isinstance(made, Database)
    return made


def test_an_entry_of_each_cluster_is_a_template(
    databases: Databases, server: Server, entries: list[str]
) -> None:
    made = built(databases)
    assert (made.kind, made.sequences) == ("structures", 12)
    assert made.manifest["counts"]["release_dates"]["first"] == "1987-04-16"
    assert sorted(made.chains().ids) == sorted(f"{name}_A" for name in entries)
    assert made.manifest["source"]["entries"] == 12
    assert made.manifest["source"]["licence"].startswith("CC0")
    assert [path.name for path in databases.folder.iterdir()] == ["pdb30"]


def test_a_stopped_fetch_asks_only_for_the_rest(
    databases: Databases, server: Server, entries: list[str], waited: list[float]
) -> None:
    def stop(fraction: float, step: str) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(plan(get_entry("pdb30"), databases), databases, mmseqs=False, progress=stop)
    here = {path.name for path in (databases.fetch_folder("pdb30") / "entries").iterdir()}
    assert here
    server.requests.clear()
    assert built(databases).sequences == 12
    asked = {Path(path).name for method, path, _, _ in server.requests if method == "GET"}
    assert not asked & here


def test_lost_entries_are_told(
    db: Run, databases: Databases, server: Server, entries: list[str], packed: bytes
) -> None:
    del server.files["pdb30/3ubq.bcif.gz"]
    server.files["pdb30/4ubq.bcif.gz"] = packed[:-9]
    status, out, err = db("get", "pdb30", "--yes", "--no-mmseqs")
    assert status == 0, err
    assert "pdb30: 10 chains" in out
    assert "not to be had: 3ubq: " in out
    assert "is not there (HTTP 404)" in out
    assert "not to be had: 4ubq: " in out
    assert databases.get("pdb30").manifest["source"]["entries"] == 10
    assert "RCSB publishes no digests" in out


def test_many_lost_entries_stop_it(
    databases: Databases, server: Server, entries: list[str], waited: list[float]
) -> None:
    for name in entries[1:]:
        del server.files[f"pdb30/{name}.bcif.gz"]
    with pytest.raises(DownloadError, match="404"):
        built(databases)
    assert databases.names() == ()
    assert "pdb30" in databases.half_fetched()


def test_a_list_without_entries_is_refused_and_fetched_anew(
    databases: Databases, server: Server, entries: list[str]
) -> None:
    right = server.files[LIST]
    server.files[LIST] = b"AF_AFP0CG48F1_1 MA_MACOFFESLACC100000G1I1_1\n<html>\n"
    with pytest.raises(DataError, match="names no entry of the PDB"):
        built(databases)
    server.files[LIST] = right
    assert built(databases).sequences == 12


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("4HHB_1\r\n4HHB_2 1ABC_1\n", ("4hhb",)),
        ("AF_AFA0A000F1_1 1A0B_12\n", ("1a0b",)),
        ("MA_MABAKCEPC0001_1\n", ()),
        ("pdb_00004hhb_1 1ABC_1\n", ("pdb_00004hhb",)),
        ("4HHB\n", ()),
    ],
)
def test_choosing(text: str, names: tuple[str, ...]) -> None:
    assert chosen_entries(text) == names
