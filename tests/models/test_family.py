from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from itda.confidence.ranking import MEAN_PLDDT, RankingRule
from itda.errors import CapabilityError
from itda.job.model import Job
from itda.models.demand import Demand, Load
from itda.models.family import Capabilities, Family
from itda.models.refusals import refuse_unsupported

NARROW = Capabilities(
    molecules=frozenset({"protein"}),
    max_chains=1,
    min_length=5,
    max_tokens=40,
    inputs=frozenset({"msa", "profile"}),
    outputs=frozenset({"plddt"}),
    modifications=False,
    bonds=False,
    constraints=False,
)
WIDE = Capabilities(
    molecules=frozenset({"protein", "dna", "rna", "ligand", "ion"}),
    max_chains=None,
    min_length=1,
    max_tokens=100,
    inputs=frozenset({"msa", "paired_msa", "rna_msa", "profile", "template", "components"}),
    outputs=frozenset({"plddt", "pae"}),
    modifications=True,
    bonds=True,
    constraints=True,
)


@dataclass(frozen=True)
class FakeFamily:
    capabilities: Capabilities
    name: str = "narrow"
    title: str = "A family for tests"
    licence: str = "CC0-1.0"
    citation: str = "none"
    weight_set: str = "narrow_v1"
    parameters: None = None
    ranking: RankingRule = MEAN_PLDDT
    converter: None = None

    def check(self, job: Job) -> None:
        refuse_unsupported(job, self)

    def demand(self, load: Load) -> Demand:
        return Demand(weights_bytes=0, live_bytes=load.longest, work={})

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> Any:
        return SimpleNamespace(weights_digest="", device=device)


PROTEIN = {"id": "A", "sequence": "MKTAYIAKQR"}
EVERYTHING: dict[str, Any] = {
    "version": 1,
    "name": "everything",
    "entities": [
        {"protein": {
            **PROTEIN, "id": ["A", "B"], "modifications": [{"position_1based": 3, "ccd": "TPO"}],
            "msa": "a", "paired_msa": "b", "profile": "c", "templates": [{"path": "t"}],
        }},
        {"dna": {"id": "D", "sequence": "ACGT"}},
        {"rna": {"id": "R", "sequence": "ACGU", "msa": "r"}},
        {"ligand": {"id": "L", "ccd": "ATP"}},
        {"ion": {"id": "M", "ccd": "MG"}},
    ],
    "bonds": [[["A", 1, "N"], ["L", 1, "PG"]]],
    "constraints": [{"contact": {"between": [["A", 1], ["D", 1]]}}],
    "components": "own.cif",
}  # fmt: skip


def _job(*entities: dict[str, Any], **fields: Any) -> Job:
    base = {"version": 1, "name": "example", "entities": list(entities) or [{"protein": PROTEIN}]}
    return Job.from_dict({**base, **fields})


def _refusal(job: Job, capabilities: Capabilities) -> CapabilityError:
    with pytest.raises(CapabilityError) as caught:
        FakeFamily(capabilities).check(job)
    assert caught.value.problem.startswith(f"job '{job.name}' cannot be folded by narrow:")
    return caught.value


def test_a_family_that_can_do_all_takes_all() -> None:
    refuse_unsupported(Job.from_dict(EVERYTHING), FakeFamily(WIDE))
    refuse_unsupported(_job(), FakeFamily(NARROW))


