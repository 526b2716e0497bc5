import subprocess
import sys

import pytest

from itda.errors import DataError, InputError
from itda.search.sources.choose import CHOICES, choose_source
from itda.search.sources.hmmer import HmmerSource
from itda.search.sources.mmseqs import MmseqsSource
from itda.search.sources.none import NoSource
from itda.search.sources.server import ServerSource
from tests.search.sources.family import family, make_database
from tests.sequences import needs_mmseqs


@pytest.mark.parametrize(
    ("text", "program", "iterations"),
    [
        ("hmmer", "jackhmmer", 1),
        ("hmmer:jackhmmer", "jackhmmer", 1),
        ("hmmer:jackhmmer:3", "jackhmmer", 3),
        ("hmmer:phmmer", "phmmer", 1),
    ],
)
def test_hmmer_and_its_programs(whole, text, program, iterations):
    source = choose_source(text, databases=[whole], threads=2)
    assert source == HmmerSource((whole,), program, iterations, threads=2)


@needs_mmseqs
def test_mmseqs(whole, cut):
    source = choose_source("mmseqs", databases=[whole, cut], threads=2)
    assert source == MmseqsSource((whole, cut), threads=2)
    assert source.title == "mmseqs in whole (97 sequences), cut (97 sequences)"


def test_none_and_server():
    assert choose_source("none") == NoSource()
    server = choose_source("server:http://127.0.0.1:1")
    assert isinstance(server, ServerSource)
    assert "127.0.0.1:1" in server.title


@pytest.mark.parametrize(
    "text", ["", "mmseq", "hmmer:", "hmmer:hmmsearch", "hmmer:phmmer:3", "HMMER", "mmseqs:x"]
)
def test_what_names_no_source_is_told_the_choices(whole, text):
    with pytest.raises(InputError) as caught:
        choose_source(text, databases=[whole])
    assert all(f"`{name}`" in caught.value.hint for name, _ in CHOICES)


@pytest.mark.parametrize("text", ["mmseqs", "hmmer", "hmmer:phmmer"])
def test_a_search_without_a_database_is_told_how_to_get_one(text):
    with pytest.raises(InputError, match="needs a database") as caught:
        choose_source(text)
    assert "itda db add" in caught.value.hint


@pytest.mark.parametrize("text", ["none", "server:http://127.0.0.1:1"])
def test_a_database_that_would_not_be_searched_is_refused(whole, text):
    with pytest.raises(InputError, match="--db names whole"):
        choose_source(text, databases=[whole])


def test_mmseqs_needs_its_files(tmp_path):
    plain = make_database(tmp_path, "plain", family()[1][:5], mmseqs=False)
    with pytest.raises(DataError, match="plain was built without MMseqs2"):
        choose_source("mmseqs", databases=[plain])
    assert choose_source("hmmer", databases=[plain])


def test_no_iterations_are_refused(whole):
    with pytest.raises(InputError, match="0 iterations"):
        choose_source("hmmer:jackhmmer:0", databases=[whole])
    with pytest.raises(InputError, match="2 iterations or more, not 1"):
        MmseqsSource((whole,), iterations=1)


def test_choosing_imports_no_pyhmmer():
    code = (
        "import sys, itda.search.sources.choose; "
        "sys.exit(any(name in sys.modules for name in ('pyhmmer', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
