import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from itda.errors import DataError, DependencyError
from itda.search.alignments.alignment import GAP_INDEX
from itda.search.mmseqs import find_mmseqs
from itda.search.sources.mmseqs import MmseqsSource
from tests.search.sources.family import (
    RELATIVES,
    family,
    identifiers,
    make_database,
    silent,
)
from tests.sequences import needs_mmseqs

pytestmark = needs_mmseqs


@pytest.fixture(scope="module")
def searched(whole, query, tmp_path_factory):
    """A search of one shard, the progress it told, and its work folder."""
    told = []
    work = tmp_path_factory.mktemp("searched") / "work"
    alignment = MmseqsSource((whole,)).search(
        query, work=work, progress=lambda fraction, message: told.append((fraction, message))
    )
    return alignment, told, work


def by_hand(folder: Path, target: Path, query: str) -> list[tuple[str, str]]:
    """What ColabFold's commands give: identifier and row of each hit.

    The commands of `mmseqs_search_monomer` in colabfold/mmseqs/search.py, for a database that is
    not clustered, one a line.
    """
    folder.mkdir()
    (folder / "q.fasta").write_text(f">query\n{query}\n")
    commands = """
        createdb q.fasta qdb
        search qdb TARGET res tmp --threads 1 --num-iterations 3 --db-load-mode 0 -a -e 0.1
            --max-seqs 10000 --prefilter-mode 0 -s 8.0
        mvdb tmp/latest/profile_1 prof_res
        lndb qdb_h prof_res_h
        align prof_res TARGET res res_realign --db-load-mode 0 -e 10 --max-accept 100000
            --threads 1 --alt-ali 10 -a
        filterresult qdb TARGET res_realign res_filter --db-load-mode 0 --qid 0 --qsc 0.8
            --diff 0 --threads 1 --max-seq-id 1.0 --filter-min-enable 100
        result2msa qdb TARGET res_filter out.a3m --msa-format-mode 6 --db-load-mode 0
            --threads 1 --filter-msa 1 --filter-min-enable 1000 --diff 3000
            --qid 0.0,0.2,0.4,0.6,0.8,1.0 --qsc 0 --max-seq-id 0.95
    """.replace("\n            ", " ")
    for line in commands.strip().splitlines():
        arguments = [str(target) if word == "TARGET" else word for word in line.split()]
        subprocess.run([find_mmseqs(), *arguments], cwd=folder, check=True, capture_output=True)
    lines = (folder / "out.a3m").read_text().rstrip("\0").splitlines()
    names = [line[1:].split("\t")[0] for line in lines[2::2]]
    return list(zip(names, lines[3::2], strict=True))


def test_rows_are_those_of_the_commands_by_hand(searched, whole, query, tmp_path):
    # The commands do not stand a blank in a path everywhere.
    shutil.copytree(whole.shards[0].mmseqs.parent, tmp_path / "db")
    expected = by_hand(tmp_path / "hand", tmp_path / "db" / whole.shards[0].mmseqs.name, query)
    alignment = searched[0]
    assert len(expected) > RELATIVES
    assert list(zip(identifiers(alignment.names[1:]), alignment.texts[1:], strict=True)) == expected


def test_relatives_are_found_and_strangers_are_not(searched, query):
    alignment = searched[0]
    found = set(identifiers(alignment.names[1:]))
    assert alignment.texts[0] == query and alignment.names[0] == "query"
    assert found == {"itself"} | {f"relative{number}" for number in range(RELATIVES)}
    # Second copies are rows of their own.
    assert len(alignment) - 1 > len(found)
    assert (alignment.rows != GAP_INDEX).mean() > 0.7


def test_headers_source_and_species_are_kept(searched):
    alignment = searched[0]
    row = identifiers(alignment.names).index("relative3")
    assert alignment.names[row] == "relative3 of the query OX=9003"
    assert (alignment.source[row], alignment.species[row]) == ("whole", "9003")


def test_progress_rises_to_one_and_names_the_step(searched):
    fractions = [fraction for fraction, _ in searched[1]]
    messages = [message for _, message in searched[1]]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0 and len(set(fractions)) > 20
    assert "mmseqs in whole: profile search, prefilter" in messages


