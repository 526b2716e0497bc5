import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itda.errors import DataError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.databases.database import Database
from itda.search.mmseqs import find_mmseqs
from itda.search.mmseqs_entries import write_entries
from itda.search.templates import mmseqs
from itda.search.templates.hits import TemplateHit
from itda.search.templates.mmseqs import align_many, search_with_profile
from itda.search.templates.settings import SearchSettings
from itda.structure.chains.chain import Chain
from tests.sequences import needs_mmseqs, relative

pytestmark = needs_mmseqs
ONE_ROUND = SearchSettings(iterations=1)


def names(hits: tuple[TemplateHit, ...]) -> list[str]:
    return [hit.name for hit in hits]


def test_relatives_are_found_best_first(database: Database, query: str) -> None:
    ((index, hits),) = align_many([query], database)
    assert index == 0
    assert set(names(hits)[:2]) == {"1aaa_A", "1aaa_B"}
    assert names(hits)[2:5] == ["2bbb_A", "3ccc_A", "4ddd_A"]
    assert [hit.e_value for hit in hits] == sorted(hit.e_value for hit in hits)
    assert hits[0].identity == 1.0 and hits[0].pairs == len(query)


def test_pairs_are_those_of_the_construction(database: Database, query: str) -> None:
    ((_, hits),) = align_many([query], database)
    hit = next(hit for hit in hits if hit.name == "3ccc_A")
    pairs = dict(zip(hit.query_index.tolist(), hit.template_index.tolist(), strict=True))
    # "MKWVTFISLL" stands before it, and the residues 50 to 69 of the query are left out.
    for index in (*range(5, 45), *range(75, 115)):
        assert pairs[index] == (index + 10 if index < 50 else index - 10)


@pytest.mark.parametrize("exhaustive", [True, False])
def test_same_as_the_program_by_hand(
    database: Database, family: list[Chain], exhaustive: bool, tmp_path: Path
) -> None:
    queries = [chain.sequence for chain in family[2:5]]
    fasta, table = tmp_path / "q.fasta", tmp_path / "hits.tsv"
    fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(queries)))
    columns = "query,target,evalue,bits,nident,qaln,taln,qstart,tstart"
    subprocess.run(
        [
            *(
                find_mmseqs(),
                "easy-search",
                fasta,
                database.shards[0].mmseqs,
                table,
                tmp_path / "t",
            ),
            *("-s", "7.5", "-e", "0.1", "-a", "1", "--prefilter-mode", "1" if exhaustive else "0"),
            *("--format-output", columns, "-v", "1"),
        ],
        check=True,
    )
    by_hand = {}
    for row in table.read_text().splitlines():
        name, target, e_value, bits, identical, first, second, *starts = row.split("\t")
        query, template = (int(start) - 1 for start in starts)
        pairs = []
        for one, other in zip(first, second, strict=True):
            if "-" not in (one, other):
                pairs.append((query, template))
            query += one != "-"
            template += other != "-"
        by_hand[int(name), target] = (float(e_value), float(bits), int(identical), pairs)
    ours = {
        (index, hit.name): (
            hit.e_value,
            hit.bits,
            round(hit.identity * hit.pairs),
            list(zip(hit.query_index.tolist(), hit.template_index.tolist(), strict=True)),
        )
        for index, hits in align_many(queries, database, settings=ONE_ROUND, exhaustive=exhaustive)
        for hit in hits
    }
    assert len(by_hand) >= 9
    assert ours == by_hand


def test_many_queries_come_in_order(database: Database, family: list[Chain]) -> None:
    stranger = "".join(np.random.default_rng(99).choice(list("ARNDCQEGHILKMFPSTWYV"), 100))
    queries = [stranger, family[2].sequence, stranger, family[7].sequence, "GGGGGGGGGG"]
    found = dict(align_many(queries, database, settings=ONE_ROUND))
    assert list(found) == [0, 1, 2, 3, 4]
    assert not found[0] and not found[2] and not found[4]
    assert names(found[1])[0] == "2bbb_A"
    assert names(found[3]) == [family[7].id]


def test_no_query(database: Database) -> None:
    assert list(align_many([], database)) == []


