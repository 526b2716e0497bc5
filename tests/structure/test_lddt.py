"""lDDT against biotite's, and what biotite lacks: missing atoms and equivalent names."""

import itertools

import biotite.structure as struc
import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.structure.lddt import EQUIVALENT_ATOMS, PROCHIRAL_ATOMS, Lddt, lddt, lddt_all_atom


def residue_index(atoms: AtomArray) -> np.ndarray:
    return struc.get_all_residue_positions(atoms)


def shaken(points: np.ndarray, size: float, seed: int = 0) -> np.ndarray:
    return points + np.random.default_rng(seed).normal(size=points.shape) * size


def all_atom(model: np.ndarray, true: AtomArray, **options: object) -> Lddt:
    return lddt_all_atom(
        model,
        true.coord.astype(float),
        residue_index=residue_index(true),
        residue_names=true.res_name,
        atom_names=true.atom_name,
        **options,  # type: ignore[arg-type]
    )


def exchanged(atoms: AtomArray, residues: tuple[str, ...]) -> np.ndarray:
    """Give the coordinates with the names of exchangeable atoms of some residues swapped."""
    pairs = {**EQUIVALENT_ATOMS, **PROCHIRAL_ATOMS}
    points = atoms.coord.astype(float)
    for start, stop in itertools.pairwise([*struc.get_residue_starts(atoms), len(atoms)]):
        if atoms.res_name[start] in residues:
            names = atoms.atom_name[start:stop].tolist()
            for one, other in pairs[str(atoms.res_name[start])]:
                first, second = start + names.index(one), start + names.index(other)
                points[[first, second]] = points[[second, first]]
    return points


@pytest.mark.parametrize("size", [0.1, 0.5, 2.0, 8.0])
def test_ca_agrees_with_biotite(ubiquitin: AtomArray, size: float) -> None:
    carbons = ubiquitin[ubiquitin.atom_name == "CA"]
    true = carbons.coord.astype(float)
    model = shaken(true, size)
    ours = lddt(model, true)
    theirs = struc.lddt(carbons, model, aggregation="residue")
    assert ours.score == pytest.approx(struc.lddt(carbons, model), abs=1e-4)
    np.testing.assert_allclose(ours.per_residue, theirs, atol=2e-3)


@pytest.mark.parametrize("size", [0.2, 1.0, 4.0])
def test_all_atom_agrees_with_biotite(ubiquitin: AtomArray, size: float) -> None:
    true = ubiquitin.coord.astype(float)
    model = shaken(true, size)
    ours = lddt(model, true, residue_index=residue_index(ubiquitin))
    theirs = struc.lddt(ubiquitin, model, aggregation="residue")
    assert ours.score == pytest.approx(struc.lddt(ubiquitin, model), abs=1e-4)
    np.testing.assert_allclose(ours.per_residue, theirs, atol=1e-3)


def test_position_and_orientation_do_not_matter(ubiquitin_ca: np.ndarray) -> None:
    model = shaken(ubiquitin_ca, 1.0)
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    assert lddt(model @ rotation + 20, ubiquitin_ca).score == pytest.approx(
        lddt(model, ubiquitin_ca).score, abs=1e-9
    )


def test_a_missing_model_atom_loses_its_distances(ubiquitin_ca: np.ndarray) -> None:
    model = ubiquitin_ca.copy()
    model[10] = np.nan
    mask = np.ones(len(model), dtype=bool)
    mask[10] = False
    by_nan, by_mask = (
        lddt(model, ubiquitin_ca),
        lddt(ubiquitin_ca, ubiquitin_ca, predicted_mask=mask),
    )
    assert by_nan.score == by_mask.score < 1.0
    assert by_nan.per_residue[10] == 0.0
    lost = 2 * by_nan.pair_count[10] / by_nan.pair_count.sum()
    assert by_nan.score == pytest.approx(1.0 - lost)


