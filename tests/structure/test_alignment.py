"""Alignments against biotite's where no residue is missing, against the truth where some are."""

from collections.abc import Callable

import numpy as np
import pytest
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal
from biotite.structure import AtomArray

from itda.structure.alignment import Strand, align, align_many, similarity
from itda.structure.matching import match_chains
from itda.structure.residues import Residues

LETTERS = list("ARNDCQEGHILKMFPSTWYV")

Change = Callable[[AtomArray], AtomArray]


def as_read(atoms: AtomArray) -> AtomArray:
    return atoms


def numbered_anew(atoms: AtomArray) -> AtomArray:
    changed = atoms.copy()
    changed.res_id = np.unique(atoms.res_id, return_inverse=True)[1] + 1
    return changed


def numbered_from_minus_100(atoms: AtomArray) -> AtomArray:
    changed = atoms.copy()
    changed.res_id = changed.res_id - 100
    return changed


def wrongly_numbered(atoms: AtomArray) -> AtomArray:
    changed = atoms.copy()
    changed.res_id = np.where(atoms.res_id > 40, atoms.res_id + 7, atoms.res_id)
    return changed


def with_insertion_codes(atoms: AtomArray) -> AtomArray:
    """Residues 41 to 44 are 40A to 40D, and those behind them four less."""
    changed = atoms.copy()
    inserted = (atoms.res_id > 40) & (atoms.res_id <= 44)
    changed.ins_code[inserted] = np.array(list("ABCD"))[atoms.res_id[inserted] - 41]
    changed.res_id = np.where(atoms.res_id > 44, atoms.res_id - 4, np.minimum(atoms.res_id, 40))
    changed.res_id[atoms.res_id <= 40] = atoms.res_id[atoms.res_id <= 40]
    return changed


def labels_alone(atoms: AtomArray) -> AtomArray:
    """Author numbers from 1 on; those of the polymer tell what is missing."""
    changed = numbered_anew(atoms)
    changed.set_annotation("label_seq_id", atoms.res_id.copy())
    return changed


def carbons_alone(atoms: AtomArray) -> AtomArray:
    return atoms[atoms.atom_name == "CA"]


CHANGES = (
    as_read,
    numbered_anew,
    numbered_from_minus_100,
    wrongly_numbered,
    with_insertion_codes,
    labels_alone,
    carbons_alone,
)


@pytest.fixture
def bare(ubiquitin: AtomArray) -> AtomArray:
    for category in ("label_asym_id", "label_seq_id", "label_entity_id"):
        ubiquitin.del_annotation(category)
    return ubiquitin


def is_right(reference: AtomArray, model: AtomArray) -> bool:
    """Whether each residue that both have, told by its coordinates, is paired with itself alone."""
    first, second = Residues.from_atoms(reference), Residues.from_atoms(model)
    (match,) = match_chains(first, second)
    true, predicted = first.positions("CA"), second.positions("CA")
    shared = {tuple(point) for point in true} & {tuple(point) for point in predicted}
    same = np.array_equal(true[match.reference_rows], predicted[match.model_rows])
    return same and len(match) == len(shared)


def cuts(longest: int) -> list[tuple[int, ...]]:
    return [
        tuple(range(start, start + length))
        for length in range(1, longest + 1)
        for start in range(1, 78 - length)
    ]


def without(atoms: AtomArray, numbers: tuple[int, ...]) -> AtomArray:
    return atoms[~np.isin(atoms.res_id, numbers)]


@pytest.mark.parametrize("change", [as_read, numbered_anew])
def test_every_cut_of_1_to_8_residues_is_seen(change: Change, bare: AtomArray) -> None:
    tried = cuts(8)
    assert len(tried) == 580
    wrong = [cut for cut in tried if not is_right(bare, change(without(bare, cut)))]
    assert wrong == []


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("swap", [False, True])
def test_cuts_are_seen_however_residues_are_numbered(
    change: Change, swap: bool, bare: AtomArray
) -> None:
    for cut in cuts(8)[::11]:
        pair = (bare, change(without(bare, cut)))
        assert is_right(*(reversed(pair) if swap else pair)), cut


