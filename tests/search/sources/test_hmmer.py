import dataclasses
import importlib.util
import shutil
import subprocess

import pytest

from itda.errors import DataError, DependencyError
from itda.search.databases.database import Database
from itda.search.sources.hmmer import HmmerSource
from itda.search.sources.hmmer_settings import SETTINGS
from itda.search.sources.steps import Steps
from tests.search.sources.family import (
    LENGTH,
    RELATIVES,
    family,
    identifiers,
    make_database,
    silent,
)

pyhmmer = pytest.importorskip("pyhmmer")

from itda.search.sources.hmmer_search import HmmerSearch  # noqa: E402 (imports pyhmmer)

AMINO = pyhmmer.easel.Alphabet.amino()
PROGRAMS = [("jackhmmer", 1), ("jackhmmer", 3), ("phmmer", 1)]


def to_a3m(names: list[str], rows: list[str], query_row: str) -> list[tuple[str, str]]:
    """Rows of an alignment in A3M: columns where the query has no residue are insertions."""
    result = []
    for name, row in zip(names, rows, strict=True):
        text = ""
        for letter, column in zip(row, query_row, strict=True):
            is_gap = letter in "-."
            if column not in "-.":
                text += "-" if is_gap else letter.upper()
            elif not is_gap:
                text += letter.lower()
        result.append((name, text))
    return result


def hits_of_pyhmmer(program: str, iterations: int, query: str, database: Database):
    """What pyhmmer's own functions find, and the query as they take it."""
    fasta = database.shards[0].fasta
    sequence = pyhmmer.easel.TextSequence(name="query", sequence=query).digitize(AMINO)
    limits = SETTINGS[program]
    options = {name: getattr(limits, name) for name in ("F1", "F2", "F3", "E", "incE", "incdomE")}
    with pyhmmer.easel.SequenceFile(fasta, digital=True, alphabet=AMINO) as file:
        block = file.read_block()
    if program == "phmmer":
        (hits,) = pyhmmer.hmmer.phmmer(sequence, block, cpus=1, **options)
    else:
        (result,) = pyhmmer.hmmer.jackhmmer(
            sequence, block, max_iterations=iterations, cpus=1, **options
        )
        hits = result.hits
    return hits, sequence


def by_pyhmmer(program: str, iterations: int, query: str, database: Database):
    """The rows that pyhmmer's own functions give."""
    hits, sequence = hits_of_pyhmmer(program, iterations, query, database)
    alignment = hits.to_msa(
        AMINO,
        sequences=[sequence],
        traces=[pyhmmer.plan7.Trace.from_sequence(sequence)],
        all_consensus_cols=True,
    )
    rows = list(alignment.alignment)
    names = list(alignment.names)
    (place,) = [number for number, name in enumerate(names) if name.startswith("query")]
    query_row = rows[place]
    del rows[place], names[place]
    return to_a3m(names, rows, query_row)


def found_in(database, query, work, **options) -> list[tuple[str, str]]:
    alignment = HmmerSource((database,), **options).search(query, work=work, progress=silent)
    names = [name.split()[0] for name in alignment.names[1:]]
    return list(zip(names, alignment.texts[1:], strict=True))


@pytest.mark.parametrize(("program", "iterations"), PROGRAMS)
def test_rows_are_those_of_pyhmmer(whole, query, work, program, iterations):
    found = found_in(whole, query, work, program=program, iterations=iterations)
    assert found == by_pyhmmer(program, iterations, query, whole)
    assert len(found) > RELATIVES / 2


