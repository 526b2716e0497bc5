import gzip

import pytest

from itda.errors import InputError
from itda.search.alignments.alignment import merge
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
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + STOCKHOLM.encode(), mtime=0))
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
        ("q MKTAYW\n", "line 1 stands before the first '>'"),
        ("CLUSTAL W\n\nq MKT AYW\n", "line 3 is no row of an alignment"),
        ("CLUSTAL W\n\nq MKTAYW\nq MKTAYW\n", "line 4 has the name q a second time"),
        ("CLUSTAL W\n\n", "holds no sequence"),
        (" 2 6\nq MKTAYW\nr MKTAYW\n", "is an alignment in PHYLIP"),
        ("#NEXUS\nbegin data;\n", "is an alignment in NEXUS"),
        ("PileUp\n\n MSF: 6 Type: P\n", "is an alignment in MSF"),
        ("HMMER3/f [3.4]\nNAME x\n", "is a profile of HMMER"),
        ("HHsearch 1.5\nNAME x\n", "is a profile of HH-suite"),
        ("BLASTP 2.14.0+\n", "is a result of BLAST"),
        ('{"version": 1}', "is JSON"),
        ("<html>", "is an HTML or XML page"),
        (">q\nMKTAYW\n\0>r\nMKTAYW\n", "line 3 holds a null byte"),
        (">q\nMKTAYW\n>r\nMKTAY\n", "row 2 .r. has 5 columns, the query 6"),
        (">q\nMKTAYW\n>r\nMKtaYW\n", "row 2 .r. has 4 columns, the query 6 .and 2 lower-case"),
        (">q\nMKTAYW\n>r\n\n", "row 2 .r. has 0 columns"),
        (">q\nMKTAYW\n>r\nMKT YW\n", "row 2 .r. has 5 columns, the query 6"),
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
        (gzip.compress(b">q\nMKTAYW\n", mtime=0)[:-9], "cannot be read"),
        (b">q\n\xff\xfd\n", "row 1 .q. has"),
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


ODD = {
    "dots as gaps": (">q\nMKTAYW\n>r\nMKT..W\n", "MKT--W", "dots were read as gaps"),
    "dots as gaps beside insertions": (
        ">q\nMKTAYW\n>r\nMKT..W\n>s\nMKaTAYW\n",
        "MKT--W",
        "dots were read as gaps",
    ),
    "comments": ("; made on a Monday\n>q\nMKTAYW\n;between\n>r\nMKT--W\n# end\n", "MKT--W", ""),
    "lower case throughout": (">q\nmktayw\n>r\nmkt--w\n", "MKT--W", "lower case"),
    "lower case throughout, aligned": (">q\nmk-tayw\n>r\nmkat--w\n", "MKaT--W", "lower case"),
    "stops": (">q\nMKTAYW*\n>r\nMKT--W*\n", "MKT--W", "(stop)"),
    "a stop of the query": (">q\nMKTAYW*\n>r\nMKT--WA\n", "MKT--Wa", "(stop)"),
    "a stop of the query, a gap below": (">q\nMKTAYW*\n>r\nMKT--W-\n", "MKT--W", "(stop)"),
    "a stop of a relative": (">q\nMKTAYW\n>r\nMKT--W*\n", "MKT--W", "(stop)"),
    "two stops": (">q\nMKTAYW**\n>r\nMKT--W--\n", "MKT--W", "(stop)"),
    "a stop, aligned": (">q\nMK-TAYW*\n>r\nMKAT--W*\n", "MKaT--W", "(stop)"),
    "rare letters": (">q\nMUTAYW\n>r\nMKT--W\n", "MKT--W", "U at 2 read as X"),
    "a tab after the name": (
        ">ss_pred\tby hand\nCCCCCC\n>aa_dssp\nMKTAYW\n>q\nMKTAYW\n>r\nMKT--W\n",
        "MKT--W",
        "left out: ss_pred, aa_dssp",
    ),
    "a consensus": (
        ">Consensus\nMKxxYW\n>q_consensus\nMKxxYW\n>q\nMKTAYW\n>r\nMKT--W\n".replace("x", "A"),
        "MKT--W",
        "left out: Consensus, q_consensus",
    ),
    "a null byte at the end": (">q\nMKTAYW\n>r\nMKT--W\n\0", "MKT--W", "null bytes"),
    "null bytes and blank lines": (">q\nMKTAYW\n>r\nMKT--W\n\0\n\0\n", "MKT--W", "null bytes"),
    "blank lines": ("\n>q\n\nMKT\n\nAYW\n\n>r\nMKT--W\n\n", "MKT--W", ""),
    "old Macintosh lines": (">q\rMKTAYW\r>r\rMKT--W\r", "MKT--W", ""),
    "blocks": (">q\nMKT AYW\n>r\nMKT --W\n", "MKT--W", "blanks"),
    "numbers": (">q\n1 MKT 3\n4 AYW 6\n>r\n1 MKT--W 4\n", "MKT--W", "numbers"),
    "no-break spaces and dashes": (
        ">q\nMKT\u00a0AYW\n>r\nMKT\u2013\u2212W\n",
        "MKT--W",
        "typographic",
    ),
    "other marks of gaps": (">q\nMKTAYW\n>r\nMKT~_W\n", "MKT--W", ""),
    "a byte order mark": ("\ufeff>q\nMKTAYW\n>r\nMKT--W\n", "MKT--W", ""),
    "CLUSTAL": (
        "CLUSTAL W (1.83) multiple sequence alignment\n\n\nq   MK-TA 4\nr   MKAT- 4\n    **:* \n\n"
        "q   YW 6\nr   -W 5\n     *\n",
        "MKaT--W",
        "",
    ),
    "MUSCLE": ("MUSCLE (3.8) multiple sequence alignment\n\nq MKTAYW\nr MKT--W\n", "MKT--W", ""),
    "PIR": (
        ">P1;q\nsequence:q:1: :6: :ubiquitin\nMK-TAYW*\n>P1;r\nmade by hand\nMKAT--W*\n",
        "MKaT--W",
        "(stop)",
    ),
    "Stockholm": ("# STOCKHOLM 1.0\n#=GF ID x\nq MKTAYW\nr MKT..W\n//\n", "MKT--W", ""),
    "Stockholm, a stop": ("# STOCKHOLM 1.0\nq MKTAYW*\nr MKT..W*\n//\n", "MKT--W", "(stop)"),
}


