from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itda.errors import InputError
from itda.job import components
from itda.job.check import check_job
from itda.job.components import check_components
from itda.job.model import Job

JobDict = Callable[..., dict[str, Any]]

OWN = """data_MYLIG
_chem_comp.id MYLIG
_chem_comp.name 'a ligand of my own'
_chem_comp.type NON-POLYMER
loop_
_chem_comp_atom.comp_id
_chem_comp_atom.atom_id
_chem_comp_atom.type_symbol
MYLIG C1 C
MYLIG O1 O
"""


@pytest.fixture
def check(job_dict: JobDict) -> Callable[..., list[str]]:
    return lambda *entities, **fields: check_components(
        Job.from_dict(job_dict(*entities, **fields))
    )


def _modified(kind: str, sequence: str, position: int, ccd: str) -> dict[str, Any]:
    modification = {"position_1based": position, "ccd": ccd}
    return {kind: {"id": "P", "sequence": sequence, "modifications": [modification]}}


@pytest.mark.parametrize(
    "entity",
    [
        _modified("protein", "MKTS", 4, "SEP"),
        _modified("protein", "MKTC", 4, "SEC"),
        _modified("protein", "MKTK", 4, "PYL"),
        _modified("protein", "MKTX", 4, "SEP"),
        _modified("dna", "ACGT", 2, "5CM"),
        _modified("rna", "ACGU", 2, "5MC"),
        {"ligand": {"ccd": "ATP"}},
        {"ligand": {"ccd": "NO"}},
        {"ligand": {"ccd": "004"}},
        {"ion": {"ccd": "MG"}},
        {"ion": {"ccd": "FE2"}},
    ],
)
def test_known_codes_pass_without_a_word(check: Callable[..., list[str]], entity: Any) -> None:
    assert check(entity) == []


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ({"ligand": {"ccd": "ZZZZZ"}}, "entity 1 (ligand), ccd: 'ZZZZZ' is not in the Chemical"),
        ({"ion": {"ccd": "ATP"}}, "ATP has 47 atoms and is no ion"),
        ({"ligand": {"ccd": "0AV"}}, "write A2M"),
        (_modified("protein", "MKTS", 4, "ATP"), "ATP (non-polymer) is not a residue of protein"),
        (_modified("dna", "ACGT", 2, "5MC"), "5MC (rna linking) is not a residue of dna"),
        (_modified("protein", "MKTS", 4, "ZZZZZ"), "modification 1"),
    ],
)
def test_wrong_codes_are_refused_by_name(
    check: Callable[..., list[str]], entity: Any, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        check(entity)
    assert said in str(caught.value)


def test_a_modification_of_another_residue_is_a_warning(check: Callable[..., list[str]]) -> None:
    assert check(_modified("protein", "MKTL", 4, "SEP")) == [
        "entity 1 (protein), modification 1: SEP derives from S, "
        "but position 4 of the sequence is L"
    ]


ENTITIES = (
    _modified("protein", "NKCSX", 4, "SEP"),
    {"ligand": {"id": "L", "ccd": ["NAG", "NAG"]}},
    {"dna": {"id": "D", "sequence": "ACGT"}},
    {"ion": {"id": "M", "ccd": "ZN"}},
)


def test_atoms_that_exist_pass(check: Callable[..., list[str]]) -> None:
    bonds = [
        [["P", 1, "ND2"], ["L", 1, "C1"]],
        [["L", 1, "O4"], ["L", 2, "C1"]],
        [["P", 3, "SG"], ["M", 1, "ZN"]],
        [["P", 4, "O1P"], ["D", 1, "O5'"]],
        [["P", 5, "QX"], ["D", 4, "C7"]],
    ]
    constraints = [{"contact": {"between": [["P", 4, "P"], ["L", 2, "C8"]]}}]
    assert check(*ENTITIES, bonds=bonds, constraints=constraints) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bonds": [[["P", 1, "SG"], ["L", 1, "C1"]]]}, "bond 1: ASN at P 1 has no atom 'SG'"),
        ({"bonds": [[["P", 4, "OG2"], ["L", 1, "C1"]]]}, "SEP at P 4 has no atom 'OG2'"),
        ({"bonds": [[["D", 1, "O3*"], ["L", 1, "C1"]]]}, "did you mean O3'?"),
        ({"bonds": [[["M", 1, "MG"], ["L", 1, "C1"]]]}, "ZN at M 1 has no atom 'MG'"),
        (
            {"constraints": [{"contact": {"between": [["L", 1, "C99"], ["P", 1]]}}]},
            "constraint 1 (contact): NAG at L 1 has no atom 'C99'",
        ),
    ],
)
def test_atoms_that_do_not_exist_are_refused(
    check: Callable[..., list[str]], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        check(*ENTITIES, **fields)
    assert said in str(caught.value)


def test_components_of_ones_own_are_known(job_dict: JobDict, tmp_path: Path) -> None:
    path = tmp_path / "own.cif"
    path.write_text(OWN)
    ligand = {"ligand": {"id": "L", "ccd": "MYLIG"}}
    bonds = [[["A", 4, "SG"], ["L", 1, "C1"]]]
    protein = {"protein": {"id": "A", "sequence": "MKTC"}}
    own = Job.from_dict(job_dict(protein, ligand, bonds=bonds, components=str(path)))
    assert check_job(own) == []
    with pytest.raises(InputError, match="is not in the Chemical Component Dictionary"):
        check_job(Job.from_dict(job_dict(ligand)))
    wrong = [[["A", 4, "SG"], ["L", 1, "C9"]]]
    with pytest.raises(InputError, match="MYLIG at L 1 has no atom 'C9'"):
        check_job(own.replace(bonds=wrong))


@pytest.mark.parametrize("content", ["not a cif", "data_x\n_cell.length_a 1\n", ""])
def test_a_components_file_that_holds_none_is_refused(
    job_dict: JobDict, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "own.cif"
    path.write_text(content)
    job = Job.from_dict(job_dict({"ligand": {"ccd": "MYLIG"}}, components=str(path)))
    with pytest.raises(InputError, match=r"job 'example': "):
        check_job(job)


def test_a_components_file_that_is_too_large_is_not_read(
    job_dict: JobDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.cif"
    path.write_text(OWN + "#" * 2**22)
    monkeypatch.setattr(Path, "read_bytes", None)  # it is not even begun
    job = Job.from_dict(job_dict({"ligand": {"ccd": "MYLIG"}}, components=str(path)))
    with pytest.raises(InputError, match="holds too much"):
        check_job(job)


@pytest.mark.parametrize(
    "content",
    [
        OWN.replace("loop_", "  loop_").replace("_chem", "\t_chem"),
        OWN.replace("_chem_comp.name", "_CHEM_COMP.Name").replace("_atom.atom_id", "_Atom.Atom_ID"),
        OWN.replace("'a ligand of my own'", "'the 5'-end, a \"ligand\"'"),
        OWN.replace("'a ligand of my own'", "\n;a\n_ligand\n;"),
        "data_x\n" + "".join(f"loop_\n_a{number}.b\n1\n" for number in range(100_000)) + OWN,
        "data_x\nloop_\n_a.b\n" + "'1' " * 200_000 + "\n" + OWN,
        OWN.replace(" MYLIG\n", " MYLIG\n", 1).replace("data_MYLIG", "data_comp_list"),
        OWN.replace("_chem_comp_atom.comp_id\n", "")
        .replace("MYLIG C1", "C1")
        .replace("MYLIG O1", "O1"),
    ],
)
def test_components_are_read_as_cif_is_written(
    job_dict: JobDict, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "own.cif"
    path.write_text(content)
    ligand = {"ligand": {"id": "L", "ccd": "MYLIG"}}
    bonds = [[["A", 4, "SG"], ["L", 1, "O1"]]]
    protein = {"protein": {"id": "A", "sequence": "MKTC"}}
    own = Job.from_dict(job_dict(protein, ligand, bonds=bonds, components=str(path)))
    assert check_job(own) == []


@pytest.mark.parametrize("content", [OWN, "not a cif"])
def test_components_that_many_jobs_name_are_read_once(
    job_dict: JobDict, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "own.cif"
    path.write_text(content)
    job = Job.from_dict(job_dict({"ligand": {"ccd": "MYLIG"}}, components=str(path)))
    components._definitions.cache_clear()
    for _ in range(3):
        with contextlib.suppress(InputError):
            check_job(job)
    assert components._definitions.cache_info().misses == 1


@pytest.mark.parametrize("error", [TypeError, KeyError, ValueError, AttributeError])
def test_a_fault_of_the_programs_own_is_not_one_of_the_file(
    job_dict: JobDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(_entry: object) -> None:
        raise error("nobody expected this")

    path = tmp_path / "own.cif"
    path.write_text(OWN)
    job = Job.from_dict(job_dict({"ligand": {"id": "L", "ccd": "MYLIG"}}, components=str(path)))
    components._definitions.cache_clear()
    monkeypatch.setattr(components, "_block_definitions", broken)
    with pytest.raises(error, match="nobody expected this"):
        check_job(job)


@pytest.mark.parametrize(
    "content",
    [
        b"data_x\n_chem_comp.id A\n_chem_comp.type 'NON-POLYMER\n",
        b"data_x\n_chem_comp.id A\n",
        b"data_x\n_chem_comp.name A\n_chem_comp_atom.atom_id C\n",
        b"data_x\n_chem_comp.id \xff\n_chem_comp_atom.atom_id C\n",
        b"loop_\n_chem_comp.id A\n",
    ],
)
def test_a_bad_file_is_a_fault_of_the_file(
    job_dict: JobDict, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "own.cif"
    path.write_bytes(content)
    job = Job.from_dict(job_dict({"ligand": {"id": "L", "ccd": "A"}}, components=str(path)))
    with pytest.raises(InputError, match="holds no chemical components as mmCIF"):
        check_job(job)
