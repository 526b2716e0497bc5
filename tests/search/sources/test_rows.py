import dataclasses
import json

import pytest

from itda.errors import DataError, InputError
from itda.search.databases.database import MANIFEST
from itda.search.sources.rows import (
    FoundRow,
    check_databases,
    database_keys,
    databases_title,
    decode_rows,
    encode_rows,
    gather,
)


def row(text, name, e_value=1e-5):
    return FoundRow(e_value, text, name)


def test_rows_come_back_as_they_were():
    rows = [
        row("MK-tA", "a\tb c", 1.2345678901234567e-308),
        row("--KA", "sp|P1|Ä_HUMAN OX=9606", 0.0),
    ]
    assert decode_rows(encode_rows(rows)) == rows
    assert decode_rows(encode_rows([])) == []


def test_databases_follow_each_other_and_tag_their_rows():
    alignment = gather(
        "MKTA", [("one", [row("MKTV", "a"), row("M-TV", "b")]), ("two", [row("-KTA", "c")])]
    )
    assert alignment.names == ("query", "a", "b", "c")
    assert alignment.source == ("", "one", "one", "two")


def test_rows_that_agree_are_kept_once_where_they_come_first():
    alignment = gather(
        "MKTA",
        [
            ("one", [row("MKTA", "the query itself"), row("MKTV", "a")]),
            ("two", [row("MKTV", "b"), row("MaKTV", "with an insertion"), row("MKT-", "c")]),
        ],
    )
    assert alignment.names == ("query", "a", "c")
    assert alignment.source == ("", "one", "two")


def test_rows_of_two_species_are_kept_both():
    found = [row("MKTA", "x OX=9606"), row("MKTA", "y OX=10090"), row("MKTA", "z OX=9606")]
    alignment = gather("MKTA", [("one", found)])
    assert alignment.species == ("", "9606", "10090")


def test_a_first_hit_equal_to_the_query_does_not_take_its_name():
    assert gather("MKTA", [("one", [row("MKTA", "hit OX=9606")])]).names[0] == "query"


def test_nothing_found_is_the_query_alone():
    assert gather("MKTA", [("one", []), ("two", [])]).texts == ("MKTA",)


def test_keys_are_names_and_digests(whole, cut):
    assert database_keys([whole, cut]) == [
        {"name": "whole", "digest": whole.digest},
        {"name": "cut", "digest": cut.digest},
    ]
    assert whole.digest != cut.digest


def test_a_replaced_database_is_named(whole):
    before = dataclasses.replace(whole, digest="sha256:another")
    with pytest.raises(DataError, match="database whole was replaced"):
        database_keys([before])


def test_a_missing_database_is_named(whole, tmp_path):
    gone = dataclasses.replace(whole, folder=tmp_path / "whole")
    with pytest.raises(DataError, match="whole"):
        database_keys([gone])
    assert json.loads((whole.folder / MANIFEST).read_text())


def test_title_gives_sizes(whole):
    assert databases_title([whole]) == "whole (97 sequences)"


def test_each_database_once_and_at_least_one(whole):
    with pytest.raises(InputError, match="needs a database"):
        check_databases("mmseqs", [])
    with pytest.raises(InputError, match="whole is named twice"):
        check_databases("mmseqs", [whole, whole])
