import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from biotite.structure import AtomArray

from itda.structure.prediction import Prediction, Provenance

Make = Callable[..., Prediction]


def test_shapes_and_ranges_are_checked(ubiquitin: AtomArray, make_prediction: Make) -> None:
    good = make_prediction(ubiquitin)
    assert good.residue_count == 76
    without = good.atoms.copy()
    without.del_annotation("b_factor")
    torn = good.atoms.copy()
    torn.coord[3] = np.nan
    for changes, problem in (
        ({"plddt": good.plddt[:-1]}, "plddt has shape"),
        ({"pae": good.pae[:-1]}, "pae has shape"),
        ({"plddt": good.plddt * 2}, "plddt holds"),
        ({"pae": -good.pae}, "pae holds"),
        ({"pae": good.pae * np.nan}, "pae holds"),
        ({"ptm": 1.5}, "ptm holds"),
        ({"atoms": without}, "no b_factor"),
        ({"atoms": torn}, "not all finite"),
        ({"atoms": good.atoms[:0]}, "needs atoms"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            replace(good, **changes)
        # Where jaxtyping checks shapes, it speaks first.
        assert problem in str(caught.value) or isinstance(caught.value, TypeError)


def test_provenance_survives_json(ubiquitin: AtomArray, make_prediction: Make) -> None:
    made = make_prediction(ubiquitin).provenance
    assert Provenance.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_provenance_with_other_fields_is_refused(
    ubiquitin: AtomArray, make_prediction: Make
) -> None:
    plain = make_prediction(ubiquitin).provenance.to_dict()
    with pytest.raises(ValueError, match="unknown: colour"):
        Provenance.from_dict({**plain, "colour": "red"})
    del plain["seed"]
    with pytest.raises(ValueError, match="unknown: seed"):
        Provenance.from_dict(plain)


@pytest.mark.parametrize("created", ["yesterday", "2026-01-02", "2026-01-02T03:04:05+09:00"])
def test_the_time_is_in_utc(created: str, ubiquitin: AtomArray, make_prediction: Make) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        replace(make_prediction(ubiquitin).provenance, created=created)


def test_confidence_is_plain_data(ubiquitin: AtomArray, make_prediction: Make) -> None:
    prediction = make_prediction(ubiquitin)
    found = json.loads(json.dumps(prediction.confidence(), allow_nan=False))
    assert found["mean_plddt"] == pytest.approx(prediction.plddt.mean(), abs=0.01)
    assert len(found["plddt"]) == 76
    assert found["provenance"]["weights_licence"] == "Apache-2.0"
