import pytest

pytest.importorskip("flash_abb")

from itda.parity import flashabb
from itda.parity.harness import run


@pytest.fixture(scope="module", params=["random_suite", "published_suite"])
def report(request):
    return run(getattr(flashabb, request.param)())


def test_every_number_is_near_the_reference(report):
    far = [row for row in report.rows if not row.passed]
    assert not far
    assert len(report.rows) == len(flashabb.CASES) * len(flashabb.CHECKS)


def test_each_sabotage_is_noticed(report):
    missed = [one for one in report.noticed if not one.passed]
    assert not missed
    assert len(report.noticed) >= 16


def test_every_tensor_of_the_reference_is_accounted_for(report):
    assert report.audit.passed
    assert report.audit.read + len(report.audit.unused) == report.audit.total == 298
