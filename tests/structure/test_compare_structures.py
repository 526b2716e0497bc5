import json

import biotite.structure as struc
import numpy as np
import pytest
import tmtools
from biotite.structure import AtomArray

from itda.structure.compare import compare


def moved(atoms: AtomArray, coord: np.ndarray) -> AtomArray:
    result = atoms.copy()
    result.coord = coord.astype(np.float32)
    return result


def shaken(atoms: AtomArray, size: float, seed: int = 0) -> AtomArray:
    rng = np.random.default_rng(seed)
    return moved(atoms, atoms.coord + rng.normal(size=atoms.coord.shape) * size)


def test_a_structure_is_like_itself(with_water: AtomArray) -> None:
    found = compare(with_water, with_water)
    assert found.lddt_ca == found.lddt_all_atom == found.tm_score == found.gdt_ts == 1.0
    assert found.rmsd_ca_angstrom == 0.0
    assert (found.n_aligned, found.coverage) == (76, 1.0)
    assert found.reference_only == found.model_only == ()
    assert "reference: not protein, not compared: 58 HOH" in found.notes


@pytest.mark.parametrize("size", [0.3, 1.5, 5.0])
def test_scores_agree_with_other_tools(size: float, ubiquitin: AtomArray) -> None:
    model = shaken(ubiquitin, size)
    found = compare(ubiquitin, model)
    ca = ubiquitin.atom_name == "CA"
    true_ca, model_ca = ubiquitin[ca], model[ca]
    letters = "A" * 76
    expected_tm = tmtools.tm_align(
        model_ca.coord.astype(float), true_ca.coord.astype(float), letters, letters, [letters] * 2
    ).tm_norm_chain2
    fitted, _ = struc.superimpose(true_ca, model_ca)
    assert found.lddt_ca == pytest.approx(struc.lddt(true_ca, model_ca), abs=1e-3)
    assert found.tm_score == pytest.approx(expected_tm, abs=1e-3)
    assert found.rmsd_ca_angstrom == pytest.approx(struc.rmsd(true_ca, fitted), abs=1e-3)
    without_end = ubiquitin.atom_name != "OXT"
    plain = struc.lddt(ubiquitin[without_end], model[without_end])
    # Equivalent names may only help.
    assert plain - 1e-3 <= found.lddt_all_atom <= plain + 0.02


def test_a_mirror_image_has_another_fold(ubiquitin: AtomArray) -> None:
    found = compare(ubiquitin, moved(ubiquitin, ubiquitin.coord * [1, 1, -1]))
    assert found.tm_score < 0.4
    assert found.gdt_ts < 0.4
    assert found.rmsd_ca_angstrom > 8.0
    # Distances do not tell left from right: chirality is for the validity report.
    assert found.lddt_ca == 1.0


def test_a_d_residue_lowers_the_all_atom_score(ubiquitin: AtomArray) -> None:
    model = ubiquitin.copy()
    side = (model.res_id == 30) & ~np.isin(model.atom_name, ("N", "CA", "C", "O"))
    at = {
        name: model.coord[(model.res_id == 30) & (model.atom_name == name)][0]
        for name in ("N", "CA", "C")
    }
    normal = np.cross(at["N"] - at["CA"], at["C"] - at["CA"])
    normal /= np.linalg.norm(normal)
    height = (model.coord[side] - at["CA"]) @ normal
    model.coord[side] -= 2 * height[:, np.newaxis] * normal
    found = compare(ubiquitin, model)
    assert found.lddt_ca == 1.0
    by_name = {one.reference: one.lddt_all_atom for one in found.per_residue}
    assert by_name["A:30 ILE"] == min(value for value in by_name.values() if value is not None)
    assert by_name["A:30 ILE"] < 0.75 < found.lddt_all_atom < 1.0


def test_what_only_one_has_is_named(ubiquitin: AtomArray) -> None:
    found = compare(ubiquitin[ubiquitin.res_id > 4], ubiquitin[ubiquitin.res_id < 71])
    assert found.model_only == ("A:1 MET", "A:2 GLN", "A:3 ILE", "A:4 PHE")
    assert found.reference_only == (
        *("A:71 LEU", "A:72 ARG", "A:73 LEU", "A:74 ARG", "A:75 GLY", "A:76 GLY"),
    )
    assert found.n_aligned == len(found.per_residue) == 66
    assert found.coverage == pytest.approx(66 / 72, abs=1e-4)
    assert found.tm_score == pytest.approx(66 / 72, abs=1e-3)
    assert found.gdt_ts == pytest.approx(66 / 72, abs=1e-3)
    assert found.rmsd_ca_angstrom == 0.0
    assert found.lddt_ca < 1.0


