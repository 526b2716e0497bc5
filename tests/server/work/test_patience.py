"""What is tried again, and how long it takes."""

from __future__ import annotations

import pytest

from itda.errors import InputError, OutputError
from itda.server.work.patience import LONGEST_WAIT_SECONDS, Pause, insist


class Failing:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_what_passes_is_tried_again_with_growing_waits():
    waits: list[float] = []
    errors = [OutputError("no space"), OSError("gone")] * 5
    assert insist(Failing(*errors), "writing", sleep=waits.append) == "done"
    assert len(waits) == 10
    assert waits == sorted(waits)
    assert waits[0] < waits[1]
    assert waits[-1] == LONGEST_WAIT_SECONDS


def test_what_does_not_pass_is_raised_at_once():
    waits: list[float] = []
    with pytest.raises(InputError):
        insist(Failing(InputError("wrong")), "writing", sleep=waits.append)
    assert waits == []


def test_it_is_given_up_when_that_is_said():
    asked: list[bool] = []

    def give_up() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(OSError, match="third"):
        insist(
            Failing(OSError("first"), OSError("second"), OSError("third")),
            "writing",
            give_up=give_up,
            sleep=lambda _seconds: None,
        )


def test_a_pause_grows_and_begins_anew_after_a_success():
    now = [0.0]
    pause = Pause(1.0, 5.0, clock=lambda: now[0])
    assert pause.over
    assert [pause.lengthen() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert not pause.over
    now[0] = 4.9
    assert not pause.over
    now[0] = 5.0
    assert pause.over
    pause.lengthen()
    pause.end()
    assert pause.over
    assert pause.lengthen() == 1.0
