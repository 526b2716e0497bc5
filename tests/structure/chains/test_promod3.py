"""A structure database written here byte by byte, from the published layout."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import DataError
from itda.structure.chains.promod3 import find_profile_columns, read_structure_database

# The order of three-letter codes, so that no column but the first stands where RESTYPES has it.
COLUMNS = "ARNDCQEGHILKMFPSTWYV"[::-1]
NAMES = (("1ABC", "A"), ("2XYZ", "B"), ("3SML", "C"))
SIZES = (45, 30, 7)
SHIFTS = ((50.0, 60.5, 70.25), (100.0, 2.5, 12.5), (80.0, 80.0, 80.0))
BACKBONE = [0, 1, 2, 4]


@dataclass
class Content:
    """What a database holds, before it is bytes."""

    sequence: str
    positions: np.ndarray
    dssp: str
    profile: np.ndarray
    offsets: list[int] = field(default_factory=lambda: [0, 45, 75])
    header: bytes = struct.pack("<IBBi", 1234, 1, 8, -1)
    tail: bytes = b""

    def to_bytes(self) -> bytes:
        count = struct.pack("<Q", len(self.sequence))
        data = self.header + struct.pack("<Q", len(NAMES))
        for names, offset, size, shift in zip(NAMES, self.offsets, SIZES, SHIFTS, strict=True):
            for name in names:
                data += struct.pack("<I", len(name)) + name.encode()
            data += struct.pack("<I", offset) + struct.pack("<H", size) + struct.pack("<H", 3)
            data += struct.pack("<fff", *shift)
        data += count + self.sequence.encode()
        shifts = np.repeat(SHIFTS, SIZES, axis=0)[:, None]
        data += count + np.rint((self.positions + shifts) * 100).astype("<u2").tobytes()
        residues = len(self.sequence)
        data += count + np.full((residues, 2), -7, "<i2").tobytes()
        data += count + np.full(residues, 21, "<u2").tobytes()
        data += count + np.full(residues, 13, "<u2").tobytes()
        data += count + self.dssp.encode()
        data += count + self.profile.astype("<i2").tobytes()
        data += count + np.full((residues, 20), 500, "<i2").tobytes()
        return data + self.tail


@pytest.fixture
def content() -> Content:
    random = np.random.default_rng(5)
    total = sum(SIZES)
    sequence = (RESTYPES * 5)[:total]
    # N, CA, C and O along a rising zigzag; each chain about its own centre of mass at 0.
    offset = np.array([[0.0, 0.0, 0.0], [1.2, 0.8, 0.0], [2.4, 0.0, 0.0], [2.5, -1.2, 0.0]])
    own = np.concatenate([np.arange(size) - size / 2 for size in SIZES])
    step = np.array([3.6, 0.0, 0.5])
    positions = offset + (own[:, None] * step * 0.3)[:, None]
    positions += random.uniform(-0.1, 0.1, (total, 4, 3))
    profile = random.integers(0, 300, (total, 20))
    for row, letter in enumerate(sequence):
        profile[row, COLUMNS.index(letter)] += 3000
        if letter == "M":
            profile[row, COLUMNS.index("L")] += 4000
        if letter == "L":
            profile[row, COLUMNS.index("L")] += 6000
    return Content(sequence, positions, ("HHEECBGITS" * 9)[:total], profile)


@pytest.fixture
def path(tmp_path: Path, content: Content) -> Path:
    file = tmp_path / "structure_db.dat"
    file.write_bytes(content.to_bytes())
    return file


def test_table(path: Path) -> None:
    entries = read_structure_database(path).entries
    assert [entry.id for entry in entries] == ["1abc_A", "2xyz_B", "3sml_C"]
    assert [entry.size for entry in entries] == list(SIZES)
    assert [entry.seqres_start_1based for entry in entries] == [3, 3, 3]
    assert [entry.shift_angstrom for entry in entries] == list(SHIFTS)


def test_chains(path: Path, content: Content) -> None:
    chains = list(read_structure_database(path).chains(minimum_length=1))
    assert [len(chain) for chain in chains] == list(SIZES)
    start = 0
    for chain in chains:
        own = slice(start, start + len(chain))
        start += len(chain)
        assert chain.sequence == content.sequence[own]
        assert chain.dssp == content.dssp[own].replace("C", "-")
        # Half of the stored 0.01 angstrom, and float32.
        error = np.abs(chain.coordinates[:, BACKBONE] - content.positions[own]).max()
        assert 0.001 < error <= 0.005 + 1e-5
        assert chain.atom_mask[:, BACKBONE].all()
        assert chain.atom_mask.sum() == 4 * len(chain)
        assert chain.residue_index.tolist() == list(range(len(chain)))
        assert not chain.has_side_chains


def test_profile_columns_are_found(path: Path, content: Content) -> None:
    for chain in read_structure_database(path).chains():
        start = {"1abc_A": 0, "2xyz_B": 45}[chain.id]
        rows = content.profile[start : start + len(chain)]
        expected = rows[:, [COLUMNS.index(letter) for letter in RESTYPES]]
        expected = expected / expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(chain.profile, expected, atol=1e-6)


def test_columns_in_another_order_are_found_too(content: Content) -> None:
    order = np.random.default_rng(0).permutation(20)
    letters = np.frombuffer(content.sequence.encode(), np.uint8)
    profile = content.profile.astype(np.int16)
    plain = find_profile_columns(letters, profile)
    mixed = find_profile_columns(letters, profile[:, order])
    assert "".join(COLUMNS[column] for column in plain) == RESTYPES
    assert order[mixed].tolist() == plain.tolist()


def test_columns_that_cannot_be_told_apart_are_refused(content: Content) -> None:
    letters = np.frombuffer(content.sequence.encode(), np.uint8)
    with pytest.raises(DataError, match="cannot be told apart"):
        find_profile_columns(letters, np.full((len(letters), 20), 500, np.int16))


def test_short_chains_are_left_out(path: Path) -> None:
    assert [chain.id for chain in read_structure_database(path).chains()] == ["1abc_A", "2xyz_B"]


def test_other_counts_than_the_published_are_told(path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 3 chains, 2 of 20 .* holds 21,119 and 20,895"):
        read_structure_database(path).check_counts()


def test_peptide_bonds_are_measured(path: Path, content: Content, tmp_path: Path) -> None:
    bonds = [
        np.linalg.norm(content.positions[row, 2] - content.positions[row + 1, 0])
        for row in range(sum(SIZES) - 1)
        if row + 1 not in (45, 75)
    ]
    longest = read_structure_database(path).check_peptide_bonds()
    assert longest == pytest.approx(max(bonds), abs=0.02)
    content.positions[10:45] += 5.0
    (tmp_path / "broken.dat").write_bytes(content.to_bytes())
    with pytest.raises(DataError, match="C-N distance"):
        read_structure_database(tmp_path / "broken.dat").check_peptide_bonds()


def test_truncated_anywhere_is_refused(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    cut = tmp_path / "cut.dat"
    for size in [*range(0, 140, 9), *range(140, len(data), 997), len(data) - 1]:
        cut.write_bytes(data[:size])
        with pytest.raises(DataError):
            read_structure_database(cut)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_structure_database(tmp_path / "none.dat")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": struct.pack("<IBBi", 4321, 1, 8, -1)}, "header is of another layout"),
        ({"header": struct.pack("<IBBi", 1234, 1, 8, 3)}, "layout|claims"),
        ({"offsets": [0, 44, 75]}, "2xyz_B does not follow"),
        ({"sequence": "J" * 82}, "sequence holds the letters b'J'"),
        ({"dssp": "?" * 82}, "dssp holds the letters"),
        ({"sequence": "A" * 81}, "sequence holds 81 residues, the table 82"),
        ({"sequence": "A" * 82}, "cannot be told apart"),
        ({"profile": np.full((82, 20), -1)}, "outside 0..1"),
        ({"profile": np.full((82, 20), 10_001)}, "outside 0..1"),
        ({"tail": b"\0"}, "1 bytes follow the last array"),
    ],
)
def test_another_layout_is_refused(
    tmp_path: Path, content: Content, changes: dict[str, object], message: str
) -> None:
    for name, value in changes.items():
        setattr(content, name, value)
    file = tmp_path / "other.dat"
    if len(content.sequence) != 82:
        count = struct.pack("<Q", 82)
        original = content.sequence
        content.sequence = "A" * 82
        data = content.to_bytes().replace(count + b"A" * 82, struct.pack("<Q", 81) + b"A" * 81)
        content.sequence = original
    else:
        data = content.to_bytes()
    file.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_structure_database(file)
