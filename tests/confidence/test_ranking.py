from types import SimpleNamespace

import pytest

from itda.confidence.ranking import INTERFACE, MEAN_PLDDT


def prediction(seed, sample, plddt, ptm, iptm):
    return SimpleNamespace(name="x", seed=seed, sample=sample, mean_plddt=plddt, ptm=ptm, iptm=iptm)


@pytest.fixture
def predictions():
    return [
        prediction(seed, sample, plddt, ptm, iptm)
        for sample, (seed, plddt, ptm, iptm) in enumerate(
            [(1, 80.0, 0.5, 0.9), (1, 90.0, 0.9, 0.5), (0, 80.0, 0.5, 0.9), (0, 70.0, 0.6, 0.9)]
        )
    ]


def test_by_mean_plddt(predictions) -> None:
    assert [one.sample for one in MEAN_PLDDT.ranked(predictions)] == [1, 2, 0, 3]


def test_by_interface(predictions) -> None:
    """0.8 ipTM + 0.2 pTM: 0.82, 0.58, 0.82, 0.84; equal ones by seed."""
    assert [one.sample for one in INTERFACE.ranked(predictions)] == [3, 2, 0, 1]
    assert INTERFACE.score(predictions[0]) == pytest.approx(0.82)


def test_a_chain_alone_has_no_interface(predictions) -> None:
    alone = [SimpleNamespace(**{**vars(one), "iptm": None}) for one in predictions]
    assert [one.sample for one in INTERFACE.ranked(alone)] == [1, 3, 2, 0]
    with pytest.raises(ValueError, match="without pTM"):
        INTERFACE.score(prediction(0, 0, 80.0, None, None))
