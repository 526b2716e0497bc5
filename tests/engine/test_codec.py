import dataclasses
import json

import numpy as np
import pytest
from fake_family import helix

from itda.engine.codec import FORMAT, TRUNK_CODEC, decode_prediction, encode_prediction


def same_in_all(one, other) -> None:
    for field in dataclasses.fields(one):
        before, after = getattr(one, field.name), getattr(other, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype and np.array_equal(before, after), field.name
        elif field.name != "atoms":
            assert before == after, field.name
    assert np.array_equal(one.atoms.coord, other.atoms.coord)
    assert one.atoms.coord.dtype == other.atoms.coord.dtype
    categories = one.atoms.get_annotation_categories()
    assert set(categories) == set(other.atoms.get_annotation_categories())
    for category in categories:
        values = one.atoms.get_annotation(category)
        assert np.array_equal(values, other.atoms.get_annotation(category))


def test_round_trip_keeps_every_bit(job) -> None:
    before = helix(job, 3, 1)
    before.atoms.coord += 1e-7
    same_in_all(before, decode_prediction(encode_prediction(before), name=job.name))


def test_what_only_some_families_predict_is_kept(job) -> None:
    plain = helix(job, 3, 0)
    single = np.zeros(len(plain.atoms), dtype=bool)
    single[-4:] = True
    tokens = len(plain.plddt) + 3
    random = np.random.default_rng(1)
    matrix = random.random((tokens, tokens)).astype(np.float32)
    before = dataclasses.replace(
        plain,
        plddt=np.append(plain.plddt, [50, 60, 70]).astype(np.float32),
        pae=matrix,
        pde=matrix * 2,
        contact_probabilities=matrix / 2,
        single_atoms=single,
        iptm=0.5,
        chain_ptm=np.array([0.25]),
        chain_pair_iptm=np.array([[0.75]]),
    )
    same_in_all(before, decode_prediction(encode_prediction(before), name=job.name))


def test_a_trunk_is_kept_bit_for_bit() -> None:
    trunk = {"pair": np.float32([[1.5, np.nan]]), "single": np.arange(3, dtype=np.float16)}
    after = TRUNK_CODEC.decode(TRUNK_CODEC.encode(trunk))
    assert {name: array.tobytes() for name, array in trunk.items()} == {
        name: array.tobytes() for name, array in after.items()
    }


def test_bonds_are_kept(job) -> None:
    from biotite.structure import connect_via_residue_names

    prediction = helix(job, 0, 0)
    prediction.atoms.bonds = connect_via_residue_names(prediction.atoms)
    after = decode_prediction(encode_prediction(prediction), name=job.name)
    assert after.atoms.bonds == prediction.atoms.bonds


def test_same_predictions_give_same_bytes(job) -> None:
    assert encode_prediction(helix(job, 0, 0)) == encode_prediction(helix(job, 0, 0))


def test_name_is_the_asking_job_s(job) -> None:
    after = decode_prediction(encode_prediction(helix(job, 0, 0)), name="twin")
    assert after.name == "twin"


def test_other_format_is_refused(job) -> None:
    files = encode_prediction(helix(job, 0, 0))
    described = json.loads(files["prediction.json"])
    files["prediction.json"] = json.dumps({**described, "format": FORMAT + 1}).encode()
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}"):
        decode_prediction(files, name="x")
