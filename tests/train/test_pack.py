import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import ATOM37_INDEX
from itda.errors import DataError, OutputError
from itda.structure.chains.chain import BACKBONE_INDICES, Chain
from itda.structure.chains.dataset import ChainDataset
from itda.structure.pack.streams import compress, decode_integers, decompress, encode_integers
from itda.train.pack.archive import MEGABYTE, pack_datasets, unpack_datasets
from itda.train.pack.choose import choose_chains
from itda.train.pack.codec import decode_chains, encode_chains
from itda.train.split import Split
from tests.chains import make_chain

# Half of a 0.05 angstrom step along each of three axes, and float32 and the stored 0.001.
BOUND_ANGSTROM = 0.025 * 3**0.5 + 1e-3
ROOT_SCALE_BOUND = 20**0.5 / 24
COUNT = 14


def varied_chains() -> list[Chain]:
    chains = [make_chain(f"{number}abc_A", 20 + 7 * number, number) for number in range(COUNT)]
    index = chains[1].residue_index + 5
    index[9:] += 400
    far = chains[1].coordinates.copy()
    far[9:][chains[1].atom_mask[9:]] += (40.0, -70.0, 15.0)
    chains[1] = replace(chains[1], residue_index=index, coordinates=far)
    mask = chains[2].atom_mask.copy()
    mask[0, 0] = False
    mask[5] = False
    mask[11, ATOM37_INDEX["O"]] = False
    mask[13:16, 3:] = False
    chains[2] = replace(
        chains[2],
        atom_mask=mask,
        coordinates=np.where(mask[..., None], chains[2].coordinates, np.float32(0)),
        method="SOLUTION NMR",
        source='a "file", quoted.cif',
        release_date="1999-12-31",
        resolution=0.0,
    )
    chains[3] = replace(chains[3], profile=None, dssp=None)
    only = np.zeros_like(chains[4].atom_mask)
    only[:, BACKBONE_INDICES] = True
    chains[4] = replace(
        chains[4],
        atom_mask=only,
        coordinates=np.where(only[..., None], chains[4].coordinates, np.float32(0)),
        sequence="X" + chains[4].sequence[1:],
    )
    blank = chains[5].profile.copy()
    blank[2] = 0
    chains[5] = replace(chains[5], profile=blank)
    return chains


def check_same(decoded: Chain, chain: Chain) -> None:
    for name in ("id", "sequence", "dssp", "release_date", "method", "source"):
        assert getattr(decoded, name) == getattr(chain, name)
    assert decoded.resolution == pytest.approx(chain.resolution, rel=1e-6)
    np.testing.assert_array_equal(decoded.residue_index, chain.residue_index)
    np.testing.assert_array_equal(decoded.atom_mask, chain.atom_mask)
    error = np.linalg.norm(decoded.coordinates - chain.coordinates, axis=-1)
    assert error.max() <= BOUND_ANGSTROM
    if chain.profile is None:
        assert decoded.profile is None
        return
    known = chain.profile.sum(axis=1) > 0
    assert not decoded.profile[~known].any()
    np.testing.assert_allclose(decoded.profile[known].sum(axis=1), 1, atol=1e-5)
    # Rounding moves each square root by at most 1/24; the scale of a row is within
    # sqrt(20)/24 of 1, since the square roots of a row make a vector of length 1.
    roots = np.sqrt(decoded.profile[known])
    error = np.abs(roots - np.sqrt(chain.profile[known]))
    assert (error <= 1 / 24 + ROOT_SCALE_BOUND * roots + 1e-3).all()
    assert np.abs(decoded.profile - chain.profile).mean() < 0.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    chains = varied_chains()
    ChainDataset.write(folder / "full", chains[:9], source={"name": "one"}, parameters={"a": 1})
    ChainDataset.write(folder / "rest", chains[9:], source={"name": "two"})
    parts = ["train"] * 10 + ["validation"] * 2 + ["test"] * 2
    clusters = [*(["0abc_A"] * 3), *(chain.id for chain in chains[3:])]
    Split(
        {
            chain.id: (cluster, part)
            for chain, cluster, part in zip(chains, clusters, parts, strict=True)
        },
        frozenset(chain.id for chain in chains[10:13]),
    ).write(folder / "split")
    return folder


def datasets(folder: Path) -> list[ChainDataset]:
    return [ChainDataset.open(folder / name) for name in ("full", "rest")]


@pytest.fixture
def pack(folder: Path, tmp_path: Path) -> Path:
    pack_datasets(datasets(folder), folder / "split", tmp_path / "small.pack")
    return tmp_path / "small.pack"


def test_chains_round_trip() -> None:
    chains = varied_chains()
    for decoded, chain in zip(decode_chains(encode_chains(chains)), chains, strict=True):
        check_same(decoded, chain)


def test_error_does_not_grow_along_a_chain() -> None:
    chain = make_chain("1long_A", 400, 3)
    (decoded,) = decode_chains(encode_chains([chain]))
    error = np.linalg.norm(decoded.coordinates - chain.coordinates, axis=-1)
    late = error[300:][chain.atom_mask[300:]]
    early = error[:100][chain.atom_mask[:100]]
    assert error.max() <= BOUND_ANGSTROM
    assert late.mean() == pytest.approx(early.mean(), rel=0.1)


def test_coordinates_take_fewer_bytes_than_stored() -> None:
    chain = make_chain("1long_A", 400, 3)
    packed = encode_chains([chain])
    assert len(packed["backbone"]) + len(packed["side_chains"]) < 3 * chain.atom_mask.sum()