def test_shards_together_are_the_whole(
    database: Database, sharded: Database, family: list[Chain]
) -> None:
    assert len(sharded.shards) > 1
    queries = [chain.sequence for chain in family[:4]]
    whole = dict(align_many(queries, database, settings=ONE_ROUND))
    parts = dict(align_many(queries, sharded, settings=ONE_ROUND))
    for index, hits in whole.items():
        assert set(names(parts[index])) == set(names(hits))
        part = {hit.name: hit for hit in parts[index]}
        for hit in hits:
            assert part[hit.name].bits == hit.bits
            assert part[hit.name].query_index.tolist() == hit.query_index.tolist()


def test_e_values_of_a_shard_are_brought_to_the_whole(sharded: Database, query: str) -> None:
    """The shard alone gives E-values of its own size, and takes its residues for the database."""
    place = next(
        place
        for place, shard in enumerate(sharded.shards)
        if ">1aaa_A\n" in shard.fasta.read_text()
    )
    alone = replace(sharded, shards=sharded.shards[place : place + 1])
    ((_, by_itself),) = align_many([query], alone, settings=ONE_ROUND)
    ((_, together),) = align_many([query], sharded, settings=ONE_ROUND)
    scale = sharded.residues / alone.residues
    e_values = {hit.name: hit.e_value for hit in together}
    assert scale > 2
    for hit in by_itself:
        assert e_values[hit.name] == pytest.approx(scale * hit.e_value)


def test_profile_reaches_further(database: Database, query: str) -> None:
    """The profile of an alignment of a distant relative's family finds that relative better."""
    random = np.random.default_rng(5)
    distant = database.chains()[4].sequence
    rows = [relative(distant, 0.2, random) for _ in range(20)]
    alignment = Alignment.from_aligned(query, [f"r{i}" for i in range(20)], rows)
    ((_, alone),) = align_many([query], database, settings=ONE_ROUND)
    with_profile = search_with_profile(alignment, query, database, settings=SearchSettings())
    by_name = {hit.name: hit for hit in with_profile}
    assert by_name["4ddd_A"].bits > 1.2 * next(h for h in alone if h.name == "4ddd_A").bits
    assert by_name["1aaa_A"].identity == 1.0
    own = by_name["1aaa_A"]
    assert own.query_index.tolist() == own.template_index.tolist()
    assert own.pairs > 0.9 * len(query)


def test_gaps_and_unknown_residues_in_the_alignment(database: Database, query: str) -> None:
    row = "---" + "X" * 5 + query[8:].lower()[:2] + query[8:]
    alignment = Alignment.from_aligned(query, ["one"], [row])
    hits = search_with_profile(alignment, query, database, settings=SearchSettings())
    assert {"1aaa_A", "1aaa_B"} <= set(names(hits))
    assert hits[0].query_index.tolist() == hits[0].template_index.tolist()


def test_alignment_of_another_length(database: Database, query: str) -> None:
    alignment = Alignment.from_aligned(query[:-1], ["one"], [query[:-1]])
    with pytest.raises(InputError, match="119 columns, the query 120"):
        search_with_profile(alignment, query, database, settings=SearchSettings())


@pytest.mark.parametrize(("text", "problem"), [("", "empty"), ("ACD-F", "'-'"), ("acd", "'a'")])
def test_query_that_is_no_protein(database: Database, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        list(align_many(["ACDEF", text], database))


class StopError(Exception):
    pass


def test_stop_ends_the_program_and_leaves_nothing(
    database: Database, query: str, tmp_path: Path
) -> None:
    def stop(fraction: float, step: str) -> None:
        raise StopError

    with pytest.raises(StopError):
        list(align_many([query], database, work=tmp_path, progress=stop))
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_its_end(sharded: Database, query: str) -> None:
    told: list[tuple[float, str]] = []
    list(align_many([query], sharded, progress=lambda *now: told.append(now)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0.6 < fractions[-1] <= 1.0
    assert {"ungappedprefilter", "align"} <= {step for _, step in told}


def test_hits_of_another_query(
    database: Database, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "hits"
    row = "{}\t1aaa_A\t1e-9\t50\t1\t9\t1\t9\t9M\n"
    write_entries(table, [f"{row.format(number)}\0".encode() for number in (1, 0)], b"\0" * 4)
    monkeypatch.setattr(mmseqs, "_search", lambda *arguments: [(table, 1.0)])
    with pytest.raises(DataError, match="no hit of this database"):
        list(align_many([query, query], database))
