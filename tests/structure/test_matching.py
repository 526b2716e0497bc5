import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.errors import InputError
from itda.structure.matching import match_chain, match_chains
from itda.structure.protein_chains import protein_chains
from itda.structure.residues import Residues


def part(atoms: AtomArray, chain: str, first: int, last: int, shift: float = 0.0) -> AtomArray:
    cut = atoms[(atoms.res_id >= first) & (atoms.res_id <= last)].copy()
    cut.chain_id[:] = chain
    cut.coord = cut.coord + np.float32(shift)
    return cut


def numbers(residues: Residues, rows: np.ndarray) -> list[int]:
    return [residues.numbers[int(row)] for row in rows]


def test_a_missing_loop_is_stepped_over(ubiquitin: AtomArray) -> None:
    whole = Residues.from_atoms(ubiquitin)
    gapped = Residues.from_atoms(ubiquitin[(ubiquitin.res_id < 20) | (ubiquitin.res_id > 27)])
    (match,) = match_chains(whole, gapped)
    assert numbers(whole, match.reference_rows) == numbers(gapped, match.model_rows)
    assert len(match.reference_rows) == 68
    assert match.identity == 1.0


def test_other_numbers_do_not_matter(ubiquitin: AtomArray) -> None:
    moved = part(ubiquitin, "X", 11, 60)
    moved.res_id += 500
    (match,) = match_chains(Residues.from_atoms(ubiquitin), Residues.from_atoms(moved))
    assert numbers(match_residues := Residues.from_atoms(ubiquitin), match.reference_rows) == list(
        range(11, 61)
    )
    assert len(match_residues) == 76


def test_mutations_are_matched(ubiquitin: AtomArray) -> None:
    mutant = ubiquitin.copy()
    mutant.res_name[mutant.res_id == 40] = "ALA"
    mutant.res_name[mutant.res_id == 48] = "TRP"
    (match,) = match_chains(Residues.from_atoms(ubiquitin), Residues.from_atoms(mutant))
    assert len(match.reference_rows) == 76
    assert match.identity == pytest.approx(74 / 76)


def test_matching_by_number_ignores_types(ubiquitin: AtomArray) -> None:
    chain = protein_chains(Residues.from_atoms(ubiquitin))["A"]
    renamed = ubiquitin.copy()
    renamed.res_name[:] = "GLY"
    renamed.res_id += 10
    other = Residues.from_atoms(renamed)
    match = match_chain(chain, protein_chains(other)["A"], by_number=True)
    assert numbers(other, match.model_rows) == list(range(11, 77))


def test_chains_are_paired_by_sequence(ubiquitin: AtomArray) -> None:
    reference = Residues.from_atoms(
        part(ubiquitin, "A", 1, 35) + part(ubiquitin, "B", 36, 76, 30.0)
    )
    model = Residues.from_atoms(part(ubiquitin, "H", 36, 76, 30.0) + part(ubiquitin, "L", 1, 35))
    matches = match_chains(reference, model)
    assert {match.reference.id: match.model.id for match in matches} == {"A": "L", "B": "H"}


@pytest.mark.parametrize("copies", [3, 6])
def test_copies_are_paired_by_position(copies: int, ubiquitin: AtomArray) -> None:
    rng = np.random.default_rng(copies)
    shifts = 45.0 * rng.normal(size=(copies, 3))
    placed = [part(ubiquitin, f"C{index}", 1, 76) for index in range(copies)]
    for one, shift in zip(placed, shifts, strict=True):
        one.coord = one.coord + shift.astype(np.float32)
    order = rng.permutation(copies)
    shuffled = []
    for index, source in enumerate(order):
        one = placed[source].copy()
        one.chain_id[:] = f"M{index}"
        shuffled.append(one)
    reference, model = placed[0], shuffled[0]
    for one, other in zip(placed[1:], shuffled[1:], strict=True):
        reference, model = reference + one, model + other
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    model.coord = (model.coord @ turn + 12.0).astype(np.float32)
    matches = match_chains(Residues.from_atoms(reference), Residues.from_atoms(model))
    assert {match.reference.id: match.model.id for match in matches} == {
        f"C{source}": f"M{index}" for index, source in enumerate(order)
    }


def test_unlike_chains_share_nothing(ubiquitin: AtomArray) -> None:
    other = ubiquitin.copy()
    other.res_name[:] = "GLY"
    with pytest.raises(InputError, match="no residue in common") as caught:
        match_chains(Residues.from_atoms(ubiquitin), Residues.from_atoms(other))
    assert "--chain" in caught.value.hint


def test_named_chains_are_checked(ubiquitin: AtomArray) -> None:
    residues = Residues.from_atoms(ubiquitin + part(ubiquitin, "B", 1, 76))
    (match,) = match_chains(residues, residues, chains={"A": "B"})
    assert (match.reference.id, match.model.id) == ("A", "B")
    with pytest.raises(InputError, match="reference has no protein chain 'Z'"):
        match_chains(residues, residues, chains={"Z": "A"})
    with pytest.raises(InputError, match="model has no protein chain 'Z'"):
        match_chains(residues, residues, chains={"A": "Z"})
    with pytest.raises(InputError, match="named twice"):
        match_chains(residues, residues, chains={"A": "A", "B": "A"})


def test_a_structure_without_protein_is_refused(with_water: AtomArray) -> None:
    water = Residues.from_atoms(with_water[with_water.hetero])
    protein = Residues.from_atoms(with_water)
    with pytest.raises(InputError, match="the reference has no protein"):
        match_chains(water, protein)
    with pytest.raises(InputError, match="the model has no protein"):
        match_chains(protein, water)


def test_modified_residues_have_the_letter_of_their_parent(mixed: AtomArray) -> None:
    assert protein_chains(Residues.from_atoms(mixed))["A"].sequence == "GM"