def test_missing_or_foreign_sections_are_refused() -> None:
    packed = encode_chains(varied_chains())
    other = encode_chains(varied_chains()[:3])
    for name in packed:
        with pytest.raises(DataError):
            list(decode_chains({key: data for key, data in packed.items() if key != name}))
        with pytest.raises(DataError):
            list(decode_chains({**packed, name: packed[name][:-2]}))
    for name in ("sequence", "dssp", "gaps", "mask", "backbone", "side_chains"):
        with pytest.raises(DataError):
            list(decode_chains({**packed, name: other[name]}))


def test_whole_numbers_round_trip() -> None:
    values = np.array([0, 1, -1, 126, 127, -127, -128, 128, 100_000, -100_000])
    data = decompress(compress(encode_integers(values)))
    assert decode_integers(data, len(values)).tolist() == values.tolist()
    assert len(encode_integers(np.arange(-127, 128))) == 255
    for count in (len(values) - 1, len(values) + 1):
        with pytest.raises(DataError):
            decode_integers(data, count)


def test_pack_round_trip(folder: Path, pack: Path, tmp_path: Path) -> None:
    written = unpack_datasets(pack, tmp_path / "out")
    assert [path.name for path in written] == ["full", "rest", "split"]
    chains = {chain.id: chain for chain in varied_chains()}
    seen = set()
    for name in ("full", "rest"):
        unpacked = ChainDataset.open(tmp_path / "out" / name, verify=True)
        before = ChainDataset.open(folder / name)
        assert unpacked.manifest["source"] == before.manifest["source"]
        assert before.manifest["parameters"].items() <= unpacked.manifest["parameters"].items()
        for chain in unpacked:
            check_same(chain, chains[chain.id])
            assert chain.id in before
            seen.add(chain.id)
    # Of the parts that evaluate, only chains that evaluation uses.
    assert seen == set(chains) - {"13abc_A"}


def test_split_is_kept(folder: Path, pack: Path, tmp_path: Path) -> None:
    unpack_datasets(pack, tmp_path / "out")
    before, after = Split.read(folder / "split"), Split.read(tmp_path / "out" / "split")
    assert after.members == before.members
    assert after.representatives == before.representatives


def test_same_pack_twice(folder: Path, pack: Path, tmp_path: Path) -> None:
    result = pack_datasets(datasets(folder), folder / "split", tmp_path / "again.pack")
    assert (tmp_path / "again.pack").read_bytes() == pack.read_bytes()
    assert result.size_bytes == pack.stat().st_size
    assert result.chains == {"full": 9, "rest": 4}
    assert result.left_out == 0


def test_size_limit_is_respected(folder: Path, pack: Path, tmp_path: Path) -> None:
    size = pack.stat().st_size
    path = tmp_path / "limited.pack"
    limit = 0.75 * size / MEGABYTE
    result = pack_datasets(datasets(folder), folder / "split", path, max_megabytes=limit)
    assert path.stat().st_size == result.size_bytes <= limit * MEGABYTE
    assert result.left_out == 13 - sum(result.chains.values()) > 0
    unpack_datasets(path, tmp_path / "out")
    ids = ChainDataset.open(tmp_path / "out" / "rest").ids
    assert {"10abc_A", "11abc_A", "12abc_A"} <= set(ids)


def test_limit_that_nothing_fits_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no pack of 0\.0001 MB"):
        pack_datasets(
            datasets(folder), folder / "split", tmp_path / "none.pack", max_megabytes=1e-4
        )
    assert list(tmp_path.iterdir()) == []


def test_order_of_choice(folder: Path) -> None:
    sets = datasets(folder)
    split = Split.read(folder / "split")
    order = choose_chains(sets, split, parts=("train", "validation", "test"))
    names = [sets[which].ids[index] for which, index in order]
    assert names[:3] == ["10abc_A", "11abc_A", "12abc_A"]
    assert names[-1] == "4abc_A"
    one = choose_chains(sets, split, parts=("train",), per_cluster=1)
    names = [sets[which].ids[index] for which, index in one]
    assert len(names) == len({split.cluster(name) for name in names}) == 8


def test_truncated_pack_is_refused(pack: Path, tmp_path: Path) -> None:
    data = pack.read_bytes()
    cut = tmp_path / "cut.pack"
    for size in (0, 20, len(data) // 2, len(data) - 30, len(data) - 1):
        cut.write_bytes(data[:size])
        with pytest.raises(DataError):
            unpack_datasets(cut, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_damaged_section_is_refused(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        place = archive.getinfo("full/0/backbone").header_offset + 60
    data = bytearray(pack.read_bytes())
    data[place] ^= 0xFF
    pack.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as a pack"):
        unpack_datasets(pack, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 2', "pack version 2"),
        ("itda-pack", "itda-else", "is not a pack"),
        ('"full"', '"../full"', "no plain folder name"),
        ('"chains": 9', '"chains": 8', "full has 9 chains, its index says 8"),
    ],
)
def test_other_index_is_refused(
    pack: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    other = tmp_path / "other.pack"
    with zipfile.ZipFile(pack) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(
                name, data.replace(old.encode(), new.encode()) if name == "pack.json" else data
            )
    with pytest.raises(DataError, match=message):
        unpack_datasets(other, tmp_path / "out")


def test_folders_are_replaced_only_when_asked(pack: Path, tmp_path: Path) -> None:
    unpack_datasets(pack, tmp_path / "out")
    with pytest.raises(OutputError, match="exists already"):
        unpack_datasets(pack, tmp_path / "out")
    unpack_datasets(pack, tmp_path / "out", overwrite=True)
