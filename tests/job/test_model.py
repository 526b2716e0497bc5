from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itda.errors import InputError
from itda.job.model import MAXIMUM_SEED, Job

JobDict = Callable[..., dict[str, Any]]


def _nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return {"x": value}


def _random_job(random_state: random.Random) -> dict[str, Any]:
    """A valid job as a file holds it, of any shape that the language has."""
    choose, chance = random_state.choice, random_state.random
    entities: list[dict[str, Any]] = []
    lengths: dict[str, int] = {}
    for number in range(random_state.randint(1, 6)):
        kind = choose(["protein", "dna", "rna", "ligand", "ion"])
        ids = [f"{choose('ABxy')}{number}{copy_}" for copy_ in range(random_state.randint(1, 3))]
        body: dict[str, Any] = {"id": ids[0] if len(ids) == 1 else ids}
        if kind in ("protein", "dna", "rna"):
            letters = {"protein": "ARNDCQEGHILKMFPSTWYVX", "dna": "ACGTN", "rna": "ACGUN"}[kind]
            length = random_state.randint(1, 30)
            body["sequence"] = "".join(random_state.choices(letters, k=length))
            lengths |= dict.fromkeys(ids, length)
            if chance() < 0.5:
                positions = random_state.sample(range(1, length + 1), min(length, 3))
                body["modifications"] = [{"position_1based": p, "ccd": "SEP"} for p in positions]
            if chance() < 0.5:
                body["numbering"] = choose([-5, 100, [f"{n}A" for n in range(length)]])
        if kind in ("protein", "rna") and chance() < 0.5:
            body["msa"] = "a/b.a3m"
        if kind == "protein" and chance() < 0.5:
            body["paired_msa"], body["profile"] = "p.a3m", "p.npz"
            body["templates"] = [{"path": "t.cif", "chain": "A"}]
        if kind == "ligand":
            body |= choose([{"ccd": "ATP"}, {"ccd": ["NAG", "NAG"]}, {"smiles": "CC(=O)O"}])
        if kind == "ion":
            body["ccd"] = choose(["MG", "ZN"])
        entities.append({kind: body})
    job: dict[str, Any] = {
        "version": 1,
        "name": f"job {random_state.random()}",
        "entities": entities,
    }
    if len(lengths) > 1:
        one, other = random_state.sample(sorted(lengths), 2)
        job["bonds"] = [[[one, 1, "SG"], [other, lengths[other], "SG"]]]
        between = [[one, lengths[one]], [other, 1]]
        job["constraints"] = [
            {"contact": {"between": between, "max_distance_angstrom": 5.5}},
            {"distance": {"between": between, "max_distance_angstrom": 20.0}},
            {"pocket": {"binder": one, "contacts": [[other, 1]]}},
        ]
    if chance() < 0.5:
        job["seeds"] = random_state.sample(range(MAXIMUM_SEED), 3)
        job["samples"] = random_state.randint(1, 9)
        job["metadata"] = {"note": "x", "nested": {"list": [1, 2.5, None, True]}}
        job["components"] = "own.cif"
    return job


@pytest.mark.parametrize("seed", range(50))
def test_a_job_of_any_shape_round_trips(seed: int) -> None:
    data = _random_job(random.Random(seed))
    job = Job.from_dict(copy.deepcopy(data))
    written = job.to_dict()
    assert Job.from_dict(json.loads(json.dumps(written))) == job
    assert Job.from_dict(written).to_dict() == written
    assert pickle.loads(pickle.dumps(job)) == job
    assert hash(Job.from_dict(written)) == hash(job)
    for key in ("entities", "bonds", "constraints", "seeds", "metadata"):
        if key in data:
            assert written[key] == data[key]


def test_from_dict_does_not_change_what_it_reads(job_dict: JobDict) -> None:
    data = job_dict()
    before = copy.deepcopy(data)
    Job.from_dict(data)
    assert data == before


def test_jobs_are_frozen(job_dict: JobDict) -> None:
    job = Job.from_dict(job_dict())
    with pytest.raises(ValueError, match="frozen"):
        job.name = "other"


