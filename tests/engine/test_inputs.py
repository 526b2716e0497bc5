import io
import os
import sys
import threading

import pytest

from itda.engine.inputs import read_input
from itda.errors import InputError
from itda.job.inputs import without_companions
from itda.models.registry import get_family

QUERY = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYN"
A3M = f">q\n{QUERY}\n>r\n{QUERY[:-2]}--\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ubq.fasta").write_text(f">sp|P0CG48|UBC_HUMAN Ubiquitin\n{QUERY}\n")
    return tmp_path


def alignments(batch):
    return [getattr(entity, "msa", None) for job in batch.jobs for entity in job.entities]


def said(batch):
    return "\n".join(map(str, (*batch.warnings, *batch.notes)))


@pytest.mark.parametrize("name", ["ubq.a3m", "ubq.sto", "ubq.a3m.gz", "sp_P0CG48_UBC_HUMAN.a3m"])
def test_an_alignment_beside_the_input_is_taken_and_said(folder, name):
    (folder / name).write_text(A3M)
    batch = read_input(folder / "ubq.fasta")
    assert alignments(batch) == [folder / name]
    assert f"folded with {name}, which stands beside the input (--msa none" in said(batch)


@pytest.mark.parametrize("name", ["ubq2.a3m", "UBQ.fasta", "ubq.fa", "ubq.tsv", "ub.a3m"])
def test_nothing_else_is_taken(folder, name):
    (folder / name).write_text(A3M)
    batch = read_input(folder / "ubq.fasta")
    assert alignments(batch) == [None] and not said(batch)


def test_what_the_user_asks_for_comes_first(folder):
    (folder / "ubq.a3m").write_text(A3M)
    none = read_input(folder / "ubq.fasta", msa="none")
    assert alignments(none) == [None] and not said(none)
    for msa in ("mmseqs", folder / "other.a3m"):
        batch = read_input(folder / "ubq.fasta", msa=msa)
        assert alignments(batch) == [None]
        assert f"ubq.a3m beside the input is not used: --msa {msa}" in said(batch)


def test_nothing_is_said_where_the_user_names_what_stands_beside(folder, monkeypatch):
    (folder / "ubq.a3m").write_text(A3M)
    monkeypatch.chdir(folder)
    for msa in ("ubq.a3m", folder / "ubq.a3m", "./ubq.a3m", folder):
        assert not said(read_input("ubq.fasta", msa=msa))


def test_a_family_without_alignments_leaves_it_and_says_so(folder):
    (folder / "ubq.a3m").write_text(A3M)
    batch = read_input(folder / "ubq.fasta", family=get_family("esmfold"))
    assert alignments(batch) == [None]
    assert "is not used: esmfold takes no alignment" in said(batch)
    assert alignments(read_input(folder / "ubq.fasta", family=get_family("mini"))) != [None]


def test_two_that_could_be_meant_are_refused_by_name(folder):
    (folder / "ubq.a3m").write_text(A3M)
    (folder / "ubq.sto").write_text(A3M)
    batch = read_input(folder / "ubq.fasta")
    assert not batch.jobs
    assert "ubq.a3m and ubq.sto" in str(batch.rejected[0])
    assert alignments(read_input(folder / "ubq.fasta", msa="none")) == [None]


def test_of_several_records_each_has_its_own(tmp_path):
    (tmp_path / "three.fasta").write_text(f">a\n{QUERY}\n>bad\nM1K\n>b|x\n{QUERY[1:]}\n>c\nMKT\n")
    for name in ("three.a3m", "a.a3m", "b_x.sto"):
        (tmp_path / name).write_text(A3M)
    batch = read_input(tmp_path / "three.fasta")
    assert alignments(batch) == [tmp_path / "a.a3m", tmp_path / "b_x.sto", None]
    assert [warning.index for warning in batch.warnings] == [1, 3]
    assert str(batch.warnings[1]).startswith("record 3 'b|x': folded with b_x.sto")
    assert batch.notes == (
        "three.a3m beside three.fasta is not used: three.fasta has 4 records; call it after the "
        "record that it belongs to",
    )


def test_each_protein_of_a_complex_has_its_own(tmp_path):
    (tmp_path / "pair.fasta").write_text(f">pair\n{QUERY}:{QUERY[1:]}:{QUERY}\n")
    (tmp_path / "pair.a3m").write_text(A3M)
    (tmp_path / "pair_B.a3m").write_text(A3M)
    batch = read_input(tmp_path / "pair.fasta")
    assert alignments(batch) == [None, tmp_path / "pair_B.a3m", None]
    assert "pair_B.a3m" in said(batch)


def test_a_job_file_names_what_it_means(folder):
    (folder / "ubq.yaml").write_text(
        f"version: 1\nname: ubq\nentities: [{{protein: {{sequence: {QUERY}}}}}]\n"
    )
    (folder / "ubq.a3m").write_text(A3M)
    assert alignments(read_input(folder / "ubq.yaml")) == [None]


@pytest.mark.parametrize("name", ["kinase.a3m", "kinase.afa", "kinase.txt"])
def test_an_alignment_is_a_job_of_its_first_row(tmp_path, name):
    text = f"# STOCKHOLM 1.0\nq {QUERY}\nr {QUERY}\n//\n" if name.endswith("txt") else A3M
    (tmp_path / name).write_text(text)
    batch = read_input(tmp_path / name)
    (job,) = batch.jobs
    assert (job.name, job.entities[0].sequence) == ("kinase", QUERY)
    assert alignments(batch) == [tmp_path / name]
    assert f"{name} is an alignment of 2 rows; its first (q) is folded with it" in said(batch)


def test_an_alignment_without_its_rows_is_said(tmp_path):
    (tmp_path / "kinase.a3m").write_text(A3M)
    batch = read_input(tmp_path / "kinase.a3m", msa="none")
    assert alignments(batch) == [None]
    assert "folded without it (--msa none)" in said(batch)


def test_an_alignment_whose_query_cannot_be_folded_is_refused_by_name(tmp_path):
    (tmp_path / "dna.a3m").write_text(">q\nACGTACGTACGT\n>r\nACGTACGTACG-\n")
    batch = read_input(tmp_path / "dna.a3m")
    assert not batch.jobs
    assert "dna.a3m, row 1: " in str(batch.rejected[0])
    assert "looks like DNA" in str(batch.rejected[0])
    (tmp_path / "pair.a3m").write_text(f"#60,60\t1,1\n>101\t102\n{QUERY}{QUERY}\n")
    with pytest.raises(InputError, match="an alignment of 2 chains"):
        read_input(tmp_path / "pair.a3m")


def test_what_can_be_read_once_is_read_once(tmp_path, monkeypatch):
    fasta = f">a\n{QUERY}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(fasta)))
    assert len(read_input("-").jobs) == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(fasta))
    writer.start()
    assert len(read_input(pipe).jobs) == 1
    writer.join()


def test_in_a_folder_an_alignment_goes_with_the_sequences_of_its_name(tmp_path):
    names = ["a.fasta", "a.a3m", "b.sto.gz", "b.yaml", "c.a3m", "d.A3M", "d.fa"]
    paths = [tmp_path / name for name in names]
    kept = [path.name for path in without_companions(paths)]
    assert kept == ["a.fasta", "b.yaml", "c.a3m", "d.fa"]
    elsewhere = [tmp_path / "x" / "a.fasta", tmp_path / "y" / "a.a3m"]
    assert without_companions(elsewhere) == elsewhere
