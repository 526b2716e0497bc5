import copy
import json
from pathlib import Path

import pytest

from itda.bench.report import page, read_results
from itda.cli.main import run

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


def test_the_page_says_what_the_files_say():
    assert PAGE.read_text(encoding="utf-8") == page(read_results(RESULTS))


def test_a_changed_number_changes_the_page():
    results = read_results(RESULTS)
    for name in (name for name in results if name.startswith("bench_")):
        changed = copy.deepcopy(results)
        row = changed[name]["rows"][0]
        sides = row.get("measured", row)
        sides = sides.get("float32", sides)
        sides["ours" if "ours" in sides else "reference"]["seconds"]["median"] *= 2
        assert page(changed) != page(results), name


def test_a_changed_number_of_a_script_changes_the_page():
    results = read_results(RESULTS)
    for name, path in {
        "esmfold": ("rows", 0, "peak_bytes", "auto"),
        "flashabb": ("processor_seconds_per_antibody", "single", "ours"),
        "throughput": ("seconds", "one_fold"),
    }.items():
        changed = copy.deepcopy(results)
        place = changed[name]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] *= 2
        assert page(changed) != page(results), name


def test_every_result_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    for record in read_results(RESULTS).values():
        assert record["commit"][:10] in text


def test_results_are_read_and_a_page_written(tmp_path, capsys):
    for path in RESULTS.glob("*.json"):
        (tmp_path / path.name).write_text(json.dumps(json.loads(path.read_text())))
    target = tmp_path / "page.md"
    assert run(["bench", "report", "--results", str(tmp_path), "--output", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rivals", "--tokens", "12,x"], "not a list of sizes"),
        (["rivals", "--rivals", "alphafold"], "unknown rival"),
        (["ops", "--device", "abacus"], "--device abacus"),
        (["report", "--results", "/nowhere"], "no results"),
    ],
)
def test_wrong_options_are_refused(arguments, told, capsys):
    assert run(["bench", *arguments]) == 1
    assert told in capsys.readouterr().err
