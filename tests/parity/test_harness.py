import contextlib
import math

import pytest
import torch

from itda.parity.harness import Audit, Check, Sabotage, Suite, random_tensor, randomise, run

CHECKS = (Check("sum", "Å", 1e-3), Check("share", "", 1e-3, relative=True))


def values(factor=1.0, shift=0.0):
    numbers = torch.arange(1.0, 5.0) * factor + shift
    return {"sum": numbers, "share": numbers}


def suite(ours, *, unused=(), change=None, broken=1.01):
    state = {"factor": 1.0}

    @contextlib.contextmanager
    def break_it():
        state["factor"] = broken
        try:
            yield
        finally:
            state["factor"] = 1.0

    return Suite(
        family="toy",
        reference="toy 1",
        weights="none",
        checks=CHECKS,
        cases={"one": "case"},
        theirs=lambda case: values(),
        ours=lambda case: {name: v * state["factor"] for name, v in ours.items()},
        sabotages=(Sabotage("factor", break_it, "case"),),
        audit=lambda: Audit(3, 3 - len(unused), dict.fromkeys(unused, "never read"), change or {}),
    )


def test_equal_sides_pass_and_the_sabotage_is_noticed():
    report = run(suite(values()))
    assert report.passed
    assert [row.difference for row in report.rows] == [0.0, 0.0]
    assert report.noticed[0].times_tolerance == pytest.approx(40.0)
    assert report.to_dict()["passed"]


@pytest.mark.parametrize(
    "ours",
    [
        values(shift=2e-3),
        values(shift=math.nan),
        {"sum": torch.ones(3), "share": torch.ones(3)},
    ],
    ids=["too far", "no number", "other shape"],
)
def test_a_difference_fails(ours):
    report = run(suite(ours))
    assert not report.passed
    assert not all(row.passed for row in report.rows)


def test_a_relative_check_divides_by_the_largest_value():
    check = Check("x", "", 1e-3, relative=True)
    assert check.difference(torch.tensor([10.0, 4.01]), torch.tensor([10.0, 4.0])) == pytest.approx(
        1e-3, rel=1e-3
    )


def test_a_sabotage_that_nobody_notices_fails_the_report():
    report = run(suite(values(), broken=1.0))
    assert all(row.passed for row in report.rows)
    assert not report.passed


def test_a_tensor_left_out_needs_a_reason_and_a_proof():
    assert run(suite(values(), unused=("a",), change={"never read": 0.0})).passed
    assert not run(suite(values(), unused=("a",))).passed
    assert not run(suite(values(), unused=("a",), change={"never read": 2.0})).passed


def test_random_values_depend_on_the_name_alone():
    first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    randomise(first)
    randomise(second)
    torch.testing.assert_close(first.weight, second.weight)
    assert not torch.equal(random_tensor("a", (3,)), random_tensor("b", (3,)))
    assert (random_tensor("norm.weight", (500,)).mean() - 1).abs() < 0.1
