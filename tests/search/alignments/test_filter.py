import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from itda.errors import InputError
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.filter import filter_alignment, subsample
from itda.search.alignments.formats import read_alignment

DATA = Path(__file__).parent / "data"
# What HH-suite 3.3.0 keeps of the same file; no two rows have one length, so that its sort, which
# does not keep the order of equals, plays no part.
HHSUITE = json.loads((DATA / "diverse.hhsuite.json").read_text())
SETTINGS = {
    "default": ({}, ()),
    "strict": (
        {"max_pairwise_identity": 0.5, "min_coverage": 0.4, "min_identity_to_query": 0.3},
        ("-id", "50", "-cov", "40", "-qid", "30"),
    ),
    "diff": ({"diff": 5}, ("-diff", "5")),
    "diff_12": (
        {"diff": 12, "max_pairwise_identity": 0.8, "min_coverage": 0.35},
        ("-id", "80", "-diff", "12", "-cov", "35"),
    ),
}


@pytest.fixture
def diverse():
    return read_alignment(DATA / "diverse.a3m", query=None)


@pytest.mark.parametrize("name", SETTINGS)
def test_keeps_what_hhfilter_keeps(diverse, name):
    kept = filter_alignment(diverse, **SETTINGS[name][0])
    assert list(kept.names) == HHSUITE[name]
    assert 1 < len(kept) < len(diverse)


@pytest.mark.skipif(shutil.which("hhfilter") is None, reason="HH-suite is not installed")
@pytest.mark.parametrize("name", SETTINGS)
def test_agrees_with_the_program(diverse, tmp_path, name):
    arguments, options = SETTINGS[name]
    source, out = tmp_path / "in.a3m", tmp_path / "out.a3m"
    random = np.random.default_rng(3)
    rows = [0, *sorted(random.choice(np.arange(1, len(diverse)), 50, replace=False))]
    source.write_text(diverse.select(rows).to_a3m())
    subprocess.run(["hhfilter", "-i", source, "-o", out, "-v", "0", *options], check=True)
    ours = filter_alignment(diverse.select(rows), **arguments)
    assert ours.texts == read_alignment(out, query=None).texts


def test_each_rule_by_itself():
    query = "ACDEFGHIKL"
    alignment = Alignment.from_aligned(
        query,
        ("copy", "half", "short", "other", "empty", "unknown"),
        ("ACDEFGHIaKL", "ACDEFWWWWW", "AC--------", "WWWWWWWWWW", "-" * 10, "XXXXXXXXXX"),
    )

    def names(**bounds):
        return filter_alignment(alignment, **{"max_pairwise_identity": 1.0} | bounds).names[1:]

    # Rows without a known residue never stay.
    assert names() == ("copy", "half", "short", "other")
    # `short` is the query's first two residues, `half` its first five and others.
    assert names(max_pairwise_identity=0.9) == ("half", "other")
    assert names(max_pairwise_identity=0.5) == ("half", "other")
    assert names(max_pairwise_identity=0.49) == ("other",)
    assert names(min_coverage=0.5) == ("copy", "half", "other")
    # Exactly half is not more than half.
    assert names(min_identity_to_query=0.5) == ("copy", "short")
    assert names(min_identity_to_query=0.4) == ("copy", "half", "short")


def test_the_longer_of_two_alike_stays_and_the_query_always():
    alignment = Alignment.from_aligned(
        "ACDXXXXXXX", ("short", "long"), ("WWW-------", "WWWWWW----")
    )
    kept = filter_alignment(alignment, min_coverage=0.0)
    assert kept.names == ("query", "long")
    assert filter_alignment(alignment, min_coverage=0.9).names == ("query",)


@pytest.mark.parametrize(
    "bounds", [{"min_coverage": 50}, {"max_pairwise_identity": -0.1}, {"diff": -1}]
)
def test_bounds_are_checked(diverse, bounds):
    with pytest.raises(InputError, match=next(iter(bounds))):
        filter_alignment(diverse, **bounds)


def test_draw_is_the_same_each_time_and_follows_the_seed(diverse):
    drawn = subsample(diverse, 20, seed=1)
    assert len(drawn) == 20
    assert drawn.names[0] == "query"
    assert drawn == subsample(diverse, 20, seed=1)
    assert drawn != subsample(diverse, 20, seed=2)
    assert list(drawn.names[1:]) == sorted(drawn.names[1:])
    # The same rows on every machine and in every version.
    assert drawn.names[1:4] == ("row07", "row12", "row22")
    assert set(subsample(diverse, 10, seed=1).names) < set(drawn.names)
    assert subsample(diverse, 1000, seed=0) == diverse
    assert len(subsample(diverse, 1, seed=0)) == 1
    with pytest.raises(InputError, match="0 rows"):
        subsample(diverse, 0, seed=0)


def test_every_row_is_drawn_about_as_often(diverse):
    times = dict.fromkeys(diverse.names, 0)
    for seed in range(200):
        for name in subsample(diverse, 41, seed=seed).names:
            times[name] += 1
    counts = [times[name] for name in diverse.names[1:]]
    # 100 expected, standard deviation 7.
    assert min(counts) > 65
    assert max(counts) < 135