@pytest.mark.parametrize("change", CHANGES)
def test_several_pieces_are_cut_from_one(change: Change, bare: AtomArray) -> None:
    random = np.random.default_rng(5)
    tried = cuts(8)
    for _ in range(25):
        cut = sum((tried[place] for place in random.integers(0, len(tried), 3)), ())
        assert is_right(bare, change(without(bare, cut))), cut


@pytest.mark.parametrize("change", [as_read, numbered_from_minus_100, labels_alone])
def test_both_are_cut(change: Change, bare: AtomArray) -> None:
    random = np.random.default_rng(6)
    tried = cuts(8)
    for _ in range(60):
        first, second = (tried[place] for place in random.integers(0, len(tried), 2))
        assert is_right(without(bare, first), change(without(bare, second))), (first, second)


def test_neighbours_that_each_lacks_are_not_paired(bare: AtomArray) -> None:
    # Both read ...EG: the glycine of one is the alanine's neighbour that the other lacks.
    twin = bare.copy()
    twin.res_name[np.isin(twin.res_id, (34, 35))] = "GLY"
    assert is_right(without(twin, (34,)), without(twin, (35,)))


def test_poor_geometry_breaks_no_chain(bare: AtomArray) -> None:
    shaken = bare.copy()
    shaken.coord += np.random.default_rng(2).normal(size=bare.coord.shape).astype(np.float32) * 1.5
    first, second = Residues.from_atoms(bare), Residues.from_atoms(without(shaken, (30, 31)))
    (match,) = match_chains(first, second)
    numbers = [first.numbers[row] for row in match.reference_rows]
    assert numbers == [second.numbers[row] for row in match.model_rows]
    assert len(numbers) == 74


def test_a_sequence_goes_before_numbers(bare: AtomArray) -> None:
    mixed = bare.copy()
    mixed.res_id = np.random.default_rng(4).permutation(200)[bare.res_id]
    assert is_right(bare, mixed)


def gotoh(first: str, second: str) -> int:
    alignment = align_optimal(
        ProteinSequence(first),
        ProteinSequence(second),
        SubstitutionMatrix.std_protein_matrix(),
        gap_penalty=(-11, -1),
        terminal_penalty=False,
        max_number=1,
    )[0]
    return int(alignment.score)


def score(first: str, second: str, pairs: np.ndarray) -> float:
    steps = np.diff(pairs, axis=0) - 1
    strands = Strand.of_sequence(first), Strand.of_sequence(second)
    # `similarity` charges a place once; here each gap pays for its length, and both may be there.
    one_gap = (steps > 0).any(axis=-1).sum()
    return similarity(*strands, pairs) + 11 * one_gap - ((steps + 10)[steps > 0]).sum()


@pytest.mark.parametrize("seed", range(40))
def test_sequences_alone_score_as_with_biotite(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 120, 2)
    first, second = ("".join(random.choice(LETTERS, length)) for length in lengths)
    if seed % 2:
        # A relative: parts moved about and letters changed.
        kept = [letter if random.random() < 0.5 else random.choice(LETTERS) for letter in first]
        second = "".join(kept[: len(kept) // 2] + kept[len(kept) // 2 + 3 :])
    if not second:
        second = "A"
    strands = Strand.of_sequence(first), Strand.of_sequence(second)
    pairs = align(*strands)
    assert (np.diff(pairs, axis=0) > 0).all()
    assert score(first, second, pairs) == gotoh(first, second)
    assert score(second, first, align(*reversed(strands))) == gotoh(first, second)


def test_many_are_aligned_as_each_alone() -> None:
    random = np.random.default_rng(8)
    first = "".join(random.choice(LETTERS, 60))
    others = [
        Strand.of_sequence("".join(random.choice(LETTERS, length))) for length in (5, 70, 33, 60)
    ]
    others += [Strand.of_sequence(first[10:40]), others[1]]
    together = align_many(Strand.of_sequence(first), others)
    for other, pairs in zip(others, together, strict=True):
        assert np.array_equal(pairs, align(Strand.of_sequence(first), other))
