from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from itda.errors import InputError
from itda.job.model import Job
from itda.job.relations import Contact, Distance, Pocket

PHOSPHOSERINE = {"position_1based": 4, "ccd": "SEP"}
ENTITIES = (
    {"protein": {"id": "A", "sequence": "MKTS", "modifications": [PHOSPHOSERINE]}},
    {"protein": {"id": ["B", "C"], "sequence": "AC"}},
    {"ligand": {"id": "L", "ccd": ["NAG", "NAG"]}},
    {"ligand": {"id": "S", "smiles": "CCO"}},
    {"ion": {"id": "M", "ccd": "MG"}},
)  # fmt: skip

JobDict = Callable[..., dict[str, Any]]


@pytest.fixture
def make(job_dict: JobDict) -> Callable[..., Job]:
    return lambda **fields: Job.from_dict(job_dict(*ENTITIES, **fields))


def test_relations_round_trip(make: Callable[..., Job]) -> None:
    bonds = [[["B", 2, "SG"], ["C", 2, "SG"]], [["L", 1, "O4"], ["L", 2, "C1"]]]
    constraints = [
        {"contact": {"between": [["A", 1], ["L", 2, "C7"]]}},
        {"contact": {"between": [["A", 4, "P"], ["M", 1]], "max_distance_angstrom": 4.5}},
        {"pocket": {"binder": "S", "contacts": [["A", 1], ["B", 1]]}},
        {"distance": {"between": [["A", 2], ["A", 3]], "max_distance_angstrom": 30.0}},
    ]
    job = make(bonds=bonds, constraints=constraints)
    assert [type(c) for c in job.constraints] == [Contact, Contact, Pocket, Distance]
    assert job.bonds[0][0].atom == "SG"
    assert job.constraints[0].tokens[1].atom == "C7"
    assert job.to_dict()["bonds"] == bonds
    assert job.to_dict()["constraints"] == constraints


@pytest.mark.parametrize(
    ("bond", "said"),
    [
        ([["A", 1, "CA"], ["Z", 1, "CA"]], "bond 1, atom Z 1 CA: there is no chain 'Z'"),
        ([["A", 5, "CA"], ["B", 1, "CA"]], "chain A has 4 residues"),
        ([["L", 3, "C1"], ["B", 1, "CA"]], "chain L has 2 residues"),
        ([["M", 2, "MG"], ["B", 1, "CA"]], "chain M has 1 residue"),
        ([["A", 0, "CA"], ["B", 1, "CA"]], "greater than or equal to 1"),
        ([["S", 1, "C1"], ["B", 1, "CA"]], "given as SMILES"),
        ([["A", 1, "CA"], ["A", 1, "CA"]], "binds A 1 CA to itself"),
        ([["A", 1], ["B", 1, "CA"]], "must be [chain, position, atom]"),
        ([["A", "1", "CA"], ["B", 1, "CA"]], "must be a whole number"),
        ([["A", 1, "C A"], ["B", 1, "CA"]], "must be an atom name"),
        ([["A", 1, "CA"]], "must be a pair"),
        ({"atom1": 1}, "must be a pair"),
    ],
)
def test_wrong_bonds_are_named(make: Callable[..., Job], bond: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        make(bonds=[bond])
    assert said in str(caught.value)
    assert "bond 1" in str(caught.value)


def test_a_bond_stands_once_in_either_direction(make: Callable[..., Job]) -> None:
    one, other = ["B", 2, "SG"], ["C", 2, "SG"]
    with pytest.raises(InputError, match="bond 2 stands twice"):
        make(bonds=[[one, other], [other, one]])


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ({"contact": {"between": [["A", 1], ["A", 1]]}}, "names the token A 1 twice"),
        ({"contact": {"between": [["A", 1], ["Q", 1]]}}, "there is no chain 'Q'"),
        ({"contact": {"between": [["A", 9], ["B", 1]]}}, "chain A has 4 residues"),
        ({"contact": {"between": [["A", 1, "CA"], ["B", 1]]}}, "a standard residue is one token"),
        ({"contact": {"between": [["L", 1], ["B", 1]]}}, "in a ligand each atom is a token"),
        ({"contact": {"between": [["S", 1, "C1"], ["B", 1]]}}, "given as SMILES"),
        ({"contact": {"between": [["A"], ["B", 1]]}}, "must be [chain, position]"),
        ({"contact": {"between": [["A", 1], ["B", 1]], "max_distance_angstrom": 0}}, "than 0"),
        ({"contact": {"between": [["A", 1], ["B", 1]], "max_distance_angstrom": "6"}}, "a number"),
        ({"distance": {"between": [["A", 1], ["B", 1]]}}, "max_distance_angstrom: is missing"),
        ({"pocket": {"binder": "Q", "contacts": [["A", 1]]}}, "binder: there is no chain 'Q'"),
        ({"pocket": {"binder": "A", "contacts": [["A", 1]]}}, "also in its pocket"),
        ({"pocket": {"binder": "A", "contacts": []}}, "must have at least 1"),
        ({"contct": {"between": []}}, "did you mean `contact`"),
        ({"contact": {"betweenx": [], "between": [["A", 1], ["B", 1]]}}, "did you mean `between`"),
        ({"contact": {}, "pocket": {}}, "2 keys"),
        ({}, "must be one of contact, distance, pocket"),
        ({"contact": {"kind": "pocket"}}, "key 'kind' is not known"),
        ({"contact": {"between": [["A", 1], ["B", 1]], "max_distance_angstrom": float("nan")}}, ""),
    ],
)  # fmt: skip
def test_wrong_constraints_are_named(
    make: Callable[..., Job], constraint: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        make(constraints=[constraint])
    assert said in str(caught.value)
    assert "constraint 1" in str(caught.value)