def test_chains_without_a_partner_are_named(ubiquitin: AtomArray) -> None:
    second = ubiquitin.copy()
    second.chain_id[:] = "B"
    second.coord = second.coord + np.float32(40)
    found = compare(ubiquitin + second, ubiquitin)
    assert [(one.reference, one.model) for one in found.chains] == [("A", "A")]
    assert "reference: chain 'B' (76 residues) has no partner" in found.notes
    assert found.tm_score == 1.0


def test_the_whole_complex_is_superposed(ubiquitin: AtomArray) -> None:
    second = ubiquitin.copy()
    second.chain_id[:] = "B"
    second.coord = second.coord + np.array([30, 0, 0], dtype=np.float32)
    apart = second.copy()
    apart.coord = apart.coord + np.array([0, 25, 0], dtype=np.float32)
    found = compare(ubiquitin + second, ubiquitin + apart)
    assert len(found.chains) == 2
    assert 0.4 < found.tm_score < 0.75
    assert found.lddt_ca < 1.0


def test_a_mutated_residue_is_compared_by_its_backbone(ubiquitin: AtomArray) -> None:
    model = ubiquitin.copy()
    model.res_name[model.res_id == 59] = "PHE"
    keep = ~((model.res_id == 59) & (model.atom_name == "OH"))
    found = compare(ubiquitin, model[keep])
    assert found.lddt_all_atom == 1.0
    assert any("A:59 TYR is A:59 PHE in the model" in note for note in found.notes)


def test_selenomethionine_is_methionine(ubiquitin: AtomArray) -> None:
    model = ubiquitin.copy()
    first = model.res_id == 1
    model.res_name[first] = "MSE"
    model.hetero[first] = True
    sulfur = first & (model.atom_name == "SD")
    model.atom_name[sulfur], model.element[sulfur] = "SE", "SE"
    found = compare(ubiquitin, model)
    assert found.lddt_all_atom == 1.0
    assert found.per_residue[0].model == "A:1 MSE"
    assert not any("backbone" in note for note in found.notes)


def test_hydrogens_take_no_part(ubiquitin: AtomArray) -> None:
    with_hydrogen = ubiquitin.copy()
    with_hydrogen.element[with_hydrogen.atom_name == "OH"] = "H"
    assert compare(ubiquitin, ubiquitin).lddt_all_atom == 1.0
    assert compare(with_hydrogen, ubiquitin).lddt_all_atom == 1.0
    assert compare(ubiquitin, with_hydrogen).lddt_all_atom < 1.0


def test_residues_are_told_with_their_plddt(ubiquitin: AtomArray) -> None:
    model = shaken(ubiquitin, 0.5)
    model.b_factor = np.where(model.res_id == 7, 33.0, 90.0)
    found = compare(ubiquitin, model)
    seventh = found.per_residue[6]
    assert (seventh.reference, seventh.model) == ("A:7 THR", "A:7 THR")
    assert seventh.model_b_factor == 33.0
    assert 0 < seventh.ca_distance_angstrom < 3
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["per_residue"][6]["model_b_factor"] == 33.0
    assert plain["chains"][0]["identity"] == 1.0


def test_a_residue_without_ca_is_no_loss_of_the_rest(ubiquitin: AtomArray) -> None:
    model = ubiquitin[~((ubiquitin.res_id == 20) & (ubiquitin.atom_name == "CA"))]
    found = compare(ubiquitin, model)
    assert found.n_aligned == 75
    assert "A:20 SER" in found.reference_only
    assert "model: A:20 SER has no CA, not compared" in found.notes
    assert "reference: A:20 SER has no CA, not compared" in compare(model, ubiquitin).notes


def test_a_single_residue_is_compared(ubiquitin: AtomArray) -> None:
    one = ubiquitin[ubiquitin.res_id == 5]
    found = compare(one, one)
    assert (found.tm_score, found.gdt_ts, found.lddt_ca) == (1.0, 1.0, None)