def test_a_second_search_takes_the_finished_one(searched, whole, query, monkeypatch):
    alignment, _, work = searched
    source = MmseqsSource((whole,))
    assert not list(work.glob("scratch-*"))
    monkeypatch.setattr("itda.search.sources.mmseqs_shard.run_mmseqs", None)
    assert source.search(query, work=work, progress=silent) == alignment


def test_another_query_takes_nothing_of_it(searched, whole, query, work):
    shutil.copytree(searched[2], work)
    other = query[::-1]
    alignment = MmseqsSource((whole,)).search(other, work=work, progress=silent)
    assert alignment.texts[0] == other
    # Chance may give a hit or two among so few sequences.
    assert len(alignment) < 5


def test_shards_find_the_family_and_are_searched_again_where_truncated(cut, query, work):
    told = []
    alignment = MmseqsSource((cut,), threads=2).search(
        query, work=work, progress=lambda fraction, message: told.append((fraction, message))
    )
    found = set(identifiers(alignment.names[1:]))
    assert found == {"itself"} | {f"relative{number}" for number in range(RELATIVES)}
    # The best first, over all shards.
    assert identifiers(alignment.names)[1] == "itself"
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {message.split(":")[0] for _, message in told[:-1]} == {
        f"mmseqs in cut shard {number} of 3" for number in (1, 2, 3)
    }
    # What is truncated is searched again, with the profile from before, and nothing else is; the
    # first shard also where only the profile is lost.
    for name, number in (("cut-2", 2), ("start", 1)):
        step = work / f"{name}.step"
        content = step.read_bytes()
        step.write_bytes(content[: len(content) // 2])
        said: set[str] = set()
        again = MmseqsSource((cut,)).search(
            query, work=work, progress=lambda _, message, said=said: said.add(message.split(":")[0])
        )
        assert again == alignment
        assert said == {f"mmseqs in cut shard {number} of 3", "found"}
        assert step.read_bytes() == content or name == "start"


def test_a_stop_ends_the_program_at_once(whole, query, work):
    class StopError(Exception):
        pass

    def stop(fraction, message):
        if "profile search" in message:
            raise StopError

    with pytest.raises(StopError):
        MmseqsSource((whole,)).search(query, work=work, progress=stop)
    assert not list(work.glob("*.step")) and not list(work.glob("scratch-*"))


def test_nothing_to_find(whole, work):
    # Too short for a single word of the prefilter.
    alignment = MmseqsSource((whole,)).search("MKT", work=work, progress=silent)
    assert alignment.texts == ("MKT",)


def test_headers_of_uniprot_keep_their_species(tmp_path, query, work):
    records = [
        (f"sp|P0000{number}|KIN_{name} Kinase", query[:-number] + "A" * number)
        for number, name in ((1, "HUMAN"), (2, "MOUSE"))
    ]
    database = make_database(tmp_path, "named", records)
    alignment = MmseqsSource((database,)).search(query, work=work, progress=silent)
    assert sorted(alignment.names[1:]) == [name for name, _ in records]
    assert set(alignment.species[1:]) == {"HUMAN", "MOUSE"}


def test_key_is_of_database_program_and_parameters(whole, cut):
    key = MmseqsSource((whole,)).key()
    assert key == MmseqsSource((whole,), threads=7).key()
    others = [
        MmseqsSource((cut,)),
        MmseqsSource((whole, cut)),
        MmseqsSource((whole,), sensitivity=4),
        MmseqsSource((whole,), iterations=2),
        MmseqsSource((whole,), e_value=1e-3),
        MmseqsSource((whole,), maximum_targets=300),
    ]
    assert all(other.key() != key for other in others)


def test_a_missing_program_is_named(whole, query, work, monkeypatch):
    monkeypatch.setenv("ITDA_MMSEQS", "/nowhere/mmseqs")
    with pytest.raises(DependencyError, match="/nowhere/mmseqs"):
        MmseqsSource((whole,)).search(query, work=work, progress=silent)


def test_a_failing_program_is_blamed_with_its_own_words(whole, query, work, tmp_path, monkeypatch):
    program = tmp_path / "mmseqs"
    program.write_text(
        '#!/bin/sh\n[ "$1" = search ] || exec "$REAL" "$@"\necho "No space left" >&2; exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("REAL", str(find_mmseqs()))
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    with pytest.raises(DataError, match="mmseqs search failed with status 1: No space left"):
        MmseqsSource((whole,)).search(query, work=work, progress=silent)
    assert not list(work.glob("*.step")) and not list(work.glob("scratch-*"))


@pytest.fixture
def padded(whole, tmp_path):
    """The family as a database for searches on a GPU."""
    target = tmp_path / "padded"
    subprocess.run(
        [find_mmseqs(), "makepaddedseqdb", whole.shards[0].mmseqs, target, "--threads", "1"],
        check=True,
        capture_output=True,
    )
    return dataclasses.replace(whole, shards=(dataclasses.replace(whole.shards[0], mmseqs=target),))


def test_gpu_search_of_a_padded_database(padded, query, work, tmp_path, monkeypatch):
    # Takes out --gpu, which a program without CUDA refuses; what is left is its ungapped prefilter,
    # the one that a GPU runs.
    program = tmp_path / "mmseqs"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$LOG"\ncase "$1" in search) ;; *) exec "$REAL" "$@";; esac\n'
        'command=$(echo "$@" | sed "s/ --gpu 1//")\nexec "$REAL" $command\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("REAL", str(find_mmseqs()))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("ITDA_MMSEQS", str(program))
    source = MmseqsSource((padded,), use_gpu=True)
    alignment = source.search(query, work=work, progress=silent)
    assert set(identifiers(alignment.names[1:])) >= {f"relative{number}" for number in range(30)}
    (called,) = [line for line in (tmp_path / "log").read_text().splitlines() if "search " in line]
    assert " --gpu 1 --prefilter-mode 1" in called and " -s " not in called
    assert source.key() != MmseqsSource((padded,), use_gpu=False).key()


def test_gpu_is_used_where_program_machine_and_database_allow_it(padded, whole, monkeypatch):
    monkeypatch.setattr("itda.search.sources.mmseqs.gpu_is_usable", lambda: True)
    assert MmseqsSource((padded,)).gpu
    assert not MmseqsSource((whole,)).gpu
    assert not MmseqsSource((padded,), use_gpu=False).gpu
    with pytest.raises(DataError, match="whole was not made for searches on a GPU"):
        MmseqsSource((whole,), use_gpu=True).key()
    monkeypatch.setattr("itda.search.sources.mmseqs.gpu_is_usable", lambda: False)
    assert not MmseqsSource((padded,)).gpu


def test_clustered_database_gives_the_members_of_its_clusters(query, work, tmp_path):
    """A database of representatives, with `_seq` and `_aln` beside it, as ColabFold's."""
    records = [record for record in family()[1] if not record[0].startswith("stranger")]
    database = make_database(tmp_path, "clustered", records)
    target = tmp_path / "clustered"
    everything = shutil.copytree(database.shards[0].mmseqs.parent, tmp_path / "all")
    everything /= database.shards[0].mmseqs.name
    for command in (
        ["cluster", everything, "clusters", "tmp", "--min-seq-id", "0.3", "-c", "0.5"],
        ["createsubdb", "clusters", everything, target],
        ["createsubdb", "clusters", f"{everything}_h", f"{target}_h"],
        ["align", target, everything, "clusters", f"{target}_aln", "-a", "-e", "inf"],
        ["cpdb", everything, f"{target}_seq"],
        ["cpdb", f"{everything}_h", f"{target}_seq_h"],
    ):
        subprocess.run([find_mmseqs(), *command], cwd=tmp_path, check=True, capture_output=True)
    representatives = Path(f"{target}.index").read_text().count("\n")
    assert representatives < len(records) / 2
    shard = dataclasses.replace(database.shards[0], mmseqs=target)
    source = MmseqsSource((dataclasses.replace(database, shards=(shard,)),))
    alignment = source.search(query, work=work, progress=silent)
    assert len(set(identifiers(alignment.names[1:]))) > 2 * representatives