@pytest.mark.parametrize(("text", "second", "said"), ODD.values(), ids=ODD)
def test_alignments_as_people_have_them(text, second, said):
    query = "MXTAYW" if "MUTAYW" in text else QUERY
    alignment = parse(text, query)
    assert alignment.query == query
    assert alignment.texts[1] == second
    assert said in "; ".join(alignment.notes)
    assert bool(said) == bool(alignment.notes)
    for number in range(len(alignment)):
        assert len(alignment.rows[number]) == len(query)


@pytest.mark.parametrize(
    ("row", "query"),
    [("MUT", "MXT"), ("MUT", "MCT"), ("MOT", "MKT"), ("MBT", "MDT"), ("MBT", "MNT"), ("MZT", "MQT"),
     ("MJT", "MIT"), ("MXT", "MKT"), ("MKT", "MXT"), ("MUT*", "MXT")],
)  # fmt: skip
def test_rare_letters_are_the_residues_that_they_stand_for(row, query):
    alignment = parse(f">q\n{row}\n>r\nMKT\n", query)
    assert alignment.query == query
    assert f"at 2 read as {query[1]}" in "; ".join(alignment.notes)


@pytest.mark.parametrize(("row", "query"), [("MUT", "MKT"), ("MBT", "MET"), ("MRT", "MKT")])
def test_other_letters_are_no_query(row, query):
    with pytest.raises(InputError, match=r"is not the query: .*position 2 is"):
        parse(f">q\n{row}\n", query)


def test_names_in_latin1_and_files_in_utf16_are_read(tmp_path):
    path = tmp_path / "x.a3m"
    path.write_bytes(">q\nMKTAYW\n>r from Orléans\nMKT--W\n".encode("latin-1"))
    alignment = read_alignment(path, query=QUERY)
    assert alignment.names[1] == "r from Orléans"
    assert "Latin-1" in alignment.notes[0]
    path.write_bytes(">q\nMKTAYW\n>r from Orléans\nMKT--W\n".encode("utf-16"))
    assert read_alignment(path, query=QUERY).names == alignment.names


def test_the_description_of_pir_goes_to_the_name():
    alignment = parse(">P1;q\nsequence:q\nMKTAYW*\n>P1;r\n\nMKT--W*\n")
    assert alignment.names == ("q sequence:q", "r")


def test_a_consensus_that_is_folded_is_no_annotation():
    alignment = parse(">my_consensus\nMKTAYW\n>r\nMKT--W\n")
    assert alignment.names[0] == "my_consensus" and not alignment.notes


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


RNA = "AGCUN"


@pytest.mark.parametrize(
    "text",
    [
        ">q\nAGCUN\n>r\nAacGC-R\n",
        ">q\nAGCTN\n>r\nAacGC-R\n",
        ">q\nagctn\n>r\nagc-r\n",
        ">q\nAGC--UN\n>r\nAGCGG-R\n",
        "# STOCKHOLM 1.0\nq AGC..UN\nr AGCGG.R\n//\n",
    ],
)
def test_rows_of_rna_have_numbers_of_their_own(text) -> None:
    """AlphaFold 3's: A, G, C, U are 22 to 25, a gap 21, other letters 30."""
    alignment = parse_alignment(text, query=RNA, where="here", molecule="rna")
    assert alignment.rows.tolist() == [[22, 23, 24, 25, 30], [22, 23, 24, 21, 30]]
    assert alignment.texts[0] == RNA and alignment.molecule == "rna"
    assert ("T was read as U" in alignment.notes) == ("GCT" in text.upper())
    assert alignment.select([0]).molecule == merge([alignment, alignment]).molecule == "rna"
    assert alignment.with_source("rfam") != alignment and alignment.with_source("") == alignment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">q\nAGCUN\n>r\nAGCEN\n", "row 2 (r) has 'E' in column 4"),
        (">q\nAGCUN\n>r\nAGCU\n", "row 2 (r) has 4 columns, the query 5"),
        (">q\nAGCUA\n", "row 1 (q) is not the query"),
        (">q\nMKTAY\n", "row 1 (q) is not the query"),
    ],
)
def test_wrong_rows_of_rna_are_refused(text, said) -> None:
    with pytest.raises(InputError) as caught:
        parse_alignment(text, query=RNA, where="here", molecule="rna")
    assert said in str(caught.value)


def test_the_same_letters_are_another_alignment_of_another_molecule() -> None:
    protein, rna = (
        parse_alignment(">q\nAGC\n", query="AGC", where="here", molecule=molecule)
        for molecule in ("protein", "rna")
    )
    assert protein != rna and protein.rows.tolist() != rna.rows.tolist()
