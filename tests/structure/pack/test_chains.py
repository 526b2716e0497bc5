"""Packed chains: what comes back, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from itda.errors import DataError
from itda.search.databases.known_folds import FILE, known_folds
from itda.structure.chains.chain import BACKBONE_INDICES
from itda.structure.pack.backbone import (
    BackboneCode,
    class_means,
    classify,
    decode_backbone,
    decode_chain,
    encode_backbone,
)
from itda.structure.pack.chains import CHAINS_OF_A_BLOCK, MAGIC, PackedChains, write_library

SHIPPED = PackedChains(FILE)
FACTS = {"source": "tests", "method": "X-RAY DIFFRACTION"}


@pytest.fixture(scope="module")
def chains():
    """Chains of two blocks and a rest, with their atoms off the grid that they were packed on."""
    random = np.random.default_rng(3)
    chosen = [SHIPPED[place] for place in range(0, 3 * (2 * CHAINS_OF_A_BLOCK + 5), 3)]
    return [
        replace(
            chain,
            coordinates=np.where(
                chain.atom_mask[..., None],
                chain.coordinates + random.uniform(-0.2, 0.2, chain.coordinates.shape),
                0,
            ).astype(np.float32),
        )
        for chain in chosen
    ]


@pytest.fixture(scope="module")
def packed(chains, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "chains.bin"
    write_library(path, chains, FACTS, columns=64)
    return PackedChains(path)


def test_every_atom_comes_back_within_a_tenth_of_an_angstrom(chains, packed):
    assert packed.ids == tuple(chain.id for chain in chains)
    for chain, again in zip(chains, packed, strict=True):
        assert again.sequence == chain.sequence
        assert again.dssp == chain.dssp
        assert (again.residue_index == chain.residue_index).all()
        moved = chain.coordinates[:, BACKBONE_INDICES] - chain.coordinates[0, 0]
        distance = np.linalg.norm(moved - again.coordinates[:, BACKBONE_INDICES], axis=-1)
        assert distance.max() < 0.0954
        assert again.coordinates[0, 0] == pytest.approx([0, 0, 0], abs=0.0954)


def test_chains_come_in_any_order(packed):
    first = [packed[place].coordinates for place in (0, 100, 5)]
    again = [packed[place].coordinates for place in (5, 0, 100)]
    assert (first[0] == again[1]).all()
    assert (first[1] == again[2]).all()
    assert (first[2] == again[0]).all()
    assert (packed[-1].coordinates == packed[len(packed) - 1].coordinates).all()
    with pytest.raises(IndexError):
        packed[len(packed)]


def test_profiles_are_the_nearest_columns(chains, packed):
    roots = np.sqrt(packed.columns)
    for chain, again in zip(chains[:20], packed, strict=False):
        assert again.profile.sum(axis=1) == pytest.approx(1, abs=1e-4)
        own = ((np.sqrt(chain.profile) - np.sqrt(again.profile)) ** 2).sum(axis=1)
        all_of = ((np.sqrt(chain.profile)[:, None] - roots) ** 2).sum(axis=-1)
        assert own == pytest.approx(all_of.min(axis=1), abs=2e-3)
        # A column tells more than the mean of all chains does.
        mean = np.sqrt(SHIPPED.columns.mean(axis=0))
        assert own.mean() < 0.8 * ((np.sqrt(chain.profile) - mean) ** 2).sum(axis=1).mean()


def test_the_same_chains_give_the_same_bytes(chains, tmp_path):
    write_library(tmp_path / "a", chains[:70], FACTS, columns=64)
    write_library(tmp_path / "b", chains[:70], FACTS, columns=64)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_chain_is_decoded_alone_as_it_is_with_others(chains):
    lengths = np.array([len(chain) for chain in chains[:6]])
    letters = np.frombuffer("".join(chain.sequence for chain in chains[:6]).encode(), np.uint8)
    dssp = np.frombuffer("".join(chain.dssp for chain in chains[:6]).encode(), np.uint8)
    classes = classify(letters, dssp, np.ones(len(dssp), bool))
    positions = np.concatenate([chain.coordinates[:, BACKBONE_INDICES] for chain in chains[:6]])
    mask = np.ones(positions.shape[:2], bool)
    means = class_means(positions, mask, lengths, classes)
    code, _ = encode_backbone(positions, mask, lengths, classes, means_angstrom=means)
    together = decode_backbone(code, lengths, classes)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for number in range(6):
        own = slice(starts[number], starts[number + 1])
        one = BackboneCode(code.residuals[own], means, code.origins[number : number + 1])
        assert decode_chain(one, classes[own]) == pytest.approx(together[own], abs=1e-6)


@pytest.mark.parametrize("residues", [1, 2, 3])
def test_short_chains(chains, residues, tmp_path):
    whole = chains[0]
    short = replace(
        whole,
        sequence=whole.sequence[:residues],
        coordinates=whole.coordinates[:residues],
        atom_mask=whole.atom_mask[:residues],
        residue_index=whole.residue_index[:residues],
        profile=whole.profile[:residues],
        dssp=whole.dssp[:residues],
    )
    write_library(tmp_path / "short", [short, *chains[1:10]], FACTS, columns=64)
    (again, *_) = PackedChains(tmp_path / "short")
    moved = short.coordinates[:, BACKBONE_INDICES] - short.coordinates[0, 0]
    assert again.coordinates[:, BACKBONE_INDICES] == pytest.approx(moved, abs=0.0954)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"profile": None}, "profile"),
        ({"dssp": None}, "DSSP"),
        ({"residue_index": "gap"}, "residue"),
        ({"atom_mask": "hole"}, "backbone atom"),
    ],
)
def test_a_chain_with_a_hole_is_refused(chains, tmp_path, change, lacks):
    chain = chains[0]
    if change.get("residue_index") == "gap":
        index = chain.residue_index.copy()
        index[5:] += 1
        change = {"residue_index": index}
    if isinstance(change.get("atom_mask"), str):
        mask = chain.atom_mask.copy()
        mask[3, 4] = False
        change = {"atom_mask": mask}
    with pytest.raises(DataError, match=lacks):
        write_library(tmp_path / "x", [replace(chain, **change)], FACTS, columns=64)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"",
        lambda data: b"another file, which is long enough to hold a header",
        lambda data: data.replace(b'"version":1', b'"version":9'),
        lambda data: data[: len(MAGIC) + 4] + b"{" + data[len(MAGIC) + 5 :][::-1],
    ],
)
def test_a_file_that_is_none_is_refused(packed, tmp_path, spoil):
    (tmp_path / "spoilt").write_bytes(spoil(packed.path.read_bytes()))
    with pytest.raises(DataError, match="no library of folds"):
        PackedChains(tmp_path / "spoilt")


def test_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no library of folds"):
        PackedChains(tmp_path / "absent")


def test_one_altered_byte_is_noticed(packed, tmp_path):
    data = bytearray(packed.path.read_bytes())
    data[-1000] ^= 1
    (tmp_path / "altered").write_bytes(data)
    packed.verify()
    with pytest.raises(DataError, match="SHA-256"):
        PackedChains(tmp_path / "altered").verify()


def test_the_shipped_library_is_whole_and_small():
    library = known_folds(FILE)
    assert FILE.stat().st_size < 28_000_000
    assert (library.sequences, library.residues) == (20_895, 4_558_363)
    assert len(SHIPPED.ids) == len(set(SHIPPED.ids)) == 20_895
    SHIPPED.verify()
    json.dumps(SHIPPED.facts)


def test_shipped_chains_have_the_bonds_of_proteins():
    for place in np.random.default_rng(1).choice(len(SHIPPED), 60, replace=False):
        chain = SHIPPED[int(place)]
        nitrogen, ca, carbon, oxygen = np.moveaxis(chain.coordinates[:, BACKBONE_INDICES], 1, 0)
        assert np.linalg.norm(nitrogen[1:] - carbon[:-1], axis=-1).max() < 2.0
        for first, second, length in (
            (nitrogen, ca, 1.458),
            (ca, carbon, 1.525),
            (carbon, oxygen, 1.231),
        ):
            bonds = np.linalg.norm(first - second, axis=-1)
            assert bonds.mean() == pytest.approx(length, abs=0.06)
