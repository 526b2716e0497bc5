import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError, OutputError
from itda.structure.chains.chain import Chain
from itda.structure.chains.dataset import ChainDataset
from tests.chains import make_chain

# Half of the stored unit, and the rounding of float32 at 30 angstrom.
COORDINATE_BOUND_ANGSTROM = 0.5e-3 + 4e-6


def chain_with_gap() -> Chain:
    chain = make_chain("2gap_B", 17, 2)
    index = chain.residue_index.copy()
    index[5:] += 3
    mask = chain.atom_mask.copy()
    mask[4] = False
    mask[9, 0] = False
    coordinates = np.where(mask[..., None], chain.coordinates, np.float32(0))
    return replace(
        chain,
        residue_index=index,
        atom_mask=mask,
        coordinates=coordinates,
        release_date="2020-02-29",
        resolution=2.35,
        method="X-RAY DIFFRACTION",
        source="a file.cif B",
    )


def varied_chains() -> list[Chain]:
    first = make_chain("1all_A", 20, 1)
    unknown = first.profile.copy()
    unknown[3] = 0
    return [
        replace(first, profile=unknown),
        chain_with_gap(),
        replace(make_chain("3bare_A", 11, 3), profile=None, dssp=None, resolution=0.0),
        replace(make_chain("4nodssp_A", 9, 4), dssp=None),
        replace(make_chain("5noprof_A", 1, 5), profile=None, sequence="X"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ChainDataset.write(tmp_path / "set", varied_chains(), source={"name": "five"})
    return tmp_path / "set"


def set_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_round_trip(folder: Path) -> None:
    dataset = ChainDataset.open(folder, verify=True)
    chains = varied_chains()
    assert dataset.ids == tuple(chain.id for chain in chains)
    assert dataset.lengths.tolist() == [20, 17, 11, 9, 1]
    for stored, chain in zip(dataset, chains, strict=True):
        for name in ("id", "sequence", "dssp", "release_date", "method", "source"):
            assert getattr(stored, name) == getattr(chain, name)
        assert stored.resolution == pytest.approx(chain.resolution, rel=1e-6)
        np.testing.assert_array_equal(stored.atom_mask, chain.atom_mask)
        np.testing.assert_array_equal(stored.residue_index, chain.residue_index)
        error = np.abs(stored.coordinates - chain.coordinates).max()
        assert error <= COORDINATE_BOUND_ANGSTROM
        assert not stored.coordinates[~stored.atom_mask].any()
        if chain.profile is None:
            assert stored.profile is None
        else:
            # Half a unit of 0.0001, and what bringing 20 rounded values to sum 1 adds.
            np.testing.assert_allclose(stored.profile, chain.profile, atol=1.1e-3)
            sums = chain.profile.sum(axis=1)
            np.testing.assert_allclose(stored.profile.sum(axis=1), sums, atol=1e-5)


def test_profile_of_an_unknown_residue_stays_zero(folder: Path) -> None:
    assert not ChainDataset.open(folder)[0].profile[3].any()


def test_flags_and_counts(folder: Path) -> None:
    dataset = ChainDataset.open(folder)
    assert dataset.has_profile.tolist() == [True, True, False, True, False]
    assert dataset.has_dssp.tolist() == [True, True, False, False, True]
    counts = dataset.manifest["counts"]
    assert (counts["chains"], counts["residues"]) == (5, 58)
    assert (counts["chains_with_profile"], counts["chains_with_dssp"]) == (3, 3)
    assert counts["atoms"] == sum(int(chain.atom_mask.sum()) for chain in varied_chains())


def test_access_by_index_and_id(folder: Path) -> None:
    dataset = ChainDataset.open(folder)
    assert dataset[-1].id == dataset[4].id == "5noprof_A"
    assert dataset.index_of("2gap_B") == 1
    assert "2gap_B" in dataset
    assert dataset.sequences == tuple(chain.sequence for chain in varied_chains())
    with pytest.raises(IndexError):
        dataset[5]
    with pytest.raises(DataError, match="9zzz_A"):
        dataset.index_of("9zzz_A")


def test_travels_to_another_process(folder: Path) -> None:
    copy = pickle.loads(pickle.dumps(ChainDataset.open(folder)))
    assert copy.sequences == ChainDataset.open(folder).sequences


@pytest.mark.parametrize(
    "name",
    ["sequence", "residue_index", "atom_mask", "coordinates", "profile", "dssp"],
)
def test_damaged_array_is_refused(folder: Path, name: str) -> None:
    path = folder / f"{name}.npy"
    flip_last_byte(path)
    with pytest.raises(DataError, match=f"{name}.npy does not have the SHA-256"):
        ChainDataset.open(folder, verify=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{name}.npy is missing or is not"):
        ChainDataset.open(folder)
    path.unlink()
    with pytest.raises(DataError, match=f"{name}.npy is missing or is not"):
        ChainDataset.open(folder)


def test_array_of_another_shape_is_refused(folder: Path) -> None:
    # Same number of bytes, so that the header alone can tell.
    path = folder / "coordinates.npy"
    path.write_bytes(path.read_bytes().replace(b"'<i4'", b"'<f4'"))
    with pytest.raises(DataError, match=r"coordinates\.npy is float32"):
        ChainDataset.open(folder)


def test_damaged_header_is_refused(folder: Path) -> None:
    path = folder / "sequence.npy"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(DataError, match="cannot be read"):
        ChainDataset.open(folder)


def test_damaged_table_is_refused(folder: Path) -> None:
    path = folder / "chains.tsv"
    path.write_bytes(path.read_bytes().replace(b"\t20\t", b"\t2O\t"))
    with pytest.raises(DataError, match="cannot be read"):
        ChainDataset.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "dataset version 2"),
        ({"version": None}, "dataset version None"),
        ({"format": "else"}, "does not describe a dataset"),
    ],
)
def test_manifest_of_another_version_is_refused(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    set_manifest(folder, **changes)
    with pytest.raises(DataError, match=message):
        ChainDataset.open(folder)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_broken_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        ChainDataset.open(folder)


def test_folder_without_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="not a dataset folder"):
        ChainDataset.open(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "its id is empty"),
        ({"id": "1abc A"}, "holds a blank"),
        ({"sequence": "AC*EF"}, "letters beyond"),
        ({"sequence": "ACDE"}, "coordinates are"),
        ({"atom_mask": np.ones((5, 36), bool)}, "atom_mask is"),
        ({"coordinates": np.full((5, 37, 3), np.nan, np.float32)}, "not a number"),
        ({"residue_index": np.array([0, 1, 1, 2, 3], np.int32)}, "residue_index"),
        ({"profile": np.full((5, 20), 1.5, np.float32)}, "profile"),
        ({"profile": np.zeros((5, 21), np.float32)}, "profile"),
        ({"dssp": "HHHH"}, "dssp"),
        ({"dssp": "HHHHC"}, "dssp"),
    ],
)
def test_chain_that_breaks_the_format_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    good = make_chain("1abc_A", 5, 0)
    with pytest.raises(DataError, match=message):
        ChainDataset.write(tmp_path / "set", [good, replace(good, **changes)], source={})
    assert list(tmp_path.iterdir()) == []


def test_duplicate_id_is_refused(tmp_path: Path) -> None:
    chain = make_chain("1abc_A", 5, 0)
    with pytest.raises(DataError, match="1abc_A stands twice"):
        ChainDataset.write(tmp_path / "set", [chain, chain], source={})
    assert list(tmp_path.iterdir()) == []


def test_write_that_stops_leaves_what_stood_there(folder: Path) -> None:
    def stopping():
        yield make_chain("9new_A", 5, 0)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        ChainDataset.write(folder, stopping(), source={}, overwrite=True)
    assert len(ChainDataset.open(folder, verify=True)) == 5
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_folder_is_replaced_only_when_asked(folder: Path) -> None:
    chains = [make_chain("9new_A", 5, 0)]
    with pytest.raises(OutputError, match="exists already"):
        ChainDataset.write(folder, chains, source={})
    assert len(ChainDataset.open(folder)) == 5
    assert ChainDataset.write(folder, chains, source={}, overwrite=True).ids == ("9new_A",)


def test_file_in_the_way_is_refused(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")
    with pytest.raises(OutputError, match="is a file"):
        ChainDataset.write(folder, varied_chains(), source={}, overwrite=True)