def test_chains_without_an_id_get_the_free_ones(job_dict: JobDict) -> None:
    bodies = [{}, {"id": "A"}, {"id": ["C", "z"]}, {}, {}]
    job = Job.from_dict(job_dict(*({"protein": {"sequence": "MK", **body}} for body in bodies)))
    assert job.chain_ids == ("B", "A", "C", "z", "D", "E")
    assert [chain for chain, _ in job.chains] == list(job.chain_ids)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " x"}, "name: ' x' begins or ends with a space"),
        ({"name": None}, "name: must be text"),
        ({"name": True}, "name: must be text, not true"),
        ({"name": 1.5}, "put it in quotes"),
        ({"entities": []}, "entities: must have at least 1"),
        ({"entities": {}}, "entities: must be a list"),
        ({"entities": [{"protien": {}}]}, "did you mean `protein`"),
        ({"entities": [{"protein": {"sequencex": "M"}}]}, "did you mean `sequence`"),
        ({"entities": [{"protein": None}]}, "protein must have fields"),
        ({"entities": ["protein"]}, "must be one of protein, dna, rna, ligand, ion"),
        ({"entities": [{"ligand": {"ccdCodes": ["ATP"]}}]}, "write `ccd: [ATP]`"),
        ({"entities": [{"protein": {"sequence": "M", "count": 2}}]}, "`id: [A, B]`"),
        ({"entities": [{"protein": {"sequence": "M", "cyclic": True}}]}, "close the ring"),
        ({"entities": [{"ion": {"ccd": "MG", "id": "A"}}] * 2}, "chain id 'A' stands twice"),
        ({"seeds": []}, "seeds: must have at least 1"),
        ({"seeds": 5}, "seeds: must be a list"),
        ({"seeds": [1, 1]}, "seed 1 stands twice"),
        ({"seeds": [-1]}, "seed 1: must be greater than or equal to 0"),
        ({"seeds": [2**32]}, "seed 1: must be less than or equal to 4294967295"),
        ({"seeds": [1.0]}, "seed 1: must be a whole number"),
        ({"samples": 0}, "samples: must be greater than or equal to 1"),
        ({"samples": True}, "samples: must be a whole number"),
        ({"modelSeeds": [1]}, "write `seeds: [1, 2]`"),
        ({"samplesx": 1}, "did you mean `samples`"),
        ({"zzzzz": 1}, "known keys: bonds, components, constraints"),
        ({5: 1}, "key 5 is not known"),
        ({"version": 2}, "a newer Itda is needed"),
        ({"version": "1"}, "write `version: 1`"),
        ({"version": True}, "write `version: 1`"),
        ({"dialect": "alphafold3"}, "'alphafold3'"),
        ({"metadata": {"x": {1, 2}}}, "metadata"),
        ({"metadata": _nested(300)}, "metadata, x, list, item 1, list, item 1, …"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_what_would_work(
    job_dict: JobDict, change: dict[Any, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        Job.from_dict({**job_dict(), **change})
    assert said in str(caught.value)
    if "name" not in change:
        assert caught.value.problem.startswith("job 'example': ")


def test_all_wrong_fields_are_named_at_once(job_dict: JobDict) -> None:
    wrong = job_dict(
        {"protein": {"sequence": "MKT", "numbering": "x"}}, {"ion": {"ccd": "Mg"}}, seeds=5
    )
    with pytest.raises(InputError) as caught:
        Job.from_dict(wrong)
    assert "3 fields are wrong" in caught.value.problem
    assert "entity 1 (protein), numbering" in caught.value.problem
    assert "entity 2 (ion), ccd" in caught.value.problem
    assert "write MG" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "a job must have fields"),
        (None, "a job must have fields"),
        ("x", "a job must have fields"),
        ({"name": "x", "entities": []}, "version is missing"),
        ({"version": 1}, "name: is missing"),
        ({"version": 1, "sequences": [{"protein": {}}]}, "Boltz YAML"),
        ({"name": "x", "modelSeeds": [1], "dialect": "alphafold3", "version": 4}, "'alphafold3'"),
        ({"queries": {}}, "OpenFold 3 JSON"),
    ],
)
def test_what_is_no_itda_job_is_told_so(data: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Job.from_dict(data)


def test_relative_paths_start_at_the_folder_and_absolute_ones_stay(
    job_dict: JobDict, tmp_path: Path
) -> None:
    protein = {
        "sequence": "MK",
        "msa": "a/x.a3m",
        "profile": "/p.npz",
        "templates": [{"path": "t"}],
    }
    data = job_dict({"protein": protein}, components="own.cif")
    assert dict(Job.from_dict(data).files())["components"] == Path("own.cif")
    assert dict(Job.from_dict(data, folder=tmp_path).files()) == {
        "entity 1 (protein), msa": tmp_path / "a/x.a3m",
        "entity 1 (protein), profile": Path("/p.npz"),
        "entity 1 (protein), template 1, path": tmp_path / "t",
        "components": tmp_path / "own.cif",
    }


def test_from_sequence_says_what_it_changes() -> None:
    with pytest.warns(UserWarning, match="job 'x': chain 1: lower case read as upper case"):
        job = Job.from_sequence("x", "mk:AC")
    assert [(chain, e.sequence) for chain, e in job.chains] == [("A", "MK"), ("B", "AC")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Job.from_sequence("x", "MK")


@pytest.mark.parametrize(
    ("name", "sequence", "said"),
    [
        (" a", "MK", "begins or ends with a space"),
        ("x", "MB", "position 2"),
        ("x", "ACGTACGTACGT", "looks like DNA"),
    ],
)
def test_from_sequence_refuses_by_name(name: str, sequence: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Job.from_sequence(name, sequence)
    assert caught.value.problem.startswith(f"job '{name}': ")


def test_digest_is_stable_across_processes_and_versions(job_dict: JobDict) -> None:
    # Changing this number makes every stored result unfindable; do so only with `version`.
    assert Job.from_dict(job_dict()).digest() == (
        "d6ad07ee220d56fc48a5fa1e17ae56199d36b46a61966b0253715bbb99a3ec71"
    )


def test_digest_depends_on_all_that_results_depend_on_and_on_nothing_else(
    job_dict: JobDict,
) -> None:
    base = Job.from_dict(job_dict())
    assert base.replace(name="other", metadata={"a": 1}).digest() == base.digest()
    assert Job.from_dict(job_dict(seeds=[0], samples=1, bonds=[])).digest() == base.digest()
    changed = [
        base.replace(seeds=(1,)),
        base.replace(samples=2),
        Job.from_dict(job_dict({"protein": {"sequence": "MKTA"}})),
        Job.from_dict(job_dict({"protein": {"sequence": "MKTC", "id": "B"}})),
        Job.from_dict(job_dict({"protein": {"sequence": "MKTC", "numbering": 2}})),
        Job.from_dict(job_dict({"protein": {"sequence": "MKTC", "id": ["A", "B"]}})),
        Job.from_dict(job_dict(bonds=[[["A", 1, "N"], ["A", 4, "C"]]])),
    ]
    digests = {job.digest() for job in changed}
    assert len(digests | {base.digest()}) == len(changed) + 1


def test_files_enter_the_digest_by_content(job_dict: JobDict, tmp_path: Path) -> None:
    def digest(name: str, content: str) -> str:
        (tmp_path / name).write_text(content)
        protein = {"sequence": "MK", "msa": str(tmp_path / name)}
        return Job.from_dict(job_dict({"protein": protein})).digest()

    first = digest("one.a3m", ">q\nMK\n")
    assert digest("two.a3m", ">q\nMK\n") == first
    assert digest("one.a3m", ">q\nMR\n") != first
    with pytest.raises(InputError, match=r"entity 1 \(protein\), msa: cannot read"):
        Job.from_dict(job_dict({"protein": {"sequence": "MK", "msa": "/nowhere"}})).digest()


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, itda.job.read, itda.job.schema\n"
        "print([m for m in ('biotite', 'numpy', 'torch', 'rdkit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
