import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itda.errors import DataError
from itda.search.databases.database import Database
from itda.search.templates.hits import chain_of_header, pair_by_cigar, read_mmseqs_hits

STEPS = st.lists(st.tuples(st.integers(1, 30), st.sampled_from("MID")), min_size=1, max_size=12)


@settings(deadline=None)
@given(STEPS, st.integers(0, 50), st.integers(0, 50))
def test_cigar_walked_step_by_step(
    steps: list[tuple[int, str]], query_start: int, template_start: int
) -> None:
    query, template = query_start, template_start
    pairs = []
    for count, step in steps:
        for _ in range(count):
            if step == "M":
                pairs.append((query, template))
            query += step != "D"
            template += step != "I"
    cigar = "".join(f"{count}{step}" for count, step in steps)
    query_index, template_index, *stops = pair_by_cigar(cigar, query_start, template_start)
    assert list(zip(query_index.tolist(), template_index.tolist(), strict=True)) == pairs
    assert stops == [query, template]
    assert query_index.dtype == template_index.dtype == np.int32


@pytest.mark.parametrize("cigar", ["", "10", "M", "5M3X", "5M 3M", "-5M"])
def test_broken_cigar(cigar: str) -> None:
    with pytest.raises(DataError, match="CIGAR"):
        pair_by_cigar(cigar, 0, 0)


def line(**changed: object) -> str:
    fields = {
        "query": "0",
        "header": "2bbb_A",
        "e_value": "1e-20",
        "bits": 90,
        "query_start": 3,
        "query_end": 12,
        "template_start": 5,
        "template_end": 12,
        "cigar": "4M2I4M",
    }
    return "\t".join(str(value) for value in {**fields, **changed}.values()) + "\n"


def test_hit(database: Database, query: str) -> None:
    chains = database.chains()
    ((name, hit),) = read_mmseqs_hits(
        [line()], {"0": query}, chains, e_value_scale=3.0, where="table"
    )
    template = chains.sequence(chains.index_of("2bbb_A"))
    assert name == "0" and hit.name == "2bbb_A"
    assert chains.ids[hit.chain] == "2bbb_A"
    assert hit.query_index.tolist() == [2, 3, 4, 5, 8, 9, 10, 11]
    assert hit.template_index.tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    same = [query[2 + i] == template[4 + i] for i in range(4)]
    same += [query[8 + i] == template[8 + i] for i in range(4)]
    assert hit.identity == sum(same) / 8
    assert hit.e_value == pytest.approx(3e-20)
    assert hit.pairs == 8


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"query": "1"}, "'1'"),
        ({"header": "7zzz_A"}, "7zzz_A"),
        ({"cigar": "4M2I5M"}, "does not span"),
        ({"e_value": "small"}, "small"),
        ({"query_start": 113, "query_end": 122}, "beyond"),
        ({"cigar": "4M2I4M\textra"}, "invalid literal"),
    ],
)
def test_line_that_does_not_fit(
    database: Database, query: str, changed: dict[str, object], problem: str
) -> None:
    lines = [line(), line(**changed)]
    with pytest.raises(DataError, match="table: line 2") as caught:
        list(read_mmseqs_hits(lines, {"0": query}, database.chains(), where="table"))
    assert problem in str(caught.value)
    assert "itda db check" in caught.value.hint


def test_header_with_more_words(database: Database) -> None:
    chains = database.chains()
    assert chain_of_header("2bbb_A some protein", chains) == (chains.index_of("2bbb_A"), "2bbb_A")
    with pytest.raises(DataError, match="has no chain"):
        chain_of_header("", chains)
