"""What is said of results, and what is never said."""

import json
import re

import numpy as np
import pytest
from tests.results.verdict_cases import FAR, NEAR, TRUST, cases, made_with, result, two_domains

from itda.confidence.trust import share_interval
from itda.language import COMMAND_LINE, PYTHON, REQUEST
from itda.results.verdict import Sentence, side_chains
from itda.search.databases.registry import FOLDER_VARIABLE

CASES = dict(cases())
HANGUL = re.compile("[가-힣]")
KINDS = ("trust", "places", "basis", "next")


@pytest.fixture(autouse=True)
def _machine(tmp_path, monkeypatch):
    """A machine without databases and weights, on the network."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "databases"))
    monkeypatch.setenv("ITDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ITDA_LANG", "en")
    for name in ("ITDA_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("itda.results.verdict.remedies._memory_bytes", lambda: 64 * 2**30)


def database(monkeypatch, **kinds: str) -> None:
    def names(kind: str) -> list[str]:
        return [name for name, of in kinds.items() if of == kind]

    monkeypatch.setattr("itda.results.verdict.remedies._databases", names)


def sentence(one, kind: str) -> str:
    return next((str(s.message) for s in one.verdict.sentences if s.kind == kind), "")


@pytest.mark.parametrize("name", CASES)
def test_at_most_four_sentences_in_each_language(name) -> None:
    verdict = CASES[name].verdict
    kinds = [one.kind for one in verdict.sentences]
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert kinds[0] == "trust" and "basis" in kinds
    for english, korean in zip(verdict.said(), verdict.said(language="ko"), strict=True):
        assert HANGUL.search(korean) and not HANGUL.search(english)
        assert "{" not in english + korean


@pytest.mark.parametrize("name", CASES)
def test_read_again_it_says_the_same(name) -> None:
    verdict = CASES[name].verdict
    data = json.loads(json.dumps(verdict.to_dict()))
    for face in (COMMAND_LINE, PYTHON, REQUEST):
        for code in ("en", "ko"):
            again = [Sentence.from_dict(one).said(face, code) for one in data["sentences"]]
            assert again == verdict.said(face, code)
    assert data["level"] == verdict.level and data["text"] == " ".join(verdict.said())


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("near template", "trusted"),
        ("two domains", "trusted"),
        ("far template, doubtful", "doubtful"),
        ("far template, wrong", "untrusted"),
        ("sequence alone", "untrusted"),
        ("confident without templates", "plausible"),
        ("template of one's own", "plausible"),
        ("longer than tested", "plausible"),
        ("weights of one's own", "plausible"),
        ("esmfold, confident", "plausible"),
        ("esmfold, wrong", "untrusted"),
    ],
)
def test_levels(name, level) -> None:
    assert CASES[name].verdict.level == level


@pytest.mark.parametrize("name", CASES)
def test_a_share_is_only_told_of_what_was_counted(name) -> None:
    verdict = CASES[name].verdict
    told = re.search(r"of (\d+) test chains .*, (\d+) in 100", str(verdict))
    if told is None:
        assert " in 100" not in str(verdict)
        return
    of, share = map(int, told.groups())
    assert verdict.band is not None and verdict.band.of == of
    low, high = share_interval(verdict.band.right, of)
    assert low <= share / 100 + 0.01 and share / 100 <= high


@pytest.mark.parametrize(
    "name",
    ["template of one's own", "longer than tested", "weights of one's own", "esmfold, confident"],
)
def test_what_was_not_tested_has_no_share(name) -> None:
    verdict = CASES[name].verdict
    assert verdict.band is None and verdict.summary()["right"] is None
    assert verdict.level != "trusted"


def test_what_is_wrong_stays_wrong_whatever_else() -> None:
    long = result(700, plddt=35, ptm=0.2)
    own = result(plddt=30, ptm=0.2, templates=[{**FAR, "own": True}])
    for one in (long, own):
        assert one.verdict.level == "untrusted" and one.verdict.band is None
        assert "DO NOT TRUST" in sentence(one, "trust") and "in 100" not in sentence(one, "trust")


@pytest.mark.parametrize(
    ("residues", "plddt", "ptm", "level"),
    [
        (12, 85, 0.02, "plausible"),  # pTM of a peptide is always low
        (39, 60, 0.1, "doubtful"),
        (39, 40, 0.1, "untrusted"),
        (40, 85, 0.02, "untrusted"),
        (399, 90, 0.9, "trusted"),
        (400, 90, 0.9, "plausible"),
        (800, 60, 0.2, "untrusted"),
    ],
)
def test_length_beyond_what_was_tested(residues, plddt, ptm, level) -> None:
    one = result(residues, plddt=plddt, ptm=ptm, templates=[NEAR], searched="known-folds")
    assert one.verdict.level == level
    tested = TRUST.shortest <= residues <= TRUST.longest
    assert ("in 100" in sentence(one, "trust")) == tested


def test_places_have_the_users_numbers() -> None:
    one = CASES["template and loose ends"]
    assert sentence(one, "places") == "Not certain: residues 21–29, 81–87, 135–140."
    low = one.verdict.to_dict()["low_residues"]
    assert low[0] == {"chain_id": "A", "first": "21", "last": "29"}


def test_places_of_several_chains_name_the_chain() -> None:
    plddt = np.full(100, 90.0)
    plddt[45:56] = 20.0
    one = result(
        chains=[50, 50], plddt=plddt, ptm=None, provenance=made_with("flashabb", "sha256:3")
    )
    assert sentence(one, "places") == "Not certain: residues A 46–50, B 1–6."


def test_many_stretches_are_not_all_named() -> None:
    plddt = np.full(200, 90.0)
    for first in range(0, 200, 20):
        plddt[first : first + 5] = 20.0
    one = result(200, plddt=plddt, ptm=0.9, templates=[NEAR], searched="known-folds")
    assert sentence(one, "places").endswith("and 6 more stretches.")
    assert len(one.verdict.to_dict()["low_residues"]) == 10


def test_domains_that_stand_loosely() -> None:
    one = CASES["two domains"]
    assert "how residues 1–80 lie to residues 81–160 (expected error 18 Å)" in str(one.verdict)
    firm = result(160, plddt=84, ptm=0.8, pae=two_domains(160, apart=4.0), templates=[NEAR])
    assert sentence(firm, "places") == ""


def test_of_a_wrong_fold_no_place_is_told_apart() -> None:
    plddt = np.full(160, 30.0)
    plddt[:90] = 55.0
    one = result(160, plddt=plddt, ptm=0.1, pae=two_domains(160))
    assert one.verdict.level == "untrusted" and sentence(one, "places") == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no alignment and no template"),
        ({"searched": "known-folds"}, "no template was found in known-folds"),
        ({"templates": [NEAR]}, "template 1abc_A (62 % identical, 97 % covered)."),
        ({"templates": [NEAR, FAR, FAR]}, "and 2 more."),
        ({"alignment_rows": 12}, "an alignment of 12 sequences (12 effective)"),
        ({"alignment_rows": 1}, "no alignment and no template"),
    ],
)
def test_what_it_rests_on(given, said) -> None:
    assert said in sentence(result(**given), "basis")


def test_of_a_deep_alignment_some_rows_are_compared(monkeypatch) -> None:
    monkeypatch.setattr("itda.results.verdict.basis.MOST_ROWS_COMPARED", 10)
    assert "an alignment of 31 sequences (at least 8 effective)" in sentence(
        result(alignment_rows=31), "basis"
    )


WRONG = {"plddt": 35, "ptm": 0.2}


class TestNext:
    def test_what_is_trusted_needs_nothing(self) -> None:
        assert sentence(CASES["near template"], "next") == ""

    def test_templates_are_searched_where_there_is_a_database(self, monkeypatch) -> None:
        database(monkeypatch, pdb="structures")
        assert "`--templates pdb`" in sentence(result(**WRONG), "next")
        # What was done already is not proposed.
        assert "`--templates" not in sentence(result(**WRONG, searched="pdb"), "next")

    def test_own_template_is_not_asked_for_twice(self) -> None:
        assert "`--template FILE`" in sentence(result(**WRONG), "next")
        own = result(**WRONG, templates=[{**FAR, "own": True}])
        assert "--template " not in sentence(own, "next")

    @pytest.mark.parametrize(
        ("reason", "option"),
        [
            ("too much like the query", "--max-template-identity"),
            ("released after 2018-01-01", "--max-template-date"),
            ("of unknown release date", "--max-template-date"),
        ],
    )
    def test_a_limit_that_refused_is_named(self, reason, option) -> None:
        told = sentence(result(**WRONG, searched="pdb", refused=reason), "next")
        assert f"`{option}`" in told and told.count("--max-") == 1

    def test_a_hit_that_is_too_short_is_no_limit_of_the_users(self) -> None:
        told = result(**WRONG, searched="pdb", refused="on 10% of the query or less")
        assert "--max-" not in sentence(told, "next")
        assert "was not fit to be a template" in sentence(told, "basis")

    def test_alignment_of_a_database_that_is_here(self, monkeypatch) -> None:
        monkeypatch.setenv("ITDA_OFFLINE", "1")
        database(monkeypatch, mine="sequences")
        assert "`--msa mmseqs` `--db mine`" in sentence(result(**WRONG), "next")
        assert "--msa" not in sentence(result(**WRONG, alignment_rows=80), "next")
        assert "deeper" in sentence(result(**WRONG, alignment_rows=5), "next")

    def test_nothing_is_fetched_offline(self, monkeypatch) -> None:
        monkeypatch.setenv("ITDA_OFFLINE", "1")
        told = sentence(result(**WRONG), "next")
        assert "weights pull" not in told and "db get" not in told and "`--msa FILE`" in told

    def test_a_database_can_be_fetched(self, monkeypatch) -> None:
        monkeypatch.setattr("itda.results.verdict.remedies._memory_bytes", lambda: 2**30)
        assert "`itda db get uniref50`, then `--msa mmseqs`" in sentence(result(**WRONG), "next")

    def test_family_that_would_refuse_is_not_named(self) -> None:
        assert "esmfold" in sentence(result(**WRONG), "next")
        assert "esmfold" not in sentence(result(4000, **WRONG), "next")
        # No antibody.
        assert "flashabb" not in sentence(result(**WRONG), "next")

    def test_family_that_does_not_fit_is_not_named(self, monkeypatch) -> None:
        monkeypatch.setattr("itda.results.verdict.remedies._memory_bytes", lambda: 2**31)
        assert "esmfold" not in sentence(result(**WRONG), "next")

    def test_page_is_told_no_commands(self) -> None:
        for one in CASES.values():
            for code in ("en", "ko"):
                told = " ".join(one.verdict.said(REQUEST, code))
                assert "`itda" not in told and "FILE" not in told and "--" not in told

    def test_nothing_left(self, monkeypatch) -> None:
        monkeypatch.setenv("ITDA_OFFLINE", "1")
        monkeypatch.setattr("itda.results.verdict.remedies._memory_bytes", lambda: 2**30)
        one = result(
            **WRONG, alignment_rows=60, templates=[{**FAR, "own": True}], searched="known-folds"
        )
        assert sentence(one, "next") == "Nothing else that this machine has is known to help."


def test_printed_it_speaks_of_arguments_in_the_users_language(monkeypatch) -> None:
    verdict = result(**WRONG).verdict
    monkeypatch.setenv("ITDA_LANG", "en")
    assert 'template="FILE"' in str(verdict) and "--template" not in str(verdict)
    monkeypatch.setenv("ITDA_LANG", "ko")
    assert "근거: 서열뿐입니다." in str(verdict)


def test_side_chains_differ_by_family() -> None:
    assert "not reliable" in side_chains("mini") and "not measured" in side_chains("esmfold")
    share = 100 * TRUST.side_chains.true // TRUST.side_chains.of
    assert f"{share} in 100" in side_chains("mini")
    assert "not measured" in side_chains("of-the-users-own")
