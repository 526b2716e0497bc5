from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from itda.errors import InputError
from itda.job.read import JobBatch, read_jobs

from .conftest import UBIQUITIN, documented_examples

Read = Callable[..., JobBatch]


def _yaml_job(name: str, body: str = "sequence: MKTC") -> str:
    return f"- version: 1\n  name: {name}\n  entities:\n    - protein: {{{body}}}\n"


def test_a_record_is_one_job(read: Read) -> None:
    batch = read(f">ubiquitin Homo sapiens\n{UBIQUITIN[:60]}\n{UBIQUITIN[60:]}\n")
    (job,) = batch.jobs
    assert (job.name, job.chain_ids) == ("ubiquitin", ("A",))
    assert job.entities[0].sequence == UBIQUITIN
    assert batch.rejected == batch.warnings == ()


def test_fifty_records_with_one_bad(read: Read) -> None:
    lines = [f">record{i}\n{UBIQUITIN[: 20 + i]}\n" for i in range(50)]
    lines[30] = ">record30\nMKB\n"
    batch = read("".join(lines))
    assert [job.name for job in batch.jobs] == [f"record{i}" for i in range(50) if i != 30]
    (rejected,) = batch.rejected
    assert (rejected.name, rejected.index, rejected.line) == ("record30", 31, 61)
    assert isinstance(rejected.error, InputError)
    assert "input.fasta, record 31 'record30' (line 61): B at position 3 (line 62)" in str(rejected)


def test_fifty_jobs_with_one_bad(read: Read) -> None:
    jobs = [_yaml_job(f"job{i}") for i in range(50)]
    jobs[30] = _yaml_job("job30", "sequencex: MKTC")
    batch = read("".join(jobs), "jobs.yaml")
    assert len(batch.jobs) == 49
    (rejected,) = batch.rejected
    assert (rejected.name, rejected.index, rejected.line) == ("job30", 31, 121)
    assert str(rejected).endswith(
        "jobs.yaml, job 31 'job30' (line 121): entity 1 (protein): key 'sequencex' is not known\n"
        "  hint: did you mean `sequence`?"
    )


def test_all_bad_is_no_error_of_the_file(read: Read) -> None:
    batch = read(">a\nMKB\n>b\n")
    assert batch.jobs == ()
    assert [record.name for record in batch.rejected] == ["a", "b"]


def test_the_second_of_two_names_is_rejected_and_the_first_is_kept(read: Read) -> None:
    batch = read(">a\nMKT\n>a\nACD\n>A\nACD\n>b|c\nMKT\n>b_c\nACD\n")
    assert [(job.name, job.entities[0].sequence) for job in batch.jobs] == [
        ("a", "MKT"),
        ("b|c", "MKT"),
    ]
    first, second, third = map(str, batch.rejected)
    assert "record 2 'a' (line 3): the name was taken by record 1" in first
    assert "'A'" in second
    assert "ignores case" in second
    assert "'b_c'" in third


def test_the_name_of_a_bad_record_goes_to_no_other(read: Read) -> None:
    batch = read(">a\nMKB\n>a\nACD\n")
    assert batch.jobs == ()
    assert len(batch.rejected) == 2
    batch = read(_yaml_job("a", "sequence: MKB") + _yaml_job("a") + _yaml_job("5") * 2, "x.yaml")
    assert [job.name for job in batch.jobs] == ["5"]
    assert [record.index for record in batch.rejected] == [1, 2, 4]


def test_a_name_that_is_too_long_for_a_file_is_rejected(read: Read) -> None:
    batch = read(f">{'x' * 201}\nMKT\n>b\nMKT\n")
    assert [job.name for job in batch.jobs] == ["b"]
    (rejected,) = batch.rejected
    assert rejected.name == "x" * 201
    assert rejected.error.hint


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("UBC_HUMAN/1-76", "UBC_HUMAN_1-76"),
        ("../x", "_._x"),
        ("/etc/x", "_etc_x"),
        ("a\\b", "a_b"),
        ("CON", "_CON"),
        (".x", "_x"),
        ("-x", "_x"),
    ],
)
def test_a_name_is_shown_as_it_is_and_its_files_are_safe(read: Read, name: str, stem: str) -> None:
    (job,) = read(f">{name}\nMKT\n").jobs
    assert (job.name, job.file_stem) == (name, stem)


def test_records_without_a_name_are_numbered_and_said(read: Read) -> None:
    batch = read(">\nMKT\n>a\nMKT\n> \nACD\n")
    assert [job.name for job in batch.jobs] == ["record_1", "a", "record_3"]
    assert [str(warning) for warning in batch.warnings] == [
        "record 1 'record_1' (line 1): the record has no name and is called record_1",
        "record 3 'record_3' (line 5): the record has no name and is called record_3",
    ]
    assert read(">\nMKT\n", name_prefix="seq").jobs[0].name == "seq_1"


def test_a_numbered_name_takes_nobodys_place(read: Read) -> None:
    batch = read(">record_2\nMKT\n>\nACD\n")
    assert [job.name for job in batch.jobs] == ["record_2"]
    assert "the name was taken by record 1" in str(batch.rejected[0])


