"""A refusal names what cannot be done and which family can, without loading anything."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from test_family import EVERYTHING, NARROW, PROTEIN, WIDE, FakeFamily

from itda.errors import CapabilityError, InputError
from itda.job.model import Job
from itda.models import registry
from itda.models.refusals import or_choose

LONG = {"protein": {"id": "A", "sequence": "M" * 60}}


def _install(monkeypatch: pytest.MonkeyPatch, *families: FakeFamily) -> None:
    by_name = {family.name: family for family in families}
    monkeypatch.setattr(registry, "FAMILIES", dict.fromkeys(by_name, ""))
    monkeypatch.setattr(registry, "get_family", by_name.__getitem__)


def _job(*entities: dict[str, Any], **fields: Any) -> Job:
    return Job.from_dict({"version": 1, "name": "example", "entities": list(entities), **fields})


def _hint(job: Job, family: FakeFamily) -> str:
    with pytest.raises(CapabilityError) as caught:
        family.check(job)
    assert caught.value.hint is not None
    return caught.value.hint


def test_the_family_that_folds_the_job_as_it_is_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = FakeFamily(NARROW), FakeFamily(WIDE, name="wide")
    _install(monkeypatch, narrow, wide)
    for entity in ({"dna": {"id": "D", "sequence": "ACGT"}}, LONG):
        assert _hint(_job(entity), narrow).endswith(", or fold it as it is with `--model wide`")
    assert "--model wide" in _hint(Job.from_dict(EVERYTHING), narrow)


def test_several_that_can_are_all_named_and_the_refusing_one_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = FakeFamily(NARROW)
    others = [FakeFamily(WIDE, name=name) for name in ("one", "two", "three")]
    _install(monkeypatch, narrow, *others)
    assert _hint(_job(LONG), narrow).endswith(
        "with `--model one`, `--model two` or `--model three`"
    )
    assert "narrow" not in _hint(_job(LONG), narrow)


def test_a_family_that_refuses_for_another_reason_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = FakeFamily(NARROW)
    no_rna = FakeFamily(replace(WIDE, molecules=frozenset({"protein"})), name="other")
    _install(monkeypatch, narrow, no_rna)
    hint = _hint(_job({"rna": {"id": "R", "sequence": "ACGUAC"}}), narrow)
    assert "--model" not in hint
    assert "no family of this release folds RNA" in hint


def test_a_limit_of_its_own_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fussy(FakeFamily):
        def check(self, job: Job) -> None:
            raise InputError("no antibody")

    narrow = FakeFamily(NARROW)
    _install(monkeypatch, narrow, Fussy(WIDE, name="fussy"))
    assert "--model fussy" not in _hint(_job(LONG), narrow)


def test_what_no_family_does_at_once_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bonds = FakeFamily(replace(NARROW, bonds=True))
    long = FakeFamily(replace(NARROW, max_tokens=100), name="long")
    _install(monkeypatch, with_bonds, long)
    job = _job(LONG, bonds=[[["A", 1, "N"], ["A", 10, "C"]]])
    assert "no family of this release does all of this" in _hint(job, with_bonds)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            _job({"protein": {"id": "A", "sequence": "M" * 30_000}}),
            "folds more than 100 residues, which is the limit of wide",
        ),
        (_job({"protein": {"id": "A", "sequence": "M"}}), "folds chains of less than 2 residues"),
        (
            _job({"protein": {**PROTEIN, "id": ["A", "B", "C"]}}),
            "folds more than 2 chains at a time",
        ),
        (_job({"protein": PROTEIN}, components="own.cif"), "takes components"),
        (
            _job(
                {"protein": PROTEIN}, constraints=[{"contact": {"between": [["A", 1], ["A", 9]]}}]
            ),
            "takes distance constraints",
        ),
        (_job({"ligand": {"id": "L", "ccd": "ATP"}}), "folds ligands"),
    ],
)
def test_the_furthest_limit_of_all_is_told_with_its_family(
    monkeypatch: pytest.MonkeyPatch, job: Job, said: str
) -> None:
    wide = replace(NARROW, min_length=2, max_tokens=100, max_chains=2)
    narrow = FakeFamily(NARROW)
    _install(monkeypatch, narrow, FakeFamily(wide, name="wide"))
    assert f"no family of this release {said}" in _hint(job, narrow)


@pytest.mark.parametrize(
    ("change", "job", "said"),
    [
        ({"max_chain_length": 20}, _job(LONG), "chains of up to 20 residues, and this has 60"),
        ({"min_chains": 2}, _job({"protein": PROTEIN}), "2 chains together, and this has 1 (A)"),
        ({"samples": False}, _job({"protein": PROTEIN}, samples=4), "samples: narrow gives one"),
        ({"samples": False}, _job({"protein": PROTEIN}, seeds=[1, 2]), "seeds: narrow gives one"),
    ],
)
def test_declared_limits_are_enforced(change: dict[str, Any], job: Job, said: str) -> None:
    able = replace(WIDE, max_tokens=100)
    FakeFamily(able).check(job)
    with pytest.raises(CapabilityError) as caught:
        FakeFamily(replace(able, **change)).check(job)
    assert said in caught.value.problem


def test_one_seed_of_any_number_is_no_second_structure() -> None:
    FakeFamily(replace(WIDE, samples=False)).check(_job({"protein": PROTEIN}, seeds=[7]))


def test_or_choose_names_who_declares_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, FakeFamily(NARROW), FakeFamily(WIDE, name="wide"))
    assert or_choose(lambda can: can.bonds) == ", or choose `--model wide`, which can"
    assert or_choose(lambda can: can.max_chains == 7) == ""


def test_the_families_of_this_release_help_each_other() -> None:
    def refused(name: str, *entities: dict[str, Any], **fields: Any) -> str:
        with pytest.raises(CapabilityError) as caught:
            registry.get_family(name).check(_job(*entities, **fields))
        assert caught.value.hint is not None
        return f"{caught.value.problem}\n{caught.value.hint}"

    chain = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ" * 3
    rna = refused("esmfold", {"rna": {"id": "R", "sequence": "ACGUACGU"}})
    assert "esmfold folds protein only" in rna and "no family of this release folds RNA" in rna
    three = refused("flashabb", {"protein": {"id": ["A", "B", "C"], "sequence": chain}})
    assert "flashabb folds 2 chains at a time" in three and "`--model esmfold`" in three
    for name in ("mini", "esmfold"):
        endless = refused(name, {"protein": {"id": "A", "sequence": "M" * 30_000}})
        assert "which is the limit of esmfold" in endless and "--model" not in endless
    for name in ("flashabb", "esmfold"):
        capabilities = registry.get_family(name).capabilities
        assert not capabilities.samples
    four = refused("esmfold", {"protein": {"id": "A", "sequence": chain}}, samples=4)
    assert "samples: esmfold gives one structure" in four and "`--model mini`" in four


def test_a_refusal_loads_neither_weights_nor_pytorch() -> None:
    code = (
        "import sys\nfrom itda.job.model import Job\nfrom itda.models.registry import get_family\n"
        "from itda.errors import CapabilityError\n"
        "job = Job.from_sequence('x', 'M' * 30_000)\n"
        "try:\n    get_family('esmfold').check(job)\n"
        "except CapabilityError as error:\n    print('limit of esmfold' in error.hint)\n"
        "print([n for n in ('torch', 'biotite', 'safetensors') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["True", "[]"]
