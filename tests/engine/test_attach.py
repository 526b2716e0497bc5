import pytest

from itda.engine.attach import attach
from itda.errors import InputError
from itda.job.model import Job


@pytest.fixture
def jobs() -> list[Job]:
    return [Job.from_sequence(name, "MKTAY") for name in ("one", "two|x")]


def test_nothing_to_attach_changes_nothing(jobs) -> None:
    assert attach(jobs, "msa", None) == (jobs, {})


@pytest.mark.parametrize("field", ["msa", "profile"])
def test_one_file_for_one_job(jobs, tmp_path, field) -> None:
    path = tmp_path / "any.name"
    path.touch()
    (job,), errors = attach(jobs[:1], field, path)
    assert getattr(job.entities[0], field) == path and not errors
    assert getattr(jobs[0].entities[0], field) is None


def test_path_becomes_absolute(jobs, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.a3m").touch()
    (job,), _ = attach(jobs[:1], "msa", tmp_path.joinpath("a.a3m").relative_to(tmp_path))
    assert job.entities[0].msa == tmp_path / "a.a3m"


def test_one_file_for_two_jobs_is_refused_by_name(jobs, tmp_path) -> None:
    path = tmp_path / "a.a3m"
    path.touch()
    with pytest.raises(InputError, match=r"2 records \(one, two\|x\)") as caught:
        attach(jobs, "msa", path)
    assert "NAME.a3m" in caught.value.hint


def test_missing_file_is_refused(jobs, tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        attach(jobs[:1], "msa", tmp_path / "missing.a3m")


def test_folder_gives_each_job_its_own(jobs, tmp_path) -> None:
    (tmp_path / "one.a3m").touch()
    (tmp_path / "two_x.a3m.gz").touch()
    attached, errors = attach(jobs, "msa", tmp_path)
    assert [job.entities[0].msa.name for job in attached] == ["one.a3m", "two_x.a3m.gz"]
    assert not errors


def test_folder_without_a_job_s_file_refuses_that_job(jobs, tmp_path) -> None:
    (tmp_path / "one.a3m").touch()
    attached, errors = attach(jobs, "msa", tmp_path)
    assert attached[0].entities[0].msa is not None
    assert list(errors) == ["two|x"] and "two_x.a3m" in errors["two|x"].hint


def test_two_files_for_one_job_are_refused(jobs, tmp_path) -> None:
    (tmp_path / "one.a3m").touch()
    (tmp_path / "one.a3m.gz").touch()
    _, errors = attach(jobs[:1], "msa", tmp_path)
    assert "both" in str(errors["one"])


def test_job_that_names_its_own_is_refused(jobs, tmp_path) -> None:
    path = tmp_path / "a.a3m"
    path.touch()
    given, _ = attach(jobs[:1], "msa", path)
    _, errors = attach(given, "msa", path)
    assert "another" in str(errors["one"])


@pytest.mark.parametrize("sequence", ["MKT:MKV"])
def test_job_with_two_proteins_is_refused(tmp_path, sequence) -> None:
    path = tmp_path / "a.a3m"
    path.touch()
    _, errors = attach([Job.from_sequence("pair", sequence)], "msa", path)
    assert "this has 2" in str(errors["pair"])


@pytest.mark.parametrize("name", ["one.sto", "one.stk.gz", "one.afa", "one.fasta"])
def test_folder_takes_every_form_of_alignment(jobs, tmp_path, name) -> None:
    (tmp_path / name).touch()
    (job,), errors = attach(jobs[:1], "msa", tmp_path)
    assert job.entities[0].msa == tmp_path / name and not errors


def test_folder_has_a_file_for_each_protein_of_a_job(tmp_path) -> None:
    job = Job.from_sequence("pair", "MKT:MKV")
    (tmp_path / "pair_A.a3m").touch()
    _, errors = attach([job], "msa", tmp_path)
    assert "pair_B.a3m" in errors["pair"].hint
    (tmp_path / "pair_B.sto").touch()
    (attached,), errors = attach([job], "msa", tmp_path)
    assert [entity.msa.name for entity in attached.entities] == ["pair_A.a3m", "pair_B.sto"]
    assert not errors
