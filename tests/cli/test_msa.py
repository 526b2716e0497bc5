import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from itda.cli.msa import app
from itda.errors import ItdaError
from itda.search.alignments.formats import read_alignment

ONE = (
    ">q\nACDEFG\n>UniRef100_P12341_9606/\t1\nACDEFW\n"
    ">UniRef100_P12342_10090/\t1\nAC-dEFG\n>MGYP1\nACDEFG\n"
)
TWO = ">q\nKLMN\n>UniRef100_Q12341_9606/\t1\nKLM-\n>UniRef100_Q12342_3702/\t1\n-LMN\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("one.a3m").write_text(ONE)
    Path("two.a3m").write_text(TWO)


def msa(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_info(files):
    done = msa("info", "one.a3m", "two.a3m")
    assert done.exit_code == 0
    for said in ("one.a3m: 4 rows, 6 columns", "67% of the rows", "2 in all", "sha256:"):
        assert said in done.stdout
    found = json.loads(msa("info", "one.a3m", "--json", "--entropy").stdout)["one.a3m"]
    assert found["rows"] == 4
    assert found["digest"] == read_alignment(Path("one.a3m"), query=None).digest
    # Of ACDEFW's six residues the gapped row has four; all others are 80 % alike.
    assert found["neff"] == pytest.approx(3 / 4 + 1 / 3, abs=0.01)
    assert found["neff_entropy"] > 1


def test_info_of_some_and_of_none(files):
    Path("bad.a3m").write_text(">q\nAC\n>r\nA\n")
    done = msa("info", "one.a3m", "bad.a3m")
    assert done.exit_code == 2
    assert "bad.a3m: row 2 (r) has 1 columns" in done.output
    assert msa("info", "bad.a3m").exit_code == 1
    Path("rna.a3m").write_text(">q\nGGCAUUAGCCAUU\n")
    assert "looks like RNA" in msa("info", "rna.a3m").output


def test_filter_draw_and_refusal_to_replace(files):
    done = msa("filter", "one.a3m", "out.a3m", "--max-identity", "0.95")
    assert done.exit_code == 0
    assert "out.a3m: 2 of 4 rows" in done.stdout
    assert read_alignment(Path("out.a3m"), query="ACDEFG").texts[1] == "ACDEFW"
    again = msa("filter", "one.a3m", "out.a3m")
    assert isinstance(again.exception, ItdaError)
    assert "exists already" in str(again.exception)
    arguments = ("--overwrite", "--rows", 2, "--max-identity", 1)
    assert "2 of 4 rows" in msa("filter", "one.a3m", "out.a3m", *arguments).stdout


@pytest.mark.parametrize("name", ["out.fasta", "out.sto", "out.a3m"])
def test_convert_keeps_everything(files, name):
    assert msa("convert", "one.a3m", name).exit_code == 0
    read = read_alignment(Path(name), query="ACDEFG")
    assert read.texts == read_alignment(Path("one.a3m"), query=None).texts
    assert read.species == ("", "9606", "10090", "")


def test_convert_and_plot_name_the_formats_they_write(files):
    assert ".sto" in str(msa("convert", "one.a3m", "out.xyz").exception)
    assert ".svg" in str(msa("plot", "one.a3m", "out.png").exception)


def test_plot(files):
    assert msa("plot", "one.a3m", "out.svg").exit_code == 0
    assert "one.a3m</text>" in Path("out.svg").read_text()


def test_pair(files):
    done = msa("pair", "one.a3m", "light=two.a3m", "--out", "pairs")
    assert done.exit_code == 0
    assert "1 rows pair 2 chains" in done.stdout
    assert (
        Path("pairs/pairs.tsv").read_text()
        == "species\trow_A\trow_light\nquery\t1\t1\n9606\t2\t2\n"
    )
    assert read_alignment(Path("pairs/A.paired.a3m"), query="ACDEFG").texts == ("ACDEFG", "ACDEFW")
    assert len(read_alignment(Path("pairs/light.unpaired.a3m"), query="KLMN")) == 2


def test_pair_refuses_names_given_twice_and_rows_without_taxonomy(files):
    done = msa("pair", "B=one.a3m", "two.a3m", "--out", "pairs")
    assert "given twice" in str(done.exception)
    Path("silent.a3m").write_text(">q\nKLMN\n>MGYP1\nKLM-\n")
    done = msa("pair", "one.a3m", "silent.a3m", "--out", "pairs")
    assert "chain B: none of the 1 rows" in str(done.exception)
    assert not Path("pairs").exists()


def test_several_files_folders_and_patterns(files):
    Path("in").mkdir()
    Path("in/x.a3m").write_text(ONE)
    Path("in/y.sto.gz").write_bytes(Path("one.a3m").read_bytes())
    Path("in/bad.a3m").write_text(">q\nAC\n>r\nA\n")
    Path("in/x.fasta").write_text(">q\nACDEFG\n")
    done = msa("info", "in", "t*.a3m", "--json")
    assert done.exit_code == 2
    assert list(json.loads(done.stdout)) == ["in/x.a3m", "in/y.sto.gz", "two.a3m"]
    assert "x.fasta (no alignment" in done.stderr and "in/bad.a3m: row 2" in done.stderr
    done = msa("filter", "in", "one.a3m", "thin")
    assert done.exit_code == 2
    assert sorted(path.name for path in Path("thin").iterdir()) == ["one.a3m", "x.a3m", "y.a3m"]
    assert msa("convert", "one.a3m", "two.a3m", "out", "--format", "sto").exit_code == 0
    assert read_alignment(Path("out/one.sto"), query=None).species[1] == "9606"
    assert ".sto" in str(msa("convert", "one.a3m", "two.a3m", "out").exception)
    assert msa("plot", "*.a3m", "pictures").exit_code == 0
    assert len(list(Path("pictures").glob("*.svg"))) == 2
    assert msa("pair", "?[nw]?.a3m", "--out", "paired").exit_code == 0
    assert Path("paired/B.paired.a3m").exists()


def test_two_files_of_one_name_do_not_replace_each_other(files):
    Path("in").mkdir()
    Path("in/one.a3m").write_text(TWO)
    done = msa("filter", "one.a3m", "in/one.a3m", "thin")
    assert done.exit_code == 2
    assert "in/one.a3m: thin/one.a3m is of one.a3m already" in done.stderr
    assert Path("thin/one.a3m").read_text().startswith(">q\nACDEFG")
