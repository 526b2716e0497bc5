import json

import pytest

from itda.engine import events
from itda.engine.events import Event, JobFailed, JobFinished, StageProgress
from itda.errors import InputError, describe_error

KINDS = [
    kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)
]


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({kind.kind for kind in KINDS}) == len(KINDS) == 8


def test_event_as_json() -> None:
    event = StageProgress(job="x", stage="predict", fraction=1 / 3, message="half")
    told = json.loads(json.dumps(event.to_dict()))
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "event": "stage_progress",
        "job": "x",
        "stage": "predict",
        "fraction": 0.3333,
        "message": "half",
    }


def test_finished_job_as_json(fold, job) -> None:
    result = fold(job)
    told = json.loads(json.dumps(JobFinished(job="helix", result=result).to_dict()))
    assert told["mean_plddt"] == round(result.mean_plddt, 2)
    assert (told["residues"], told["samples"], told["cached"]) == (16, 1, False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("p", hint="h"), {"kind": "InputError", "problem": "p", "hint": "h"}),
        (
            ValueError("a\n b"),
            {"kind": "UnexpectedError", "problem": "ValueError: a b", "hint": ""},
        ),
        (ValueError(), {"kind": "UnexpectedError", "problem": "ValueError", "hint": ""}),
    ],
)
def test_errors_are_described(error, expected) -> None:
    assert describe_error(error) == expected
    assert JobFailed(job="x", error=error).expected is isinstance(error, InputError)
