"""`itda.fold`, as a notebook calls it."""

import datetime
import subprocess
import sys

import numpy as np
import pytest
from fake_search import FakeSource, FakeTemplates

import itda
from itda.errors import CapabilityError, InputError
from itda.job.model import Job
from itda.job.options import RunOptions
from itda.results.result import Result

SEQUENCE = "MKTAYIAKQRQISFVK"


def test_a_sequence(family) -> None:
    result = itda.fold(SEQUENCE, name="mine")
    assert isinstance(result, Result) and result.name == "mine"
    assert result.plddt.shape == (16,) and result.pae.shape == (16, 16)
    assert result.mean_plddt == pytest.approx(result.plddt.mean())
    assert 0 <= result.ptm <= 1
    assert set(result.atoms.chain_id) == {"A"}
    assert result.provenance.family == "mini"


def test_a_job(family) -> None:
    job = Job.from_sequence("given", SEQUENCE).replace(seeds=(5,))
    result = itda.fold(job)
    assert (result.name, result.best.seed) == ("given", 5)
    assert itda.fold(job, seed=6).best.seed == 6


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file(family, tmp_path, as_text) -> None:
    path = tmp_path / "x.fasta"
    path.write_text(f">record\n{SEQUENCE}\n")
    assert itda.fold(str(path) if as_text else path).name == "record"


def test_a_file_without_a_suffix(family, tmp_path) -> None:
    (tmp_path / "MKT").write_text(f">record\n{SEQUENCE}\n")
    assert itda.fold("MKT").name == "record"


def test_second_call_is_found_again_unless_told(family) -> None:
    first = itda.fold(SEQUENCE)
    second = itda.fold(SEQUENCE, name="another")
    assert second.cached and np.array_equal(first.atoms.coord, second.atoms.coord)
    assert not itda.fold(SEQUENCE, cache=False).cached


def test_samples_are_ranked(family) -> None:
    result = itda.fold(SEQUENCE, samples=4)
    means = [prediction.mean_plddt for prediction in result.predictions]
    assert len(means) == 4 and means == sorted(means, reverse=True)


def test_files_are_written(family, tmp_path) -> None:
    itda.fold(SEQUENCE, name="x", out=tmp_path / "out")
    assert (tmp_path / "out" / "x.cif").is_file() and (tmp_path / "out" / "x.html").is_file()


def test_alignment_becomes_part_of_the_job(family, tmp_path) -> None:
    (tmp_path / "x.a3m").write_text(f">q\n{SEQUENCE}\n")
    result = itda.fold(SEQUENCE, msa=tmp_path / "x.a3m")
    assert result.job.entities[0].msa == tmp_path / "x.a3m"
    with pytest.raises(InputError, match="no such file"):
        itda.fold(SEQUENCE, msa="missing.a3m")


def test_searches_are_asked_for_as_on_the_command_line(family, monkeypatch) -> None:
    from itda.engine import search_options
    from itda.engine.searches import Searches

    source, finder, asked = FakeSource(), FakeTemplates(), []

    def choose(options, chosen) -> Searches:
        asked.append(options)
        return Searches(source, finder)

    monkeypatch.setattr(search_options, "choose_searches", choose)
    given = {"max_template_identity": 0.3, "template_count": 2}
    for day in ("2021-09-30", datetime.date(2021, 9, 30)):
        result = itda.fold(
            SEQUENCE, msa="hmmer", db="small", templates="pdb", max_template_date=day, **given
        )
    assert asked[0] == asked[1]
    assert asked[0] == RunOptions(
        msa="hmmer",
        databases=("small",),
        templates="pdb",
        max_template_date=datetime.date(2021, 9, 30),
        **given,
    )
    assert source.queries == [SEQUENCE] and result.cached
    assert result.provenance.inputs["template_source"] == "fake templates in structures"
    with pytest.raises(InputError, match="no such file or folder"):
        itda.fold(SEQUENCE, msa="mmseq")


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("missing.fasta", InputError, "no file"),
        ("MKTB", InputError, "B at position 4"),
        ("", InputError, "empty"),
        ("MKT:MKV", CapabilityError, "one chain"),
    ],
)
def test_what_cannot_be_folded_is_said(family, what, error, said) -> None:
    with pytest.raises(error, match=said):
        itda.fold(what)


def test_file_with_several_records_is_refused(family, tmp_path) -> None:
    (tmp_path / "x.fa").write_text(f">a\n{SEQUENCE}\n>b\nMKTAY\n")
    with pytest.raises(InputError, match="holds 2 records"):
        itda.fold("x.fa")


def test_record_that_is_refused_is_raised(family, tmp_path) -> None:
    (tmp_path / "x.fa").write_text(">a\nMK-T\n")
    with pytest.raises(InputError, match="a gap"):
        itda.fold("x.fa")


def test_unexpected_error_comes_as_it_is(family) -> None:
    with pytest.raises(ZeroDivisionError):
        itda.fold(SEQUENCE, name="crash")


def test_lower_case_is_a_warning(family) -> None:
    with pytest.warns(UserWarning, match="lower case"):
        assert itda.fold("mktay").plddt.shape == (5,)


def test_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="unfold"):
        itda.unfold  # noqa: B018


def test_import_is_cheap() -> None:
    script = (
        "import sys, itda\n"
        "itda.__version__\n"
        "assert not {'torch', 'numpy', 'biotite', 'pydantic', 'typer'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
