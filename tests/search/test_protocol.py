import gzip
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itda.errors import InputError
from itda.search.protocol import (
    DamagedArchiveError,
    format_query,
    is_foreign_id,
    is_own_id,
    join_blocks,
    pack_archive,
    parse_mode,
    parse_query,
    read_archive,
    split_blocks,
    ticket_id,
)

UNIREF, BFD = "uniref.a3m", "bfd.mgnify30.metaeuk30.smag30.a3m"


def parse(text):
    return parse_query(text, max_sequences=3, max_length=10)


@pytest.mark.parametrize(
    ("mode", "files", "templates"),
    [
        ("env", (UNIREF, BFD), True),
        ("all", (UNIREF,), True),
        ("", (UNIREF,), True),
        ("env-notemplates", (UNIREF, BFD), False),
    ],
)
def test_modes_of_alignments(mode, files, templates):
    parsed = parse_mode("msa", mode)
    assert parsed.files == files
    assert parsed.templates is templates


@pytest.mark.parametrize(
    ("mode", "complete"),
    [("pairgreedy", False), ("pairgreedy-env", False), ("paircomplete-env", True), ("", False)],
)
def test_modes_of_pairing(mode, complete):
    parsed = parse_mode("pair", mode)
    assert parsed.files == ("pair.a3m",)
    assert parsed.complete is complete
    assert not parsed.templates


@pytest.mark.parametrize(
    ("kind", "mode", "said"),
    [
        ("msa", "env-nofilter", "nofilter"),
        ("msa", "m8output", "m8output"),
        ("msa", "pairgreedy", "pairgreedy"),
        ("pair", "pairgreedy-pairwise", "pairwise"),
        ("pair", "pairgreedy-paircomplete", "not both"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(kind, mode, said):
    with pytest.raises(InputError, match=said):
        parse_mode(kind, mode)


def test_queries():
    assert parse(">101\nMKT\nAYI\n>102 two  words\r\nmkv\n\n") == (
        ("101", "MKTAYI"),
        ("102 two words", "MKV"),
    )
    assert parse(format_query(["MKT", "AY"])) == (("101", "MKT"), ("102", "AY"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no sequence"),
        ("MKT", "line 1"),
        (">101\n", "empty"),
        (">101\n>102\nMKT", "empty"),
        (">101\nMK T", "no residue"),
        (">101\nMK-T", "no residue"),
        (">101\nMKT*", "no residue"),
        (">101\nMKÅ", "no residue"),
        (">101\nMK\0T", "no residue"),
        (">\nMKT", "no name"),
        (">101\nMKT\n>101\nMKV", "one name"),
        (">101\n" + "M" * 11, "11 residues; 10 is the most"),
        (">1\nM\n>2\nM\n>3\nM\n>4\nM", "4 sequences in one ticket; 3"),
    ],
)
def test_queries_that_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        parse(text)


def test_ids_are_of_the_content():
    identity = ticket_id(">101\nMKT\n", "msa", "env")
    assert is_own_id(identity)
    assert identity == ticket_id(">101\nMKT\n", "msa", "env")
    others = {
        ticket_id(">101\nMKV\n", "msa", "env"),
        ticket_id(">101\nMKT\n", "pair", "env"),
        ticket_id(">101\nMKT\n", "msa", "all"),
        ticket_id(">101\nMKT\nenv", "msa", ""),
    }
    assert len(others | {identity}) == 5
    for wrong in ("..", "../" * 12 + "aa", identity + "a", identity[:-1] + "/", identity + "\n"):
        assert not is_own_id(wrong)
        assert wrong == identity + "a" or wrong == ".." or not is_foreign_id(wrong)


def test_the_first_word_of_a_block_names_it():
    text = join_blocks([">101 x\nMKT\n>a\nMK-\n", ">102\nAY", ">101\nMKT\n"])
    assert split_blocks(text) == {
        "101": [">101 x\nMKT\n>a\nMK-\n", ">101\nMKT\n"],
        "102": [">102\nAY\n"],
    }


@pytest.mark.parametrize("text", ["MKT\n\0", ">\nMKT\n\0", "> \n\0"])
def test_a_block_without_a_name(text):
    with pytest.raises(DamagedArchiveError):
        split_blocks(text)


@given(
    st.lists(
        st.tuples(
            st.text("abc123|_/ \t", min_size=1).filter(str.strip), st.text("ACD-", min_size=1)
        ),
        max_size=6,
        unique_by=lambda row: row[0].split()[0],
    )
)
def test_blocks_there_and_back(rows):
    blocks = [f">{name.strip()}\n{sequence}\n" for name, sequence in rows]
    assert [one for own in split_blocks(join_blocks(blocks)).values() for one in own] == blocks


def test_an_archive_is_what_tar_reads(tmp_path):
    path = tmp_path / "result.tar.gz"
    files = {UNIREF: ">101\nMKT\n\0", "pdb70.m8": ""}
    path.write_bytes(pack_archive(files))
    assert path.read_bytes() == pack_archive(files)
    with tarfile.open(path) as archive:
        assert archive.getnames() == list(files)
    assert read_archive(path, [UNIREF, "pdb70.m8"]) == files
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert read_archive(path, [UNIREF]) == {UNIREF: files[UNIREF]}


def test_every_cut_of_an_archive_is_noticed(tmp_path):
    path = tmp_path / "result.tar.gz"
    whole = pack_archive({UNIREF: ">101\nMKT\n>a\nMK-\n\0"})
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedArchiveError):
            read_archive(path, [UNIREF])


def test_no_altered_byte_alters_the_alignment(tmp_path):
    path = tmp_path / "result.tar.gz"
    text = ">101\nMKT\n>a\nMK-\n\0"
    whole = pack_archive({UNIREF: text})
    noticed = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert read_archive(path, [UNIREF])[UNIREF] == text
        except DamagedArchiveError:
            noticed += 1
    # Some bytes of gzip's header, and bits that fill its last byte, say nothing.
    assert noticed > 0.9 * len(whole)
