import pytest

from itda.errors import InputError
from itda.search.alignments.alignment import Alignment
from itda.search.protocol import parse_mode
from itda.search.service.results import archive_files

FIRST = Alignment.from_aligned(
    "MKT", ["a OX=9606", "b OX=10090", "c OX=4932"], ["MKa-", "-KT", "M--"]
)
SECOND = Alignment.from_aligned("AYI", ["d OX=10090", "e OX=9606"], ["AY-", "-YI"])
THIRD = Alignment.from_aligned("GGG", ["f OX=10090"], ["GG-"])
QUERIES = {"101": "MKT", "102": "AYI", "103": "GGG"}


def files(mode, *alignments, kind="msa"):
    names = list(QUERIES)[: len(alignments)]
    return archive_files(parse_mode(kind, mode), names, alignments, made_by="fake")


def test_files_by_mode():
    alone = ["uniref.a3m", "pdb70.m8", "made_by.txt"]
    assert list(files("all", FIRST)) == alone
    assert list(files("env", FIRST)) == [alone[0], "bfd.mgnify30.metaeuk30.smag30.a3m", *alone[1:]]
    assert list(files("env-notemplates", FIRST))[-2:] == [
        "bfd.mgnify30.metaeuk30.smag30.a3m",
        "made_by.txt",
    ]


def test_insertions_and_headers_are_kept():
    made = files("all", FIRST, SECOND)
    assert made["uniref.a3m"] == (
        ">101\nMKT\n>a OX=9606\nMKa-\n>b OX=10090\n-KT\n>c OX=4932\nM--\n\0"
        ">102\nAYI\n>d OX=10090\nAY-\n>e OX=9606\n-YI\n\0"
    )


def rows_of(text):
    """Return names and rows of each block, by a reading of its own."""
    blocks = []
    for block in text.split("\0")[:-1]:
        lines = block.splitlines()
        blocks.append(list(zip(lines[::2], lines[1::2], strict=True)))
    return blocks


def test_greedy_pairing_takes_what_two_chains_share():
    first, second, third = rows_of(
        files("pairgreedy", FIRST, SECOND, THIRD, kind="pair")["pair.a3m"]
    )
    assert first == [(">101", "MKT"), (">b OX=10090", "-KT"), (">a OX=9606", "MKa-")]
    assert second == [(">102", "AYI"), (">d OX=10090", "AY-"), (">e OX=9606", "-YI")]
    assert third == [(">103", "GGG"), (">f OX=10090", "GG-"), (">DUMMY", "---")]


def test_complete_pairing_takes_what_all_chains_share():
    first, second, third = rows_of(
        files("paircomplete-env", FIRST, SECOND, THIRD, kind="pair")["pair.a3m"]
    )
    assert [name for name, _ in first] == [">101", ">b OX=10090"]
    assert [name for name, _ in second] == [">102", ">d OX=10090"]
    assert [name for name, _ in third] == [">103", ">f OX=10090"]


def test_rows_without_species_are_not_paired_in_silence():
    nameless = Alignment.from_aligned("GGG", ["f"], ["GG-"])
    with pytest.raises(InputError, match=r"pairing: chain 102.*species"):
        files("pairgreedy", FIRST, nameless, kind="pair")
