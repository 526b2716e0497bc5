"""What is known of a job's chains reaches a family that folds them together, and is found once."""

import json
import os
import random
import stat

import pytest

from itda.search.mmseqs import find_mmseqs
from tests.sequences import needs_mmseqs

from .conftest import PROTEIN, written

PARTNER = "GSHMLEDPVDAFKLAKELGADEVIVTGAGQKALDKLKE"


def relative(sequence: str, chance: random.Random, kept: float) -> str:
    return "".join(
        letter if chance.random() < kept else chance.choice("ACDEFGHIKLMNPQRSTVWY")
        for letter in sequence
    )


@pytest.fixture
def searched(environment, itda_command, tmp_path):
    """A database with relatives of two proteins, and how often MMseqs2 was asked to search."""
    chance = random.Random(1)
    records = [
        f">tr|{part}{number}|X_{species} OX={place}\n{relative(sequence, chance, 0.8)}\n"
        for part, sequence in (("A", LONG), ("B", LONG_PARTNER))
        for number, (place, species) in enumerate(
            ((9606, "HUMAN"), (10090, "MOUSE"), (9031, "CHICK"), (7955, "DANRE"))
        )
    ]
    (tmp_path / "relatives.fasta").write_text("".join(records))
    real = find_mmseqs()
    log = tmp_path / "asked"
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "mmseqs"
    program.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {real} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    environment["ITDA_MMSEQS"] = str(program)
    environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
    environment["ITDA_DATABASES"] = str(tmp_path / "databases")
    itda_command("db", "add", "small", "relatives.fasta")

    def searched() -> int:
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines.count("search")

    searched()
    return searched


LONG = (PROTEIN * 3)[:60]
LONG_PARTNER = (PARTNER * 2)[:60]
ALONE = [{"protein": {"id": "A", "sequence": LONG}}]
PAIR = [
    {"protein": {"id": ["A", "C"], "sequence": LONG}},
    {"protein": {"id": "B", "sequence": LONG_PARTNER}},
    {"ion": {"id": "M", "ccd": "MG"}},
]
SEARCH = ("--model", "allatom", "--msa", "mmseqs", "--db", "small")


def stages_of(done) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["event"] == "stage_finished":
            found.setdefault(event["stage"], []).append(event["cached"])
    return found


@needs_mmseqs
def test_one_alignment_serves_the_chain_alone_and_in_a_complex(
    searched, itda_command, tmp_path
) -> None:
    written(tmp_path, "alone.json", name="alone", entities=ALONE, samples=1)
    written(tmp_path, "pair.json", name="pair", entities=PAIR, samples=1)
    first = itda_command("fold", "alone.json", *SEARCH, "--json")
    assert stages_of(first)["alignment"] == [False] and searched() == 1
    second = itda_command("fold", "pair.json", *SEARCH, "--json")
    # The chain of before, and the other one; copies have one alignment.
    assert stages_of(second)["alignment"] == [True, False] and searched() == 1
    assert stages_of(second)["pairing"] == [False]
    third = itda_command("fold", "pair.json", *SEARCH, "--json", "--out", "again")
    assert stages_of(third)["alignment"] == [True, True] and searched() == 0
    assert stages_of(third)["pairing"] == [True]
    told = json.loads((tmp_path / "pair_itda" / "pair.confidence.json").read_bytes())
    assert told["provenance"]["inputs"]["paired_rows"] == "4"
    assert told["provenance"]["inputs"]["paired_source"] == "species"
    paired = [(tmp_path / "pair_itda" / f"pair.paired_{chain}.a3m").read_text() for chain in "AB"]
    species = [
        [line.split("_")[-1].split()[0] for line in text.splitlines() if "|" in line]
        for text in paired
    ]
    assert species[0] == species[1] and len(species[0]) == 4


@needs_mmseqs
def test_one_alignment_serves_the_complex_and_then_the_chain(
    searched, itda_command, tmp_path
) -> None:
    written(tmp_path, "alone.json", name="alone", entities=ALONE, samples=1)
    written(tmp_path, "pair.json", name="pair", entities=PAIR, samples=1)
    itda_command("fold", "pair.json", *SEARCH)
    # Both proteins go in one search.
    assert searched() == 1
    assert stages_of(itda_command("fold", "alone.json", *SEARCH, "--json"))["alignment"] == [True]
    assert searched() == 0
    both = itda_command("fold", "pair.json", "alone.json", *SEARCH, "--json", "--out", "both")
    assert stages_of(both)["alignment"] == [True, True, True] and searched() == 0


@needs_mmseqs
def test_a_protein_that_stands_twice_is_searched_once(searched, itda_command, tmp_path) -> None:
    twice = [{"protein": {"id": chain, "sequence": LONG}} for chain in "AB"]
    written(tmp_path, "twice.json", name="twice", entities=[*twice, PAIR[2]], samples=1)
    done = itda_command("fold", "twice.json", *SEARCH, "--json")
    assert stages_of(done)["alignment"] == [False] and searched() == 1
    # Rows of one protein pair with none: its copies have the same.
    assert "pairing" not in stages_of(done)


