from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itda.errors import DataError
from itda.structure.chains.chain import Chain
from itda.structure.chains.rejection import Rejection
from itda.train.atom37 import read_atom37
from tests.chains import make_chain


def arrays_of(chains: list[Chain]) -> dict[str, Any]:
    mask = np.concatenate([chain.atom_mask for chain in chains])
    coordinates = np.concatenate([chain.coordinates for chain in chains])
    return {
        "id": np.array([chain.id for chain in chains]),
        "source": np.array(["made"] * len(chains)),
        "path": np.array([f"{number}.cif" for number in range(len(chains))]),
        "offset": np.cumsum([0, *map(len, chains)]),
        "seq": np.frombuffer("".join(chain.sequence for chain in chains).encode(), np.uint8),
        "coords_mA": np.rint(coordinates[mask].astype(np.float64) * 1000).astype(np.int32),
        "atom37_mask_packed": np.packbits(mask, axis=1),
        "resnum": np.concatenate([chain.residue_index for chain in chains]) + 1,
        "resolution": np.array([chain.resolution for chain in chains], np.float32),
        "deposition_date": np.array([chain.release_date for chain in chains]),
        "method": np.array([chain.method for chain in chains]),
    }


def write(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def chains() -> list[Chain]:
    partial = make_chain("2two_B", 31, 1)
    mask = partial.atom_mask.copy()
    mask[7, 3:] = False
    return [
        replace(make_chain("1one_A", 24, 0), method="SOLUTION NMR", resolution=0.0),
        replace(
            partial,
            atom_mask=mask,
            coordinates=np.where(mask[..., None], partial.coordinates, np.float32(0)),
            method="X-RAY DIFFRACTION",
            release_date="2001-09-30",
        ),
    ]


def test_chains_are_read(tmp_path: Path, chains: list[Chain]) -> None:
    read = list(read_atom37(write(tmp_path / "a.npz", arrays_of(chains))))
    assert all(isinstance(chain, Chain) for chain in read)
    for own, chain, origin in zip(read, chains, ("0.cif", "1.cif"), strict=True):
        assert (own.id, own.sequence, own.method) == (chain.id, chain.sequence, chain.method)
        assert (own.release_date, own.resolution) == (chain.release_date, chain.resolution)
        assert (own.source, own.profile, own.dssp) == (origin, None, None)
        np.testing.assert_array_equal(own.atom_mask, chain.atom_mask)
        assert np.abs(own.coordinates - chain.coordinates).max() <= 0.5e-3 + 4e-6
        assert own.residue_index.tolist() == list(range(len(chain)))
        assert own.has_side_chains


def test_only_true_breaks_are_gaps(tmp_path: Path, chains: list[Chain]) -> None:
    first, second = chains
    far = first.coordinates.copy()
    far[12:][first.atom_mask[12:]] += 30
    arrays = arrays_of([replace(first, coordinates=far), second])
    # A jump of the numbers across a bond is none; one across the break counts.
    arrays["resnum"][5:24] += 100
    arrays["resnum"][12:24] += 6
    broken, whole = read_atom37(write(tmp_path / "a.npz", arrays))
    assert np.diff(broken.residue_index).tolist() == [1] * 11 + [7] + [1] * 11
    assert np.diff(whole.residue_index).tolist() == [1] * 30


def test_rejections(tmp_path: Path, chains: list[Chain]) -> None:
    first, second = chains
    fewer = second.atom_mask.copy()
    fewer[0, 0] = False
    items = [
        first,
        make_chain("3sml_A", 19, 3),
        replace(make_chain("4mod_A", 25, 4), method="THEORETICAL MODEL"),
        make_chain("designed", 25, 5),
        replace(second, atom_mask=fewer),
        second,
        replace(make_chain("5odd_A", 20, 6), sequence="A" * 19 + "B"),
    ]
    read = list(read_atom37(write(tmp_path / "a.npz", arrays_of(items))))
    reasons = [item.reason if isinstance(item, Rejection) else "" for item in read]
    assert reasons[0] == reasons[5] == ""
    assert reasons[1] == "19 residues, fewer than 20"
    assert reasons[2] == "a model, not an experiment (THEORETICAL MODEL)"
    assert reasons[3] == "a model, not an experiment (no method and no PDB id)"
    assert reasons[4] == "another chain of this id has as many atoms or more"
    assert reasons[6].startswith("its sequence holds letters beyond")
    assert (read[1].id, read[1].source) == ("3sml_A", "1.cif")


def test_better_but_rejected_chain_does_not_displace_another(
    tmp_path: Path, chains: list[Chain]
) -> None:
    model = replace(make_chain("1one_A", 40, 9), method="THEORETICAL MODEL")
    kept, rejected = read_atom37(write(tmp_path / "a.npz", arrays_of([chains[0], model])))
    assert isinstance(kept, Chain)
    assert isinstance(rejected, Rejection)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("offset", lambda values: values[:-1]),
        ("offset", lambda values: values + 1),
        ("offset", lambda values: values[::-1]),
        ("coords_mA", lambda values: values[:-1]),
        ("resnum", lambda values: values[:-1]),
        ("method", lambda values: values[:-1]),
        ("atom37_mask_packed", lambda values: values[:-1]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, chains: list[Chain], name: str, change: Any
) -> None:
    arrays = arrays_of(chains)
    arrays[name] = change(arrays[name])
    with pytest.raises(DataError, match="do not fit each other"):
        list(read_atom37(write(tmp_path / "a.npz", arrays)))


def test_missing_array_is_named(tmp_path: Path, chains: list[Chain]) -> None:
    arrays = arrays_of(chains)
    del arrays["resnum"]
    with pytest.raises(DataError, match="lacks resnum"):
        list(read_atom37(write(tmp_path / "a.npz", arrays)))


def test_file_that_is_no_archive_is_refused(tmp_path: Path, chains: list[Chain]) -> None:
    whole = write(tmp_path / "a.npz", arrays_of(chains)).read_bytes()
    path = tmp_path / "b.npz"
    for data in (whole[:-100], whole[:50], b"text", b""):
        path.write_bytes(data)
        with pytest.raises(DataError, match="cannot be read"):
            list(read_atom37(path))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_atom37(tmp_path / "none.npz"))
