import json

import numpy as np
import pytest
from fake_family import helix

from itda.engine.codec import FORMAT, decode_predictions, encode_predictions


def test_round_trip_keeps_every_bit(job) -> None:
    before = [helix(job, 3, 0), helix(job, 3, 1)]
    before[0].atoms.coord += 1e-7
    after = decode_predictions(encode_predictions(before), name=job.name)
    assert len(after) == 2
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.atoms.coord, other.atoms.coord)
        assert one.atoms.coord.dtype == other.atoms.coord.dtype
        categories = one.atoms.get_annotation_categories()
        assert set(categories) == set(other.atoms.get_annotation_categories())
        for category in categories:
            values = one.atoms.get_annotation(category)
            assert np.array_equal(values, other.atoms.get_annotation(category))
        assert np.array_equal(one.plddt, other.plddt)
        assert np.array_equal(one.pae, other.pae)
        assert (one.ptm, one.sample, one.seed) == (other.ptm, other.sample, other.seed)
        assert one.provenance == other.provenance


def test_bonds_are_kept(job) -> None:
    from biotite.structure import connect_via_residue_names

    prediction = helix(job, 0, 0)
    prediction.atoms.bonds = connect_via_residue_names(prediction.atoms)
    (after,) = decode_predictions(encode_predictions([prediction]), name=job.name)
    assert after.atoms.bonds == prediction.atoms.bonds


def test_same_predictions_give_same_bytes(job) -> None:
    assert encode_predictions([helix(job, 0, 0)]) == encode_predictions([helix(job, 0, 0)])


def test_name_is_the_asking_job_s(job) -> None:
    (after,) = decode_predictions(encode_predictions([helix(job, 0, 0)]), name="twin")
    assert after.name == "twin"


def test_other_format_is_refused(job) -> None:
    files = encode_predictions([helix(job, 0, 0)])
    described = json.loads(files["predictions.json"])
    files["predictions.json"] = json.dumps({**described, "format": FORMAT + 1}).encode()
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}"):
        decode_predictions(files, name="x")