@pytest.mark.parametrize(("program", "iterations"), PROGRAMS)
@pytest.mark.skipif(shutil.which("jackhmmer") is None, reason="HMMER is not installed")
def test_rows_are_those_of_the_program(whole, query, work, tmp_path, program, iterations):
    limits = SETTINGS[program]
    (tmp_path / "query.fasta").write_text(f">query\n{query}\n")
    output = tmp_path / "out.sto"
    command = [program, "-o", "/dev/null", "-A", output, "--cpu", "1"]
    for name in ("F1", "F2", "F3", "incE", "incdomE", "E"):
        command += [f"{'-' if name == 'E' else '--'}{name}", f"{getattr(limits, name):g}"]
    if program == "jackhmmer":
        command += ["-N", str(iterations)]
    command += [tmp_path / "query.fasta", whole.shards[0].fasta]
    subprocess.run(command, check=True)
    rows: dict[str, str] = {}
    for line in output.read_text().splitlines():
        if line and line[0] not in "#/":
            name, part = line.split()
            rows[name] = rows.get(name, "") + part
    # jackhmmer writes the query as the first row; phmmer finds its own entry, whole.
    names = list(rows)
    first = names[0] if program == "jackhmmer" else f"itself/1-{LENGTH}"
    query_row = rows[first]
    if program == "jackhmmer":
        del rows[first]
    assert found_in(whole, query, work, program=program, iterations=iterations) == to_a3m(
        list(rows), list(rows.values()), query_row
    )


@pytest.mark.parametrize(("program", "iterations"), PROGRAMS)
def test_shards_give_the_rows_of_the_whole(whole, cut, query, work, program, iterations):
    options = {"program": program, "iterations": iterations}
    expected = found_in(whole, query, work / "whole", **options)
    assert found_in(cut, query, work / "cut", threads=3, **options) == expected


def test_e_values_of_shards_are_those_of_the_whole(whole, cut, query, work):
    search = HmmerSearch(
        cut,
        query,
        program="phmmer",
        limits=SETTINGS["phmmer"],
        iterations=1,
        threads=1,
        steps=Steps(work, query=query, key={}),
        progress=silent,
    )
    expected = {hit.name: hit.evalue for hit in hits_of_pyhmmer("phmmer", 1, query, whole)[0]}
    assert len(expected) > RELATIVES / 2
    for row in search.rows():
        assert row.e_value == pytest.approx(expected[row.name.split("/")[0]], rel=1e-9)


def test_domains_are_judged_by_all_reported_sequences(whole, cut, query, work, monkeypatch):
    hits, _ = hits_of_pyhmmer("phmmer", 1, query, whole)
    weakest = max(domain.pvalue for hit in hits.included for domain in hit.domains.included)
    # Just above and just below what the weakest needs. Judged by the sequences of its own shard it
    # would be in both; by all that were searched, in neither.
    for factor, work_folder in ((1.01, work / "in"), (0.99, work / "out")):
        limits = dataclasses.replace(
            SETTINGS["phmmer"], incdomE=weakest * len(hits.reported) * factor
        )
        monkeypatch.setitem(SETTINGS, "phmmer", limits)
        found = found_in(cut, query, work_folder, program="phmmer")
        assert found == by_pyhmmer("phmmer", 1, query, whole)
        monkeypatch.undo()
        if factor > 1:
            with_weakest = len(found)
    assert with_weakest == len(found) + 1


def test_small_chunks_change_nothing(whole, query, work, monkeypatch):
    expected = found_in(whole, query, work / "one")
    monkeypatch.setattr("itda.search.sources.hmmer_search.CHUNK_RESIDUES", 1000)
    assert found_in(whole, query, work / "two", threads=2) == expected


def test_names_hold_place_and_description(whole, query, work):
    alignment = HmmerSource((whole,)).search(query, work=work, progress=silent)
    row = identifiers(alignment.names).index("relative1")
    name, description = alignment.names[row].split(" ", 1)
    assert description == "of the query OX=9001"
    start, end = (int(place) for place in name.split("/")[1].split("-"))
    sequence = {header.split()[0]: text for header, text in family()[1]}["relative1"]
    assert alignment.texts[row].replace("-", "").upper() == sequence[start - 1 : end]
    assert (alignment.source[row], alignment.species[row]) == ("whole", "9001")