@pytest.mark.parametrize(
    ("job", "field", "rule", "remedy"),
    [
        (_job({"dna": {"id": "D", "sequence": "ACGTACGT"}}), "entity 1 (dna D)",
         "narrow folds protein only", "without dna"),
        (_job({"protein": {**PROTEIN, "id": ["A", "B"]}}), "entities",
         "one chain at a time, and this has 2 (A, B)", "each chain as a job of its own"),
        (_job({"protein": {"sequence": "M"}}), "chain A, sequence",
         "chains of 5 residues or more, and this has 1", "at least 5 residues"),
        (_job({"protein": {"sequence": "MKTLV" * 1000}}), "chain A, sequence",
         "up to 40 residues, and this has 5000", "at most 40 residues"),
        (_job({"protein": {**PROTEIN, "modifications": [{"position_1based": 3, "ccd": "TPO"}]}}),
         "entity 1 (protein A), modifications", "not TPO at position 3", "remove `modifications`"),
        (_job({"protein": {**PROTEIN, "templates": [{"path": "t.cif"}]}}),
         "entity 1 (protein), template 1, path", "takes no template; it takes msa, profile",
         "remove `template`"),
        (_job({"protein": {**PROTEIN, "paired_msa": "p.a3m"}}), "entity 1 (protein), paired_msa",
         "takes no paired_msa", "remove `paired_msa`"),
        (_job(components="own.cif"), "components", "takes no components", "remove `components`"),
        (_job(bonds=[[["A", 1, "N"], ["A", 10, "C"]]]), "bonds",
         "takes no covalent bonds (1 given)", "remove `bonds`"),
        (_job(constraints=[{"contact": {"between": [["A", 1], ["A", 9]]}}]), "constraints",
         "takes no distance constraints (1 given)", "remove `constraints`"),
    ],
)  # fmt: skip
def test_each_thing_a_family_cannot_do_is_refused_by_name(
    job: Job, field: str, rule: str, remedy: str
) -> None:
    error = _refusal(job, NARROW)
    assert f"cannot be folded by narrow: {field}: " in error.problem
    assert rule in error.problem
    assert remedy in error.hint


def test_everything_that_is_refused_is_named_at_once() -> None:
    error = _refusal(Job.from_dict(EVERYTHING), NARROW)
    for said in (
        "entity 2 (dna D)", "entity 3 (rna R)", "entity 4 (ligand L)", "entity 5 (ion M)",
        "entity 1 (protein A, B), modifications", "one chain at a time", "paired_msa",
        "template", "components", "covalent bonds", "distance constraints",
    ):  # fmt: skip
        assert said in error.problem


def _sorted(value: object) -> object:
    return ",".join(sorted(value)) if isinstance(value, frozenset) else value


@pytest.mark.parametrize(
    "change",
    [
        {"molecules": WIDE.molecules - {"ion"}}, {"max_chains": 5}, {"min_length": 5},
        {"max_tokens": 27}, {"inputs": WIDE.inputs - {"msa"}},
        {"inputs": WIDE.inputs - {"paired_msa"}}, {"inputs": WIDE.inputs - {"profile"}},
        {"inputs": WIDE.inputs - {"template"}}, {"inputs": WIDE.inputs - {"components"}},
        {"modifications": False}, {"bonds": False}, {"constraints": False},
    ],
    # A set is written in another order by each process, and a test has one name in all of them.
    ids=lambda change: " ".join(f"{name}={_sorted(value)}" for name, value in change.items()),
)  # fmt: skip
def test_every_capability_is_enforced(change: dict[str, Any]) -> None:
    capabilities = replace(WIDE, **change)
    assert set(change) <= {field.name for field in dataclasses.fields(Capabilities)}
    _refusal(Job.from_dict(EVERYTHING), capabilities)


def test_limits_are_inclusive() -> None:
    for length in (5, 40):
        refuse_unsupported(_job({"protein": {"sequence": "M" * length}}), FakeFamily(NARROW))
    for length in (4, 41):
        _refusal(_job({"protein": {"sequence": "M" * length}}), NARROW)


def test_length_counts_all_copies() -> None:
    job = _job({"protein": {"id": ["A", "B"], "sequence": "M" * 30}})
    refuse_unsupported(job, FakeFamily(replace(WIDE, max_tokens=60)))
    assert "this has 60" in _refusal(job, replace(WIDE, max_tokens=59)).problem


def test_a_family_that_takes_sequences_only_says_so() -> None:
    capabilities = replace(NARROW, inputs=frozenset())
    error = _refusal(_job({"protein": {**PROTEIN, "msa": "a"}}), capabilities)
    assert "it takes sequences only" in error.problem


def test_capabilities_are_told_as_json() -> None:
    told = json.loads(json.dumps(NARROW.to_dict()))
    assert told["molecules"] == ["protein"]
    assert told["inputs"] == ["msa", "profile"]
    assert set(told) == {field.name for field in dataclasses.fields(Capabilities)}


def test_the_protocol_names_what_a_family_needs() -> None:
    assert isinstance(FakeFamily(NARROW), Family)
    assert not isinstance(SimpleNamespace(name="x"), Family)
