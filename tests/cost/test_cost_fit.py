from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from itda.cost.constants import Constants
from itda.cost.fit import Measured, errors, fit, left_out, non_negative
from itda.errors import InputError
from itda.models.demand import Load
from itda.models.registry import get_family

TRUE = Constants(
    fixed_bytes=3.1e8,
    bytes_per_live=1.1,
    address_bytes=4e8,
    fixed_seconds=0.2,
    seconds={"products": 2e-11, "pair_products": 4e-11, "moved": 1e-10, "calls": 1e-5},
    start_seconds=2.0,
)


def points(noise: float = 0.0) -> list[Measured]:
    """Folds of a machine whose constants are `TRUE`, measured with some noise."""
    chance = np.random.default_rng(1)
    found = []
    for tokens in (40, 60, 90, 130, 200, 300, 420, 600):
        demand = get_family("mini").demand(Load(tokens=(tokens,), recycles=tokens % 3))
        found.append(
            Measured(
                demand=demand,
                bytes=TRUE.bytes_of(demand) * (1 + noise * chance.standard_normal()),
                seconds=TRUE.seconds_of(demand) * (1 + noise * chance.standard_normal()),
                start_seconds=TRUE.start_seconds,
                address_bytes=TRUE.address_bytes,
            )
        )
    return found


def test_constants_come_back_from_what_they_predict():
    fitted = fit(points())
    assert errors(fitted, points()).worst < 1e-6
    assert errors(fitted, points(), of="bytes").worst < 1e-6
    assert fitted.bytes_per_live == pytest.approx(1.1)
    assert fitted.start_seconds == 2.0


def test_a_size_that_was_not_measured_is_predicted():
    fitted = fit(points(noise=0.03))
    demand = get_family("mini").demand(Load(tokens=(900,), recycles=1))
    assert fitted.bytes_of(demand) == pytest.approx(TRUE.bytes_of(demand), rel=0.1)
    assert fitted.seconds_of(demand) == pytest.approx(TRUE.seconds_of(demand), rel=0.2)


def test_a_wrong_constant_is_seen_in_the_errors():
    fitted = fit(points(noise=0.03))
    slower = {kind: 1.5 * value for kind, value in fitted.seconds.items()}
    wrong = dataclasses.replace(fitted, seconds=slower, bytes_per_live=2 * fitted.bytes_per_live)
    assert errors(fitted, points()).median < 0.05 < 0.3 < errors(wrong, points()).median
    assert errors(fitted, points(), of="bytes").worst < 0.1
    assert errors(wrong, points(), of="bytes").worst > 0.3


def test_points_that_are_left_out_are_predicted_by_the_others():
    exact = left_out(points())
    assert exact.worst < 0.05
    spoilt = points()
    spoilt[3] = dataclasses.replace(spoilt[3], seconds=3 * spoilt[3].seconds)
    assert left_out(spoilt).worst > 0.3


def test_what_folds_cannot_tell_stays_as_it_is_known():
    alike = [
        dataclasses.replace(
            point, demand=dataclasses.replace(point.demand, work={"products": w, "moved": w / 7})
        )
        for point in points()
        for w in (point.demand.work["products"],)
    ]
    alike = [dataclasses.replace(one, seconds=TRUE.seconds_of(one.demand)) for one in alike]
    known = fit(alike, TRUE.seconds)
    assert known.seconds == pytest.approx(
        {"products": TRUE.seconds["products"], "moved": TRUE.seconds["moved"]}, rel=0.02
    )
    # Which folds alone do not say.
    assert fit(alike).seconds != pytest.approx(known.seconds, rel=0.1)
    # What they do say goes before what is known elsewhere.
    wrong = {kind: 4 * value for kind, value in TRUE.seconds.items()}
    assert errors(fit(points(), wrong), points()).median < 0.05


def test_no_constant_is_negative():
    chance = np.random.default_rng(2)
    for _ in range(20):
        matrix, target = chance.standard_normal((12, 5)), chance.standard_normal(12)
        found = non_negative(matrix, target)
        assert (found >= 0).all()
        # Better than what differs from it a little and is allowed as well.
        least = np.square(matrix @ found - target).sum()
        for _ in range(20):
            other = np.maximum(0, found + 0.01 * chance.standard_normal(5))
            assert np.square(matrix @ other - target).sum() >= least - 1e-9


def test_large_arrays_are_never_taken_for_nothing():
    flat = [dataclasses.replace(point, bytes=4e8) for point in points()]
    assert fit(flat).bytes_per_live >= 0.5


def test_two_points_are_too_few():
    with pytest.raises(InputError, match="too few"):
        fit(points()[:2])