def test_iterations_find_more_and_end_when_nothing_is_new(whole, query, work):
    one = found_in(whole, query, work / "1")
    three = found_in(whole, query, work / "3", iterations=3)
    assert len(three) > len(one)
    assert found_in(whole, query, work / "20", iterations=20) == found_in(
        whole, query, work / "19", iterations=19
    )
    searched = {path.name for path in (work / "20").glob("whole-*-1.step")}
    assert len(searched) < 10


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_truncated_steps_are_made_again(cut, query, work, iterations):
    source = HmmerSource((cut,), iterations=iterations)
    expected = source.search(query, work=work, progress=silent)
    steps = sorted(work.glob("*.step"))
    assert len(steps) >= 3
    for step in steps:
        content = step.read_bytes()
        for length in (0, len(content) // 2, len(content) - 1):
            step.write_bytes(content[:length])
            assert source.search(query, work=work, progress=silent) == expected


def test_finished_shards_are_not_searched_again(cut, query, work, monkeypatch):
    source = HmmerSource((cut,))
    expected = source.search(query, work=work, progress=silent)
    (work / "cut-1-2.step").unlink()
    said = []
    again = source.search(query, work=work, progress=lambda _, message: said.append(message))
    assert again == expected
    assert set(said) == {"jackhmmer in cut, shard 2 of 3", "found"}


def test_progress_rises_to_one(cut, whole, query, work, monkeypatch):
    monkeypatch.setattr("itda.search.sources.hmmer_search.CHUNK_RESIDUES", 1000)
    told = []
    HmmerSource((cut, whole), iterations=2).search(
        query, work=work, progress=lambda fraction, message: told.append((fraction, message))
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert len(set(fractions)) > 20
    assert told[0][1] == "jackhmmer in cut, iteration 1 of 2, shard 1 of 3"


def test_a_stop_goes_through(whole, query, work, monkeypatch):
    monkeypatch.setattr("itda.search.sources.hmmer_search.CHUNK_RESIDUES", 1000)

    def stop(fraction, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HmmerSource((whole,), threads=2).search(query, work=work, progress=stop)
    assert not list(work.glob("*.step"))


def test_the_best_rows_are_kept(whole, query, work):
    everything = found_in(whole, query, work / "all")
    assert found_in(whole, query, work / "few", maximum_rows=5) == everything[:5]


def test_nothing_to_find(whole, work):
    assert HmmerSource((whole,)).search("MKT", work=work, progress=silent).texts == ("MKT",)


def test_what_hmmer_cannot_read_is_blamed_on_its_database(tmp_path, query, work):
    database = make_database(tmp_path, "broken", family()[1][:5], mmseqs=False)
    fasta = database.shards[0].fasta
    fasta.write_text(fasta.read_text().replace("A", "1"))
    with pytest.raises(DataError, match="database broken: shard 1: ") as caught:
        HmmerSource((database,)).search(query, work=work, progress=silent)
    assert "itda db check broken" in caught.value.hint


def test_key_is_of_database_program_and_parameters(whole, cut):
    key = HmmerSource((whole,)).key()
    assert key == HmmerSource((whole,), threads=7).key()
    others = [
        HmmerSource((cut,)),
        HmmerSource((whole, cut)),
        HmmerSource((whole,), program="phmmer"),
        HmmerSource((whole,), iterations=2),
        HmmerSource((whole,), maximum_rows=5),
    ]
    assert all(other.key() != key for other in others)


def test_limits_are_those_of_alphafold_3():
    limits = SETTINGS["jackhmmer"]
    assert (limits.E, limits.incE) == (1e-4, 1e-4)
    assert (limits.F1, limits.F2, limits.F3) == (0.0005, 0.00005, 0.0000005)


def test_a_missing_package_is_named(whole, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install pyhmmer"):
        HmmerSource((whole,))