def test_options_reach_the_sequences(read: Read) -> None:
    assert read(">a\nMUK\n", ambiguous="x").jobs[0].entities[0].sequence == "MXK"
    assert read(">a\nACGTACGTACGT\n").jobs == ()
    assert read(">a\nACGTACGTACGT\n", molecule="dna").jobs[0].entities[0].molecule == "dna"
    protein = read(">a\nACGTACGTACGT\n", molecule="protein").jobs[0].entities[0]
    assert protein.molecule == "protein"


def test_options_reach_the_sequences_of_jobs(read: Read) -> None:
    text = _yaml_job("a", "sequence: MUK") + _yaml_job("b", "sequence: ACGTACGTACGT")
    assert read(text, "x.yaml").jobs == ()
    batch = read(text, "x.yaml", ambiguous="x", molecule="protein")
    assert [job.entities[0].sequence for job in batch.jobs] == ["MXK", "ACGTACGTACGT"]
    assert "entity 1 (protein), sequence: U read as X at position 2" in str(batch.warnings[0])
    with pytest.raises(InputError, match="each entity says what it is"):
        read(text, "x.yaml", molecule="dna")


def test_files_of_a_job_are_found_beside_it_and_missing_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A path that is longer than other values are shown.
    tmp_path = tmp_path / ("long" * 30)
    (tmp_path / "jobs").mkdir(parents=True)
    (tmp_path / "jobs" / "a.a3m").write_text(">q\nMKTC\n")
    path = tmp_path / "jobs" / "x.yaml"
    path.write_text(
        _yaml_job("a", "sequence: MKTC, msa: a.a3m")
        + _yaml_job("b", "sequence: MKTC, msa: b.a3m")
        + _yaml_job("c", "sequence: MKTC, profile: .././jobs")
    )
    monkeypatch.chdir(tmp_path)
    batch = read_jobs("jobs/x.yaml")
    assert batch.jobs[0].entities[0].msa == tmp_path / "jobs" / "a.a3m"
    missing, folder = map(str, batch.rejected)
    path = tmp_path / "jobs" / "b.a3m"
    assert f"job 2 'b' (line 5): entity 1 (protein), msa: '{path}' does not exist" in missing
    assert "profile" in folder
    assert "is a folder" in folder


def test_the_form_is_told_by_content(read: Read) -> None:
    job = '{"version": 1, "name": "a", "entities": [{"protein": {"sequence": "MK"}}]}'
    for name in ("x.json", "x.txt", "x.yaml", "x"):
        assert read(job, name).jobs[0].name == "a"
    for name in ("x.yaml", "x.json", "x"):
        assert read(">a\nMKT\n", name).jobs[0].name == "a"
    assert read(_yaml_job("a"), "x.fasta").jobs[0].name == "a"
    assert read("# first\n\n---\n" + _yaml_job("a"), "x").jobs[0].name == "a"
    with pytest.raises(InputError, match="is not JSON"):
        read("name: a", "x.json")


def test_broken_documents_name_the_file_and_give_no_job(read: Read) -> None:
    with pytest.raises(InputError, match=r"jobs\.yaml is not a YAML job: .* at line 5"):
        read(_yaml_job("a") + "- [", "jobs.yaml")
    with pytest.raises(InputError, match=r"jobs\.json is not JSON"):
        read('[{"version": 1}', "jobs.json")
    with pytest.raises(InputError, match=r"jobs\.yaml holds no record"):
        read("[]", "jobs.yaml")


def test_slips_in_modifications_are_warnings(read: Read) -> None:
    body = "sequence: MKTC, modifications: [{position_1based: 3, ccd: SEP}]"
    batch = read(_yaml_job("a", body), "x.yaml")
    assert len(batch.jobs) == 1
    assert "SEP derives from S, but position 3 of the sequence is T" in str(batch.warnings[0])


@pytest.mark.parametrize("seed", range(20))
def test_no_spoiled_input_escapes_as_another_error(read: Read, seed: int) -> None:
    random_state = random.Random(seed)
    texts = [example.text.encode() for example in documented_examples() if example.form != "python"]
    pieces = [
        b"\n",
        b"- ",
        b": ",
        b"[",
        b"{",
        b'"',
        b"&a ",
        b"*a",
        b"!!str ",
        b"\t",
        b"\xff",
        b">",
        b"|",
    ]
    for _ in range(15):
        content = bytearray(random_state.choice(texts))
        for _ in range(random_state.randint(1, 5)):
            place = random_state.randrange(len(content) + 1)
            content[place : place + random_state.randint(0, 9)] = random_state.choice(pieces)
        try:
            batch = read(bytes(content), "input")
        except InputError as error:
            told = [str(error)]
        else:
            told = [str(rejected) for rejected in batch.rejected]
        assert all(text.replace("\n", "").isprintable() for text in told)


def test_long_inputs_are_read(read: Read) -> None:
    batch = read(">long\n" + "MKTAYIAKQR\n" * 200_000)
    assert batch.jobs[0].entities[0].length == 2_000_000
    batch = read("".join(f">r{i}\n{UBIQUITIN}\n" for i in range(5000)))
    assert len(batch.jobs) == 5000
