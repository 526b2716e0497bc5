import pytest

from itda.errors import InputError
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import parse_alignment
from itda.search.alignments.writers import to_fasta, to_stockholm

ALIGNMENT = Alignment.from_aligned(
    "MKTAY",
    ("first Kinase OX=9606", "second", "third"),
    ("aMKTAvvY", "MKcTA-", "--TAYww"),
)


def test_insertions_have_columns_of_their_own():
    assert to_fasta(ALIGNMENT).splitlines()[1::2] == [
        "-MK-TA--Y--",
        "AMK-TAVVY--",
        "-MKCTA-----",
        "----TA--YWW",
    ]


@pytest.mark.parametrize("write", [to_fasta, to_stockholm])
def test_what_is_written_reads_back_as_it_was(write):
    read = parse_alignment(write(ALIGNMENT), query="MKTAY", where="text")
    assert (read.names, read.texts) == (ALIGNMENT.names, ALIGNMENT.texts)
    assert read.species == ALIGNMENT.species == ("", "9606", "", "")


def test_biotite_reads_the_rows():
    from io import StringIO

    from biotite.sequence.io.fasta import FastaFile

    file = FastaFile.read(StringIO(to_fasta(ALIGNMENT)))
    assert {len(row) for _, row in file.items()} == {11}


def test_names_that_stockholm_cannot_write():
    twice = Alignment.from_aligned("MK", ("r one", "r two"), ("MM", "KK"))
    with pytest.raises(InputError, match="2 rows are called 'r'"):
        to_stockholm(twice)
    with pytest.raises(InputError, match="no name"):
        to_stockholm(Alignment.from_aligned("MK", ("",), ("MM",)))
