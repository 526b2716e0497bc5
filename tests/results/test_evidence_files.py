import json
import math
from pathlib import Path

import pytest
from tests.engine.fake_search import template

from itda.job.model import Job
from itda.results.evidence_files import (
    alignment_names,
    evidence_contents,
    evidence_names,
    is_input,
)
from itda.results.files import file_names
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import parse_alignment
from itda.search.alignments.pairing import pair_by_position
from itda.search.evidence import ChainEvidence, Evidence
from itda.search.templates.selection import FoundHit

HEAVY, LIGHT = "MKTAYIAKQR", "AYIAKQRW"


@pytest.fixture
def pair(tmp_path) -> Job:
    """Two copies of one protein, one of another that brings its alignment, and an ion."""
    (tmp_path / "pair_C.a3m").write_text(f">light\n{LIGHT}\n")
    return Job.from_dict(
        {
            "version": 1,
            "name": "pair",
            "entities": [
                {"protein": {"sequence": HEAVY, "id": ["A", "B"]}},
                {"protein": {"sequence": LIGHT, "id": "C", "msa": "pair_C.a3m"}},
                {"ion": {"ccd": "ZN"}},
            ],
        },
        folder=tmp_path,
    )


def alignment(query: str) -> Alignment:
    return Alignment.from_aligned(query, ["sp|P04637|P53_HUMAN one"], [query[:-1] + "aa-"])


def test_each_protein_has_files_named_by_its_first_chain(pair) -> None:
    assert evidence_names(pair) == {
        "alignment_A": "pair_A.a3m",
        "templates_A": "pair_A.templates.json",
        "alignment_C": "pair_C.a3m",
        "templates_C": "pair_C.templates.json",
        "paired_A": "pair.paired_A.a3m",
        "paired_C": "pair.paired_C.a3m",
    }


def test_each_protein_has_what_it_was_folded_with(pair, tmp_path) -> None:
    heavy, light = ChainEvidence(alignment(HEAVY)), ChainEvidence(alignment(LIGHT))
    evidence = Evidence({"A": heavy, "B": heavy, "C": light})
    found = evidence_contents(pair, evidence, tmp_path / "elsewhere")
    assert found.keys() == {"alignment_A", "alignment_C"}
    for query, kind in ((HEAVY, "alignment_A"), (LIGHT, "alignment_C")):
        read = parse_alignment(found[kind].decode(), query=query, where=kind)
        assert read.texts == alignment(query).texts and read.species == ("", "HUMAN")
    # The alignment of C is read from the very file.
    assert evidence_contents(pair, evidence, tmp_path).keys() == {"alignment_A"}
    rows = pair_by_position({"A": alignment(HEAVY), "C": None}, {"A": HEAVY, "C": LIGHT})
    together = evidence_contents(pair, Evidence({}, rows), tmp_path)
    assert together.keys() == {"paired_A", "paired_C"}
    assert [text.count(b">") for text in together.values()] == [2, 2]
    assert is_input(pair, tmp_path / "pair_C.a3m")
    assert not is_input(pair, tmp_path / "pair_A.a3m")


def test_nothing_known_is_no_file(pair, tmp_path) -> None:
    assert evidence_contents(pair, Evidence(), tmp_path) == {}
    nothing = Evidence({"A": ChainEvidence()})
    assert evidence_contents(Job.from_sequence("one", HEAVY), nothing, tmp_path) == {}


def test_templates_of_files_are_told_without_a_search(tmp_path) -> None:
    given = template("mine_A", HEAVY)
    hit = FoundHit.of_template(given, HEAVY, origin="given", source="mine.cif")
    found_in_it = ChainEvidence(
        templates=(given,),
        hits=(FoundHit(**{**vars(hit), "e_value": math.nan, "release_date": ""}),),
        provenance={"template_source": "mine.cif"},
    )
    evidence = Evidence({"A": found_in_it})
    found = evidence_contents(Job.from_sequence("one", HEAVY), evidence, Path(tmp_path))
    told = json.loads(found["templates"])
    assert told["source"] == "mine.cif" and told["search"] is None and told["chain_ids"] == ["A"]
    (said,) = told["hits"]
    assert said == {
        "name": "mine_A", "e_value": None, "identity": 1.0, "coverage": 1.0, "pairs": len(HEAVY),
        "release_date": None, "used": True, "reason": None, "origin": "given",
        "source": "mine.cif",
    }  # fmt: skip


def test_a_search_that_found_nothing_says_so(tmp_path) -> None:
    evidence = ChainEvidence(provenance={"template_source": "known", "template_search": '{"a": 1}'})
    found = evidence_contents(Job.from_sequence("one", HEAVY), Evidence({"A": evidence}), tmp_path)
    told = json.loads(found["templates"])
    assert told["hits"] == [] and told["search"] == {"a": 1}


@pytest.mark.parametrize("second", ["A.paired", "paired_A", "A.a3m", "A.templates", "paired"])
def test_no_two_files_of_a_job_have_one_name(second) -> None:
    chains = [{"id": "A", "sequence": HEAVY}, {"id": second, "sequence": LIGHT}]
    job = Job.from_dict(
        {"version": 1, "name": "job", "entities": [{"protein": chain} for chain in chains]}
    )
    names = list(file_names(job).values())
    assert len(set(names)) == len(names)


def test_paired_rows_that_are_read_from_the_very_file_are_not_written(tmp_path) -> None:
    given = tmp_path / "job.paired_A.a3m"
    given.write_text(f">q\n{HEAVY}\n>r\n{HEAVY}\n")
    chains = [
        {"id": "A", "sequence": HEAVY, "paired_msa": given.name},
        {"id": "B", "sequence": LIGHT},
    ]
    job = Job.from_dict(
        {"version": 1, "name": "job", "entities": [{"protein": chain} for chain in chains]},
        folder=tmp_path,
    )
    rows = pair_by_position(
        {"A": parse_alignment(given.read_text(), query=HEAVY, where="a"), "B": None},
        {"A": HEAVY, "B": LIGHT},
    )
    assert evidence_contents(job, Evidence(paired=rows), tmp_path).keys() == {"paired_B"}
    elsewhere = evidence_contents(job, Evidence(paired=rows), tmp_path / "out")
    assert elsewhere.keys() == {"paired_A", "paired_B"}
    assert given.name in alignment_names(job)
