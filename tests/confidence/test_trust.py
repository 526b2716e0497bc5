"""Thresholds that were measured, and intervals of shares."""

import json
from importlib.resources import files
from itertools import pairwise

import pytest

from itda.confidence.trust import Trust, score_of, share_interval
from itda.hub.registry import get_weight_set
from itda.hub.source import built_in_folder
from itda.hub.weights import read_card
from itda.models import registry
from itda.models.family import Measured
from itda.models.mini import FAMILY

SHIPPED = json.loads(files("itda.models.mini").joinpath("verdicts.json").read_text())


def test_interval_agrees_with_a_table() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857, table I, method 3 (Wilson).
    for true, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        assert share_interval(true, of) == pytest.approx((low, high), abs=1e-4)
    assert share_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert share_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@pytest.mark.parametrize("evidence", ["templates", "no templates"])
def test_bands_leave_no_gap(evidence) -> None:
    bands = Trust.from_dict(SHIPPED).bands[evidence]
    assert bands[0].from_score == 0 and bands[-1].below_score > 100
    for band, following in pairwise(bands):
        assert band.below_score == following.from_score
    assert all(0 <= band.right <= band.of for band in bands)


@pytest.mark.parametrize("score", [0.0, 49.99, 50.0, 54.99, 55.0, 100.0])
def test_fold_is_in_the_band_of_its_score(score) -> None:
    trust = Trust.from_dict(SHIPPED)
    for templates in (True, False):
        band = trust.band(score, score / 100, templates=templates)
        assert band.from_score <= score < band.below_score


def test_no_more_is_promised_than_was_counted() -> None:
    trust = Trust.from_dict(SHIPPED)
    for band in (band for bands in trust.bands.values() for band in bands):
        assert band.right_in_100 * band.of <= 100 * band.right
        low, high = share_interval(band.right, band.of)
        if band.level == "trusted":
            assert low >= 0.85
        if band.level == "untrusted":
            assert high < 0.5


def test_a_score_of_two_needs_both() -> None:
    with pytest.raises(ValueError, match="without pTM"):
        score_of("plddt_ptm", 80.0, None)


def test_it_is_of_the_weights_that_come_with_itda() -> None:
    weights = get_weight_set(FAMILY.weight_set)
    path = built_in_folder(weights.source) / "mini.safetensors"
    assert FAMILY.trust.weights_sha256 == read_card(path).sha256


def test_only_mini_was_measured() -> None:
    measured = {
        name for name in registry.FAMILIES if isinstance(registry.get_family(name), Measured)
    }
    assert measured == {"mini"}
