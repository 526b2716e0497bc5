"""What a measurement that failed says: whose fault it was."""

import json
import types

import pytest

from itda.cost import measure as measure_module
from itda.cost.measure import Case, ExhaustedError, main, measure
from itda.errors import InputError


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InputError("no such length"), InputError),
        (TypeError("nobody expected this"), RuntimeError),
        (MemoryError(), ExhaustedError),
    ],
)
def test_a_fault_of_the_programs_own_is_no_bad_input(monkeypatch, capsys, error, raised):
    def broken(_case):
        raise error

    case = Case(family="mini", tokens=(20,))
    monkeypatch.setattr(measure_module, "_fold", broken)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(read=case.to_json))
    main()
    said = capsys.readouterr().out
    assert json.loads(said)["error"].startswith(type(error).__name__)
    monkeypatch.setattr(
        measure_module.subprocess,
        "run",
        lambda *_given, **_named: types.SimpleNamespace(stdout=said, stderr="", returncode=0),
    )
    with pytest.raises(raised):
        measure(case)
