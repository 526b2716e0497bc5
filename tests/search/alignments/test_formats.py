import gzip

import pytest

from itda.errors import InputError
from itda.search.alignments.formats import parse_alignment, read_alignment

QUERY = "MKTAYW"
STOCKHOLM = """# STOCKHOLM 1.0
#=GF ID example
#=GS second DE Kinase OS=Homo sapiens OX=9606

query  MK-TA
second MKaTA
#=GR second PP 99999
#=GC RF xx.xx
third  -KcT-

query  Y.W
second YvW
third  Y~-
#=GC RF x.x
//
"""
ROWS = ("MKTAYW", "MKaTAYvW", "-KcT-Y-")


def parse(text, query=QUERY):
    return parse_alignment(text, query=query, where="here.a3m")


def test_wrapped_stockholm_with_annotation():
    alignment = parse(STOCKHOLM)
    assert alignment.names[:2] == ("query", "second Kinase OS=Homo sapiens OX=9606")
    assert alignment.species == ("", "9606", "")
    assert alignment.texts == ("MKTAYW", "MKaTAYvW", "-KcT-Y-")
    assert alignment.deletions[1].tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "text",
    [
        ">query\nMK-TAY-W\n>second\nMKATAYVW\n>third\n-KCT-Y--\n",
        ">query\nMK.TAY.W\n>second\nMKATAYVW\n>third\n.KCT.Y..\n",
        ">query\r\nMK.TAY.W\r\n>second\r\nMKaTAYvW\r\n>third\r\n-KcT-Y.-\r\n",
        ">query\nMKTA\nYW\n>second\nMKaTA\nYvW\n>third\n-KcT\n-Y-\n",
    ],
    ids=["FASTA", "FASTA with dots", "A2M, Windows lines", "A3M, wrapped"],
)
def test_formats_of_one_alignment_agree(text):
    assert parse(text).texts == parse(STOCKHOLM).texts


def test_gzip_and_byte_order_mark(tmp_path):
    path = tmp_path / "x.sto.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + STOCKHOLM.encode()))
    assert read_alignment(path, query=QUERY) == parse(STOCKHOLM)


def test_header_lines_of_colabfold_and_hhsuite():
    text = (
        "#6\t1\n#A3M#\n>ss_conf\n987651\n>ss_pred PSIPRED\nCCHHCC\n>101\nMKTAYW\n>101\tx\nMKTAYW\n"
    )
    alignment = parse(text)
    assert alignment.names == ("101", "101\tx")


def test_alignment_of_a_complex_is_refused():
    with pytest.raises(InputError, match="of 2 chains, of 6,3 residues"):
        parse("#6,3\t1,1\n>101\t102\nMKTAYWMKT\n")


def test_names_may_repeat_and_ambiguous_letters_are_kept():
    alignment = parse(">q\nMKTAYW\n>same\nBZXJ*-\n>same\nUOuoTAYW\n")
    assert alignment.names[1:] == ("same", "same")
    assert alignment.rows[1].tolist() == [20, 20, 20, 20, 20, 21]
    assert alignment.to_a3m().splitlines()[3::2] == ["BZXJ*-", "UOuoTAYW"]


def test_without_a_query_the_first_row_is_taken():
    assert parse(">q\nMKT\n", query=None).query == "MKT"
    # Hits of a profile search, whose query is not among them: columns stay as they are.
    hits = parse(">hit\nM-aT\n>other\nMK-\n", query=None)
    assert (hits.query, hits.length) == ("M-T", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "here.a3m: holds no sequence"),
        ("\n\n", "holds no sequence"),
        ("# STOCKHOLM 1.0\n//\n", "holds no sequence"),
        (">q\n\n", "row 1 .q. has no residues"),
        ("CLUSTAL W\n\nq MKTAYW\n", "line 1 stands before the first '>'"),
        (">q\nMKTAYW\n\0>r\nMKTAYW\n", "line 3 holds a null byte"),
        (">q\nMKTAYW\n>r\nMKTAY\n", "row 2 .r. has 5 columns, the query 6"),
        (">q\nMKTAYW\n>r\nMKtaYW\n", "row 2 .r. has 4 columns, the query 6 .and 2 lower-case"),
        (">q\nMKTAYW\n>r\n\n", "row 2 .r. has 0 columns"),
        (">q\nMKTAYW\n>r\nMKT YW\n", "row 2 .r. has ' ' in column 4"),
        (">q\nMKTAYW\n>r\nMKTÄYW\n", "row 2 .r. has 'Ä' in column 4"),
        (">q\nMK-TAYW\n>r\nMKTAYW\n", "row 1 .q. is not the query: it has gaps"),
        (">r\nMKTAYV\n>q\nMKTAYW\n", "row 1 .r. is not the query, which stands in row 2 .q."),
        (">q\nMKtaYW\n", "row 1 .q. is not the query: 2 of its residues are in lower case"),
        (">q\nMKTAYV\n", "position 6 is V, not W"),
        (">q\nMKT\n", "it has 3 residues, the query 6"),
        ("msas/1abc.a3m", "holds the path msas/1abc.a3m"),
        ("/data/x.sto.gz\n", "holds the path"),
        ("# STOCKHOLM 1.0\nq MKTAYW\nq MKTAYW\n//\n", "line 3 has the name q a second time"),
        ("# STOCKHOLM 1.0\nq MKT\n\nr AYW\n//\n", "line 4: the row r stands in 0 of the 1 blocks"),
        ("# STOCKHOLM 1.0\nq MKTAYW\nr MKT\n//\n", "row 2 .r. has 3 columns, row 1 6"),
        ("# STOCKHOLM 1.0\nq MKT AYW\n//\n", "line 2 is no row"),
        ("# STOCKHOLM 1.0\nq MKTAYW\n//\n# STOCKHOLM 1.0\nq MK\n//\n", "second alignment"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(InputError, match=said) as caught:
        parse(text, query=None if "no residues" in said else QUERY)
    assert "here.a3m" in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xfd7zXZ\x00rest", "packed with xz"),
        (b"\x28\xb5\x2f\xfdrest", "packed with zstd"),
        (b"\x1f\x8bjunk", "cannot be read"),
        (gzip.compress(b">q\nMKTAYW\n")[:-9], "cannot be read"),
        (b">q\n\xff\xfe\n", "cannot be read"),
        (None, "No such file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "my.a3m"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_alignment(path, query=None)
    assert "my.a3m" in caught.value.problem


def test_biotite_reads_the_same_rows(tmp_path):
    from biotite.sequence.align import get_codes
    from biotite.sequence.io.fasta import FastaFile, get_a3m_alignments

    text = ">query\nMKTAYW\n>second\nMKaTAYvW\n>third\n-KcT-Y-\n"
    path = tmp_path / "x.a3m"
    path.write_text(text)
    pairs = get_a3m_alignments(FastaFile.read(path))
    ours = read_alignment(path, query=None)
    for number, pair in enumerate(pairs, start=1):
        of_query, of_row = get_codes(pair)
        in_columns = of_row[of_query >= 0]
        assert ((in_columns < 0) == ~ours.is_residue[number]).all()
        letters = "".join(
            "-" if place < 0 else str(pair.sequences[1])[place]
            for place in pair.trace[of_query >= 0, 1]
        )
        assert letters == "".join(one for one in ours.texts[number] if not one.islower())
