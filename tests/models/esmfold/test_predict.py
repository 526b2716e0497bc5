import numpy as np
import pytest
import torch

from itda.errors import WeightsError
from itda.hub.weights import card_path
from itda.job.model import Job
from itda.models.esmfold import FAMILY
from itda.models.esmfold.features import encode_chains
from itda.models.esmfold.predict import EsmFoldModel
from itda.models.family import predict

HEAVY, LIGHT = "MQIFVKTLTGKXI", "TLEVEPSDTIENVK"


@pytest.fixture(scope="module")
def model(weights):
    return EsmFoldModel(weights, "cpu", language_dtype=torch.float32)


def job(numbering=None):
    entities = [
        {"protein": {"id": "Q", "sequence": HEAVY, "numbering": numbering}},
        {"protein": {"id": ["x", "b"], "sequence": LIGHT}},
    ]
    return Job.model_validate({"name": "three", "entities": entities})


@pytest.fixture(scope="module")
def prediction(model):
    (found,) = predict(model, job(numbering=40), seed=7)
    return found


def test_chains_names_and_numbers_go_out_as_they_came_in(prediction):
    atoms = prediction.atoms[prediction.atoms.atom_name == "CA"]
    assert list(dict.fromkeys(atoms.chain_id)) == ["Q", "x", "b"]
    assert atoms.res_id[: len(HEAVY)].tolist() == list(range(40, 40 + len(HEAVY)))
    assert atoms.res_id[-len(LIGHT) :].tolist() == list(range(1, len(LIGHT) + 1))
    unknown = prediction.atoms[prediction.atoms.res_name == "UNK"]
    assert unknown.atom_name.tolist() == ["N", "CA", "C", "O"]


def test_confidence_has_the_size_of_the_residues_without_linkers(prediction):
    residues = len(HEAVY) + 2 * len(LIGHT)
    assert prediction.plddt.shape == (residues,)
    assert prediction.pae.shape == (residues, residues)
    assert 0 < prediction.ptm < 1
    of_ca = prediction.atoms.b_factor[prediction.atoms.atom_name == "CA"]
    np.testing.assert_allclose(of_ca, prediction.plddt, rtol=1e-6)
    assert len(np.unique(prediction.atoms.b_factor)) > residues


def test_pae_has_the_residue_aligned_on_in_its_rows(prediction, model):
    """Computed again from the whole pair representation, linkers cut out afterwards."""
    features = encode_chains([HEAVY, LIGHT, LIGHT])
    restype, index, kept = (
        torch.from_numpy(array)[None]
        for array in (features.restype, features.residue_index, features.kept)
    )
    output = model.network(restype, index, torch.ones_like(kept), model.layers)
    with torch.no_grad():
        probabilities = torch.softmax(model.network.pae_head(output.pair), -1)[0]
    centres = (torch.arange(64) + 0.5) * 0.5
    expected = (probabilities @ centres)[features.kept][:, features.kept].numpy()
    np.testing.assert_allclose(prediction.pae, expected, atol=1e-4)
    assert np.abs(expected - expected.T).max() > 0.1
    scale = 1.24 * (expected.shape[0] - 15) ** (1 / 3) - 1.8
    score = probabilities @ (1 / (1 + (centres / scale) ** 2))
    of_residues = score[features.kept][:, features.kept].mean(-1).max()
    assert prediction.ptm == pytest.approx(float(of_residues), abs=1e-5)


def test_provenance_says_what_it_was_made_with(prediction, model):
    provenance = prediction.provenance
    assert provenance.family == "esmfold"
    assert provenance.weights_digest == f"sha256:{model.card.sha256}"
    assert provenance.weights_licence == "MIT"
    assert provenance.dtype["language_model"] == "float32"
    assert set(provenance.inputs) == {"Q.sequence", "x.sequence", "b.sequence"}
    assert provenance.inputs["x.sequence"] == provenance.inputs["b.sequence"]
    assert provenance.recycles == 3


def test_weights_that_were_altered_or_are_of_another_family_are_refused(weights, tmp_path):
    copy = tmp_path / "own.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    copy.write_bytes(content)
    card = card_path(weights).read_text()
    card_path(copy).write_text(card)
    with pytest.raises(WeightsError, match="truncated or altered"):
        FAMILY.load(copy, "cpu")
    copy.write_bytes(weights.read_bytes())
    card_path(copy).write_text(card.replace('"family": "esmfold"', '"family": "flashabb"'))
    with pytest.raises(WeightsError, match="of the family flashabb, not esmfold"):
        FAMILY.load(copy, "cpu")


def test_it_is_deterministic_and_recycles_matter(model):
    (first,) = predict(model, job(), seed=1, recycles=1)
    (again,) = predict(model, job(), seed=2, recycles=1)
    (other,) = predict(model, job(), seed=1, recycles=0)
    np.testing.assert_array_equal(first.atoms.coord, again.atoms.coord)
    assert np.abs(first.atoms.coord - other.atoms.coord).max() > 1e-3


def test_progress_goes_from_0_to_1(model):
    told = []
    predict(
        model,
        job(),
        recycles=1,
        progress=lambda fraction, message: told.append((fraction, message)),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert any("pass 2 of 2" in message for _, message in told)


def test_half_precision_of_the_language_model_is_near(model, weights):
    half = EsmFoldModel(weights, "cpu", language_dtype=torch.bfloat16)
    (rough,) = predict(half, job(), recycles=0)
    (exact,) = predict(model, job(), recycles=0)
    assert rough.provenance.dtype["language_model"] == "bfloat16"
    assert 0 < np.abs(rough.plddt - exact.plddt).max() < 2.0
