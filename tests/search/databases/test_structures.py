import gzip
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError, InputError
from itda.search.databases.registry import Databases
from itda.search.databases.structures import (
    TEMPLATE_FILTERS,
    FolderStructures,
    Promod3Structures,
    released_by,
)
from itda.structure.chains.structures import StructureFilters, read_structures
from tests.structure.chains.test_promod3 import content as content
from tests.structure.chains.test_promod3 import path as promod3_file  # noqa: F401

EXAMPLE = resources.files("itda").joinpath("data/examples/1ubq.cif")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ubiquitin, a compressed copy below, and a file that is no structure."""
    below = tmp_path / "structures" / "below"
    below.mkdir(parents=True)
    text = EXAMPLE.read_bytes()
    (tmp_path / "structures" / "1ubq.cif").write_bytes(text)
    (below / "copy.cif.gz").write_bytes(gzip.compress(text))
    (below / "broken.pdb").write_text("no structure\n")
    return tmp_path / "structures"


def test_folder(databases: Databases, folder: Path) -> None:
    seen: list[float] = []
    database = databases.add_structures(
        "pdb",
        FolderStructures(folder),
        mmseqs=False,
        progress=lambda fraction, step: seen.append(fraction),
    )
    assert database.kind == "structures"
    chains = database.chains()
    assert chains.ids == ("1ubq_A", "copy_A")
    assert chains.release_dates == ("1987-04-16", "1987-04-16")
    assert chains.sources == ("1ubq.cif", "below/copy.cif.gz")
    lines = database.shards[0].fasta.read_text().splitlines()
    assert lines == [">1ubq_A", chains.sequence(0), ">copy_A", chains.sequence(1)]
    (direct,) = read_structures([folder / "1ubq.cif"], StructureFilters())
    np.testing.assert_allclose(chains[0].coordinates, direct.coordinates, atol=5.1e-4)
    dates = database.manifest["counts"]["release_dates"]
    assert dates == {"known": 2, "first": "1987-04-16", "last": "1987-04-16"}
    assert sum(database.manifest["counts"]["left_out"].values()) == 1
    assert "below/broken.pdb" in (database.folder / "rejected.tsv").read_text()
    assert databases.check("pdb").problems == ()
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_a_copy_elsewhere_has_the_same_digest(
    databases: Databases, folder: Path, tmp_path: Path
) -> None:
    first = databases.add_structures("a", FolderStructures(folder), mmseqs=False)
    shutil.copytree(folder, tmp_path / "elsewhere")
    second = databases.add_structures("b", FolderStructures(tmp_path / "elsewhere"), mmseqs=False)
    assert second.digest == first.digest
    text = (folder / "1ubq.cif").read_text().replace(" 27.340 ", " 27.440 ", 1)
    assert text != (folder / "1ubq.cif").read_text()
    (folder / "1ubq.cif").write_text(text)
    third = databases.add_structures("c", FolderStructures(folder), mmseqs=False)
    assert third.digest != first.digest


def test_limit_by_date(databases: Databases, folder: Path) -> None:
    on_the_day = FolderStructures(folder, released_by(TEMPLATE_FILTERS, "1987-04-16"))
    assert databases.add_structures("a", on_the_day, mmseqs=False).sequences == 2
    day_before = FolderStructures(folder, released_by(TEMPLATE_FILTERS, "1987-04-15"))
    with pytest.raises(DataError, match=r"no chain was accepted.*1987-04-16"):
        databases.add_structures("b", day_before, mmseqs=False)
    assert databases.unfinished() == {}
    assert released_by(TEMPLATE_FILTERS, "") == TEMPLATE_FILTERS
    for text in ("soon", "2021-02-30", "9999-12-31"):
        with pytest.raises(InputError, match=f"{text}.* is no date"):
            released_by(TEMPLATE_FILTERS, text)


def test_a_chain_that_is_not_its_record_is_found(databases: Databases, folder: Path) -> None:
    from itda.search.databases.check import _chains

    database = databases.add_structures("pdb", FolderStructures(folder), mmseqs=False)
    assert _chains(database) == []
    fasta = database.shards[0].fasta
    fasta.write_text(fasta.read_text().replace(">copy_A", ">else_A"))
    assert _chains(database) == [f"record 2 is not chain 2 of {database.folder / 'chains'}"]
    fasta.write_text("\n".join(fasta.read_text().splitlines()[:2]) + "\n")
    assert "has 2 chains, the FASTA files 1" in _chains(database)[0]


def test_promod3(databases: Databases, promod3_file: Path) -> None:  # noqa: F811
    with pytest.raises(DataError, match="holds 3 chains"):
        databases.add_structures("pdb", Promod3Structures(file=promod3_file), mmseqs=False)
    source = Promod3Structures(file=promod3_file, any_count=True)
    database = databases.add_structures("pdb", source, shards=2, mmseqs=False)
    assert database.chains().ids == ("1abc_A", "2xyz_B")
    assert [shard.sequences for shard in database.shards] == [1, 1]
    assert database.manifest["counts"]["left_out"] == {"length": 1}
    assert "3sml_C" in (database.folder / "rejected.tsv").read_text()
    assert database.manifest["counts"]["release_dates"]["known"] == 0
    assert databases.check("pdb").problems == ()


def test_promod3_has_no_dates_to_limit(databases: Databases, promod3_file: Path) -> None:  # noqa: F811
    source = Promod3Structures(file=promod3_file, any_count=True, max_date="2021-09-30")
    with pytest.raises(InputError, match=r"2021-09-30 cannot be kept: .* no release dates"):
        databases.add_structures("pdb", source, mmseqs=False)
    assert databases.unfinished() == {}


def test_after_a_killed_build_of_structures_a_name_can_hold_sequences(
    databases: Databases, folder: Path, fasta: Path
) -> None:
    def stop(fraction: float, step: str) -> None:
        if fraction == 0.95:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        databases.add_structures("x", FolderStructures(folder), mmseqs=False, progress=stop)
    assert "x" in databases.unfinished()
    database = databases.add_sequences("x", fasta, mmseqs=False)
    assert not (database.folder / "chains").exists()
    assert databases.check("x").problems == ()