@needs_mmseqs
def test_chains_in_another_order_are_searched_once_and_paired_rightly(
    searched, itda_command, tmp_path
) -> None:
    written(tmp_path, "pair.json", name="pair", entities=PAIR, samples=1)
    written(tmp_path, "turned.json", name="turned", entities=[PAIR[1], PAIR[0]], samples=1)
    itda_command("fold", "pair.json", *SEARCH)
    assert searched() == 1
    done = itda_command("fold", "turned.json", *SEARCH, "--json")
    assert stages_of(done)["alignment"] == [True, True] and searched() == 0
    for chain in "AB":
        one = (tmp_path / "pair_itda" / f"pair.paired_{chain}.a3m").read_text()
        other = (tmp_path / "turned_itda" / f"turned.paired_{chain}.a3m").read_text()
        assert one == other


@needs_mmseqs
def test_no_alignment_wanted_is_not_none_given(searched, itda_command, tmp_path) -> None:
    wanted = [{"protein": {"id": "A", "sequence": LONG, "msa": "none"}}, PAIR[1]]
    written(tmp_path, "some.json", name="some", entities=wanted, samples=1)
    done = itda_command("fold", "some.json", *SEARCH, "--json")
    assert stages_of(done)["alignment"] == [False]
    inputs = json.loads((tmp_path / "some_itda" / "some.confidence.json").read_bytes())[
        "provenance"
    ]["inputs"]
    assert "B.alignment" in inputs and "A.alignment" not in inputs
    assert "paired_rows" not in inputs


def rows(*texts: str) -> str:
    return "".join(f">row{number}\n{text}\n" for number, text in enumerate(texts))


def chains(**of_second) -> list[dict]:
    first = {"id": "A", "sequence": PROTEIN, "paired_msa": rows(PROTEIN, "A" * 22, "-" * 22)}
    return [{"protein": first}, {"protein": {"id": "B", "sequence": PARTNER, **of_second}}]


def test_paired_rows_that_are_given_reach_the_family(itda_command, tmp_path) -> None:
    (tmp_path / "b.a3m").write_text(rows(PARTNER, "C" * 38, "D" * 38))
    written(tmp_path, entities=chains(paired_msa="b.a3m"), samples=1)
    itda_command("fold", "complex.json", "--model", "allatom")
    out = tmp_path / "complex_itda"
    inputs = json.loads((out / "complex.confidence.json").read_bytes())["provenance"]["inputs"]
    assert inputs["paired_rows"] == "2" and inputs["paired_source"] == "the job, b.a3m"
    before = (out / "complex.cif").read_bytes()
    # Other rows are another result.
    (tmp_path / "b.a3m").write_text(rows(PARTNER, "C" * 38, "E" * 38))
    itda_command("fold", "complex.json", "--model", "allatom", "--overwrite")
    assert (out / "complex.cif").read_bytes() != before


def test_rows_that_cannot_pair_are_refused_with_both_chains(itda_command, tmp_path) -> None:
    written(tmp_path, entities=chains(paired_msa=rows(PARTNER, "C" * 38)), samples=1)
    done = itda_command("fold", "complex.json", "--model", "allatom", status=1)
    assert "chain A has 3 rows, and chain B 2" in done.stderr


@pytest.mark.parametrize("model", ["mini", "esmfold"])
def test_a_family_that_takes_none_refuses_them_by_name(itda_command, tmp_path, model) -> None:
    written(tmp_path, entities=chains(), samples=1)
    done = itda_command("plan", "complex.json", "--model", model, status=1)
    assert f"{model} takes no paired_msa" in done.stdout + done.stderr


def test_an_alignment_of_rna_reaches_the_family_and_no_other(itda_command, tmp_path) -> None:
    rna = {"id": "R", "sequence": "GGCUUAGC", "msa": rows("GGCUUAGC", "GGCTTAGC", "GG-UUAcGC")}
    written(tmp_path, entities=[{"protein": {"id": "A", "sequence": PROTEIN}}, {"rna": rna}])
    itda_command("fold", "complex.json", "--model", "allatom", "--samples", "1")
    out = tmp_path / "complex_itda"
    inputs = json.loads((out / "complex.confidence.json").read_bytes())["provenance"]["inputs"]
    assert inputs["R.alignment_rows" if "R.alignment_rows" in inputs else "alignment_rows"] == "3"
    assert (out / "complex_R.a3m").read_text().count(">") == 3
    written(tmp_path, entities=[{"rna": rna}])
    done = itda_command("plan", "complex.json", "--model", "mini", status=1)
    assert "mini folds protein only" in done.stdout + done.stderr
    assert "takes no rna_msa" in done.stdout + done.stderr


def test_letters_that_are_no_bases_are_refused(itda_command, tmp_path) -> None:
    rna = {"id": "R", "sequence": "GGCUUAGC", "msa": rows("GGCUUAGC", "GGCEEAGC")}
    written(tmp_path, entities=[{"rna": rna}])
    done = itda_command("fold", "complex.json", "--model", "allatom", status=1)
    assert "letters of RNA" in done.stderr
