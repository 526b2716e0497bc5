import numpy as np
import pytest

from itda.job.model import Job
from itda.models.family import predict
from itda.parity.flashabb import HEAVY, LIGHT


def job(*chains, name="ab"):
    entities = [
        {"protein": {"id": chain_id, "sequence": sequence, "numbering": first}}
        for chain_id, sequence, first in chains
    ]
    return Job.model_validate({"name": name, "entities": entities})


@pytest.fixture(scope="module")
def prediction(model):
    (found,) = predict(model, job(("H", HEAVY, 1), ("L", LIGHT, 1)))
    return found


def test_it_looks_like_an_antibody(prediction):
    """Cys23 and Cys104 of each domain, by their place in these sequences, form a disulphide."""
    sulphur = prediction.atoms[(prediction.atoms.atom_name == "SG")]
    for chain, first, second in (("H", 22, 96), ("L", 23, 93)):
        of_chain = sulphur[sulphur.chain_id == chain]
        a, b = (of_chain.coord[of_chain.res_id == number][0] for number in (first, second))
        assert np.linalg.norm(a - b) < 3.0
    assert prediction.mean_plddt > 85


def test_only_what_the_family_gives_is_there(prediction):
    assert prediction.pae is None
    assert prediction.ptm is None
    assert prediction.plddt.shape == (len(HEAVY) + len(LIGHT),)
    assert prediction.provenance.weights_licence == "BSD-3-Clause"


def test_the_order_and_names_of_chains_are_those_of_the_job(model, prediction):
    (turned,) = predict(model, job(("x", LIGHT, 201), ("Q", HEAVY, 5)))
    assert list(dict.fromkeys(turned.atoms.chain_id)) == ["x", "Q"]
    assert turned.atoms.res_id[0] == 201
    light, heavy = (turned.atoms[turned.atoms.chain_id == chain] for chain in "xQ")
    assert heavy.res_id[0] == 5
    of_heavy = prediction.atoms.chain_id == "H"
    np.testing.assert_array_equal(heavy.coord, prediction.atoms.coord[of_heavy])
    np.testing.assert_array_equal(light.coord, prediction.atoms.coord[~of_heavy])
    np.testing.assert_array_equal(turned.plddt[len(LIGHT) :], prediction.plddt[: len(HEAVY)])


def test_a_result_does_not_depend_on_what_it_was_computed_with(model):
    pairs = [(HEAVY, LIGHT), (HEAVY[:113], LIGHT[:107]), (HEAVY[2:], LIGHT)]
    together = model.run(pairs).atoms
    start = 0
    for pair in pairs:
        alone = model.run([pair]).atoms
        np.testing.assert_allclose(together[start : start + len(alone)], alone, atol=1e-3)
        start += len(alone)


def test_an_unknown_residue_has_a_backbone_and_its_name(model):
    (found,) = predict(model, job(("H", HEAVY[:50] + "X" + HEAVY[51:], 1), ("L", LIGHT, 1)))
    unknown = found.atoms[found.atoms.res_name == "UNK"]
    assert unknown.atom_name.tolist() == ["N", "CA", "C", "O"]
    assert unknown.res_id[0] == 51