def test_a_missing_reference_atom_asks_for_nothing(ubiquitin_ca: np.ndarray) -> None:
    true = ubiquitin_ca.copy()
    true[10] = np.nan
    scores = lddt(shaken(ubiquitin_ca, 0.01), true)
    assert scores.score == 1.0
    assert np.isnan(scores.per_residue[10])
    assert scores.pair_count[10] == 0
    assert (
        lddt(ubiquitin_ca, true).score
        == lddt(ubiquitin_ca, true, true_mask=np.isfinite(true[:, 0])).score
    )


def test_no_pair_at_all_is_nan() -> None:
    far = np.arange(9.0).reshape(3, 3) * 100
    assert np.isnan(lddt(far, far).score)
    assert np.isnan(lddt(far[:1], far[:1]).per_residue).all()


def test_distances_are_scored_at_each_threshold() -> None:
    true = np.array([[0.0, 0, 0], [10.0, 0, 0]])
    scores = [lddt(true * (1 + change / 10), true).score for change in (0.4, 0.6, 1.5, 3.0, 5.0)]
    assert scores == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    "names", [("ASP",), ("GLU",), ("PHE", "TYR"), ("ARG",), tuple(EQUIVALENT_ATOMS)]
)
def test_equivalent_names_do_not_matter(ubiquitin: AtomArray, names: tuple[str, ...]) -> None:
    model = exchanged(ubiquitin, names)
    plain = lddt(model, ubiquitin.coord.astype(float), residue_index=residue_index(ubiquitin))
    assert plain.score < 1.0
    assert all_atom(model, ubiquitin).score == 1.0


def test_chirality_of_leucine_and_valine_matters_unless_told(ubiquitin: AtomArray) -> None:
    model = exchanged(ubiquitin, ("LEU", "VAL"))
    assert all_atom(model, ubiquitin).score < 0.99
    published = {**EQUIVALENT_ATOMS, **PROCHIRAL_ATOMS}
    assert all_atom(model, ubiquitin, equivalent_atoms=published).score == 1.0


def test_the_better_naming_is_chosen_for_each_residue_alone(ubiquitin: AtomArray) -> None:
    true = ubiquitin.coord.astype(float)
    model = shaken(exchanged(ubiquitin, ("PHE", "TYR", "ASP", "GLU")), 0.4)
    half = np.where((ubiquitin.res_id > 40)[:, np.newaxis], model, shaken(true, 0.4))
    index = residue_index(ubiquitin)
    as_named = lddt(half, true, residue_index=index)
    assert all_atom(half, ubiquitin).score > as_named.score + 1e-3
    assert all_atom(shaken(true, 0.1), ubiquitin).score == pytest.approx(
        lddt(shaken(true, 0.1), true, residue_index=index).score
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_naming_is_that_of_the_better_score(seed: int, ubiquitin: AtomArray) -> None:
    only = {"TYR": EQUIVALENT_ATOMS["TYR"]}
    as_named = shaken(ubiquitin.coord.astype(float), 1.5, seed)
    renamed = ubiquitin.copy()
    renamed.coord = as_named
    as_exchanged = exchanged(renamed, ("TYR",))
    expected = max(struc.lddt(ubiquitin, one) for one in (as_named, as_exchanged))
    for model in (as_named, as_exchanged):
        found = all_atom(model, ubiquitin, equivalent_atoms=only).score
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_partner_that_the_reference_lacks_is_no_exchange(ubiquitin: AtomArray) -> None:
    keep = ~((ubiquitin.res_name == "ASP") & (ubiquitin.atom_name == "OD2"))
    cut = ubiquitin[keep]
    assert all_atom(cut.coord.astype(float), cut).score == 1.0


def test_a_stray_reference_atom_is_harmless(ubiquitin_ca: np.ndarray) -> None:
    true = ubiquitin_ca.copy()
    true[0] = 9999.0
    assert lddt(ubiquitin_ca, true).score == 1.0
