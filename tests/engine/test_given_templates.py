"""Which protein a structure of the user's goes to, through the function that every face calls."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from tests.engine.fake_family import FakeFamily
from tests.search.templates.test_from_file import structure
from tests.sequences import relative

from itda.chem.residues import RESTYPES
from itda.engine.given_templates import give_templates
from itda.errors import CapabilityError, InputError
from itda.job.entities import Protein, TemplateFile
from itda.job.given_templates import parse_given_template
from itda.job.model import Job

RANDOM = np.random.default_rng(5)
FIRST, SECOND, STRANGER = ("".join(RANDOM.choice(list(RESTYPES), 120)) for _ in range(3))


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, chains: dict[str, str]) -> str:
        path = tmp_path / name
        made = structure(chains)
        if ".cif" in name:
            made.make_mmcif_document().write_file(str(path))
        else:
            made.write_pdb(str(path))
        return str(path)

    return write


def given(jobs, *texts):
    named = [parse_given_template(text) for text in texts]
    return give_templates(jobs, named, FakeFamily())


def job_of(name: str, *sequences: str) -> Job:
    return Job.from_sequence(name, ":".join(sequences))


def templates(job: Job) -> dict[str, list[tuple[str, str | None]]]:
    return {
        entity.ids[0]: [(one.path.name, one.chain) for one in entity.templates]
        for entity in job.entities
        if isinstance(entity, Protein)
    }


def test_a_file_of_one_chain_goes_to_its_protein_without_a_word(write) -> None:
    found = given([job_of("one", FIRST)], write("x.cif", {"B": FIRST}))
    assert templates(found.jobs[0]) == {"A": [("x.cif", "B")]}
    assert not found.notes and not found.errors


def test_of_copies_the_first_is_taken_and_that_is_told(write) -> None:
    found = given([job_of("one", FIRST)], write("x.cif", {"A": SECOND, "B": FIRST, "C": FIRST}))
    assert templates(found.jobs[0]) == {"A": [("x.cif", "B")]}
    (note,) = found.notes[0]
    assert "chain B is for chain A" in note and note.endswith("copies of it: C")


def test_copies_of_which_other_residues_were_seen_are_copies(write) -> None:
    chains = {"A": FIRST[:-30], "B": FIRST[10:]}
    found = given([job_of("one", FIRST)], write("x.cif", chains))
    assert templates(found.jobs[0]) == {"A": [("x.cif", "B")]}
    assert "copies of it: A" in found.notes[0][0]


def test_each_protein_of_a_complex_gets_the_chain_that_is_its_own(write) -> None:
    job = job_of("pair", FIRST, STRANGER, SECOND)
    found = given([job], write("x.pdb", {"H": SECOND, "L": FIRST}))
    assert templates(found.jobs[0]) == {"A": [("x.pdb", "L")], "B": [], "C": [("x.pdb", "H")]}
    assert len(found.notes[0]) == 2


def test_distant_relatives_are_alike_and_strangers_are_not(write) -> None:
    path = write("x.cif", {"A": relative(FIRST, 0.65, np.random.default_rng(3))})
    found = given([job_of("one", FIRST)], path)
    assert templates(found.jobs[0])["A"]
    found = given([job_of("other", STRANGER)], path)
    (error,) = found.errors.values()
    assert "job 'other'" in error.problem and "paired residues are equal" in error.problem
    assert f"A={path}" in error.hint


def test_chance_matches_of_strangers_stay_rare(write) -> None:
    drawn = np.random.default_rng(8)
    sequences = ["".join(drawn.choice(list(RESTYPES), size)) for size in [40] * 30 + [150] * 30]
    path = write("x.cif", {"A": FIRST})
    found = given([job_of(f"n{n}", one) for n, one in enumerate([FIRST, *sequences])], path)
    taken = [job.name for job in found.jobs if any(templates(job).values())]
    assert taken[0] == "n0" and len(taken) <= 2


def test_a_named_chain_gets_what_it_is_given_alike_or_not(write) -> None:
    path = write("x.cif", {"X": FIRST})
    found = given([job_of("pair", FIRST, STRANGER)], f"B={path}:X")
    assert templates(found.jobs[0]) == {"A": [], "B": [("x.cif", "X")]}
    assert "is for chain B" in found.notes[0][0]
    found = given([job_of("pair", FIRST, STRANGER)], f"C={path}")
    assert "no protein chain 'C'" in found.errors[0].problem and "A, B" in found.errors[0].hint


def test_two_chains_that_fit_alike_have_to_be_chosen_between(write) -> None:
    one, other = (relative(FIRST, 0.3, np.random.default_rng(seed)) for seed in (1, 2))
    path = write("x.cif", {"A": one, "B": other})
    found = given([job_of("one", FIRST)], path)
    assert "chains A and B fit equally well" in found.errors[0].problem
    assert "x.cif:A" in found.errors[0].hint
    assert templates(given([job_of("one", FIRST)], f"{path}:B").jobs[0]) == {"A": [("x.cif", "B")]}


def test_records_that_it_does_not_fit_are_told_and_left_alone(write) -> None:
    jobs = [job_of("a", FIRST), job_of("b", STRANGER)]
    path = write("x.cif", {"A": FIRST})
    found = given(jobs, path)
    assert templates(found.jobs[0])["A"] and found.jobs[1] == jobs[1] and not found.errors
    assert "does not resemble" in found.notes[1][0] and "is for chain A" in found.notes[0][0]
    with pytest.raises(InputError, match="fits none of 2 records"):
        given([job_of("b", STRANGER), job_of("c", SECOND)], path)


def test_several_stand_in_order_before_those_of_the_job(write, tmp_path) -> None:
    one, two, own = (write(name, {"A": FIRST}) for name in ("1.cif", "2.pdb", "own.cif"))
    job = job_of("one", FIRST)
    entity = job.entities[0].replace(templates=(TemplateFile(path=own),))
    found = given([job.replace(entities=(entity,))], two, one)
    assert [name for name, _ in templates(found.jobs[0])["A"]] == ["2.pdb", "1.cif", "own.cif"]


def test_the_same_twice_is_taken_once_and_told(write) -> None:
    path = write("x.cif", {"A": FIRST})
    found = given([job_of("one", FIRST)], path, f"{path}:A")
    assert templates(found.jobs[0]) == {"A": [("x.cif", "A")]}
    assert "twice" in found.notes[0][0]


def test_compressed_files_are_read(write, tmp_path) -> None:
    packed = tmp_path / "x.pdb.gz"
    packed.write_bytes(gzip.compress(Path(write("x.pdb", {"A": FIRST})).read_bytes()))
    assert templates(given([job_of("one", FIRST)], f"{packed}:A").jobs[0])["A"]


@pytest.mark.parametrize("text", ["1 2 3", "data_x\n", "ATOM\n", ""])
def test_what_is_no_structure_is_refused(text, tmp_path) -> None:
    (tmp_path / "x.cif").write_text(text)
    with pytest.raises(InputError, match="template"):
        given([job_of("one", FIRST)], str(tmp_path / "x.cif"))


def test_a_family_that_takes_no_template_says_so(write, monkeypatch) -> None:
    family = FakeFamily()
    family.capabilities = family.capabilities.__class__(
        **{**vars(family.capabilities), "inputs": frozenset({"msa"})}
    )
    named = [parse_given_template(write("x.cif", {"A": FIRST}))]
    with pytest.raises(CapabilityError, match="takes no template"):
        give_templates([job_of("one", FIRST)], named, family)
