"""What is left of a chain's evidence when one candidate set of templates is chosen."""

from dataclasses import replace

import numpy as np
import pytest

from itda.search.evidence import ChainEvidence, Evidence, templates_provenance
from itda.search.templates.selection import CANDIDATE, ENOUGH, FoundHit
from itda.search.templates.template import Template

SETS = ((0, 1), (2,), ())


def template(name: str) -> Template:
    index = np.arange(3, dtype=np.int32)
    atoms, mask = np.zeros((3, 37, 3), np.float32), np.ones((3, 37), bool)
    return Template(name, "AAA", atoms, mask, index, index, identity=0.5)


def hit(name: str, *, used: bool = True, reason: str = "") -> FoundHit:
    return FoundHit(name, 1e-3, 0.5, 1.0, 3, "", used=used, reason=reason)


@pytest.fixture
def chain() -> ChainEvidence:
    templates = tuple(map(template, "abc"))
    refused = hit("x", used=False, reason="excluded by name")
    return ChainEvidence(
        templates=templates,
        hits=(hit("a"), refused, hit("b"), hit("c")),
        provenance={"template_source": "made", **templates_provenance(templates)},
        template_sets=SETS,
    )


@pytest.mark.parametrize(("number", "names"), [(0, "ab"), (1, "c"), (2, "")])
def test_a_set_has_its_templates_alone(chain: ChainEvidence, number: int, names: str) -> None:
    chosen = chain.with_set(number)
    assert "".join(one.name for one in chosen.templates) == names
    assert chosen.provenance["templates"] == ", ".join(names)
    assert (
        chosen.provenance["templates_digest"]
        == (templates_provenance(chosen.templates)["templates_digest"])
    )
    assert chosen.provenance["template_source"] == "made"
    assert [one.name for one in chosen.hits if one.used] == list(names)
    assert [one.name for one in chosen.hits] == ["a", "x", "b", "c"]


def test_hits_say_why_they_are_no_templates(chain: ChainEvidence) -> None:
    reasons = [[one.reason for one in chain.with_set(number).hits] for number in (0, 1)]
    assert reasons == [
        ["", "excluded by name", "", ENOUGH],
        [CANDIDATE, "excluded by name", CANDIDATE, ""],
    ]


def test_a_chain_without_sets_stays_as_it_is(chain: ChainEvidence) -> None:
    plain = replace(chain, template_sets=())
    assert plain.with_set(3) is plain


def test_chains_that_are_one_stay_one(chain: ChainEvidence) -> None:
    plain = replace(chain, template_sets=())
    whole = Evidence({"A": chain, "B": chain, "C": plain})
    assert whole.sets == 3
    chosen = whole.with_set(1)
    assert chosen.chains["A"] is chosen.chains["B"]
    assert chosen.chains["C"] is plain
    assert Evidence({"C": plain}).sets == Evidence().sets == 1
