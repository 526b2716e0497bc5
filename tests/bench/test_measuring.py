import json
import sys

import pytest

from itda.bench.clock import measured
from itda.bench.growth import growth
from itda.bench.memory import PeakMeter
from itda.bench.record import write_record
from itda.bench.summary import ratio, ratios, side_summary
from itda.errors import InputError

MEGABYTE = 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is set back on Linux")
def test_growth_of_memory_is_what_was_touched_in_between():
    bytearray(64 * MEGABYTE)
    meter = PeakMeter()
    small = meter.growth_bytes()
    held = bytearray(32 * MEGABYTE)
    del held
    grown = meter.growth_bytes()
    assert meter.exact
    assert small < 4 * MEGABYTE
    assert 30 * MEGABYTE < grown < 40 * MEGABYTE


def test_a_call_is_run_once_and_its_memory_seen():
    calls = []

    def call():
        calls.append(1)
        return bytearray(16 * MEGABYTE)

    found = measured(call, "cpu")
    assert len(calls) == 1
    assert found["seconds"] >= 0
    assert found["bytes"] > 12 * MEGABYTE


def test_ratios_are_theirs_over_ours_also_below_one():
    ours = side_summary([{"seconds": 2.0, "bytes": 30}, {"seconds": 1.0, "bytes": 40}])
    theirs = side_summary([{"seconds": 3.0, "bytes": 10}])
    assert ours["seconds"] == {"median": 1.5, "spread": 0.667, "all": [2.0, 1.0]}
    assert ratios(theirs, ours) == {"seconds": 2.0, "peak_bytes": 0.25}
    assert ratio(1.0, 0.0) is None


def test_growth_finds_the_power():
    sizes = [64, 128, 256, 384, 512]
    fit = growth(sizes, [3 + 2e-3 * n**2 + 1e-6 * n**3 for n in sizes])
    assert fit["coefficients"] == pytest.approx([3, 0, 2e-3, 1e-6], rel=1e-2, abs=1e-6)
    assert fit["worst_error"] < 1e-3


def test_growth_has_no_coefficient_below_zero_and_tells_its_error():
    fit = growth([10, 20, 30, 40], [10.0, 5.0, 10.0, 5.0])
    assert min(fit["coefficients"]) >= 0
    assert fit["worst_error"] > 0.2


def test_growth_of_two_sizes_is_refused():
    with pytest.raises(InputError, match="too few"):
        growth([64, 128, 64], [1.0, 2.0, 1.0])


def test_a_record_says_where_it_was_measured(tmp_path):
    write_record(tmp_path / "new" / "one.json", "one", {"value": 3})
    record = json.loads((tmp_path / "new" / "one.json").read_text())
    assert record["benchmark"] == "one"
    assert record["value"] == 3
    assert {"processor", "cores", "torch", "bfloat16_instructions"} <= set(record["machine"])
    assert {"commit", "uncommitted_changes", "measured"} <= set(record)
