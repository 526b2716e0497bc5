import gzip
import hashlib

import numpy as np
import pytest

from itda.errors import InputError
from itda.search.alignments.alignment import GAP_INDEX, Alignment, merge
from itda.search.alignments.formats import read_alignment

QUERY = "MKTAY"


def write(tmp_path, text, name="x.a3m"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_insertions_leave_and_gaps_stay(tmp_path):
    path = write(tmp_path, ">q\nMKTAY\n>one\nMK-aaAY\n>two\n-KT..AB\n")
    alignment = read_alignment(path, query=QUERY)
    assert alignment.names == ("q", "one", "two")
    assert alignment.rows[1].tolist()[2] == GAP_INDEX
    assert alignment.rows[2].tolist()[4] == 20
    assert alignment.rows.shape == (3, 5)


def test_gzip_comments_and_windows_lines(tmp_path):
    text = "#A3M#\r\n>q\r\nMKT\r\nAY\r\n"
    path = write(tmp_path, gzip.compress(text.encode()))
    assert read_alignment(path, query=QUERY).rows.shape == (1, 5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no sequence"),
        ("MKTAY\n", "line 1 stands before"),
        (">q\nMKTAY\n>bad\nMKT\n", r"row 2 \(bad\) has 3 columns"),
        (">q\nMKTAW\n", "position 5 is W, not Y"),
        (">q\nMKTAY\n\0>q\nMKTAY\n", "line 3 holds a null byte"),
        (">q\nMKTAY\n>odd\nMK1AY\n", "'1' in column 3"),
        (b">q\n\xff\xfe\n", "is not the query: it has 2 residues"),
        (b"\x1f\x8bjunk", "cannot be read"),
        (">q\nMKtay\n", "is not the query"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_row(tmp_path, content, said):
    path = write(tmp_path, content, "my.a3m")
    with pytest.raises(InputError, match=said) as caught:
        read_alignment(path, query=QUERY)
    assert "my.a3m" in str(caught.value)


def test_profile_weighs_as_henikoff_does(tmp_path):
    # The example of Henikoff and Henikoff (1994), table 1: GYVGS, GFDGF, GYDGF, GYQGG.
    path = write(tmp_path, ">a\nGYVGS\n>b\nGFDGF\n>c\nGYDGF\n>d\nGYQGG\n")
    profile = read_alignment(path, query="GYVGS").profile()
    weights = {"a": 0.267, "b": 0.267, "c": 0.200, "d": 0.267}
    y, f = "ARNDCQEGHILKMFPSTWYV".index("Y"), "ARNDCQEGHILKMFPSTWYV".index("F")
    np.testing.assert_allclose(profile.sum(1), 1.0, atol=1e-6)
    np.testing.assert_allclose(profile[1, f], weights["b"], atol=2e-3)
    np.testing.assert_allclose(profile[1, y], 1 - weights["b"], atol=2e-3)


def test_columns_without_residues_are_zero(tmp_path):
    alignment = read_alignment(write(tmp_path, ">q\nMXT\n>r\nM-T\n"), query="MXT")
    assert alignment.profile()[1].sum() == 0


def test_constructor_fills_what_is_left_out():
    alignment = Alignment(("q", "P53_HUMAN"), np.array([[0, 1, 20], [0, 21, 2]]))
    assert alignment.texts == ("ARX", "A-N")
    assert alignment.source == ("", "")
    assert alignment.species == ("", "HUMAN")
    assert alignment.deletions.sum() == 0
    assert (len(alignment), alignment.length, alignment.query) == (2, 3, "ARX")


def test_text_is_kept_and_its_digest_is_that_of_the_file(tmp_path):
    text = ">q\nMKTAY\n>r\td\nxxMK-aBovZ\n"
    path = write(tmp_path, text)
    alignment = read_alignment(path, query=QUERY)
    assert alignment.to_a3m() == text
    assert alignment.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    # Insertions count before the column that follows them.
    assert alignment.deletions.tolist() == [[0] * 5, [2, 0, 0, 1, 2]]


def test_from_aligned_puts_the_query_first_once():
    made = Alignment.from_aligned("MKT", ("a", "b"), ("M.aKT", "--T"), "uniref")
    assert made.names == ("query", "a", "b")
    assert made.source == ("", "uniref", "uniref")
    assert made.texts[1] == "MaKT"
    same = Alignment.from_aligned("MKT", ("q", "b"), ("MKT", "--T"), "uniref")
    assert same.names == ("q", "b")
    assert same.source == ("", "uniref")
    assert len(Alignment.from_aligned("MKT")) == 1
    with pytest.raises(InputError, match=r"hits: row 2 \(a\) has 2 columns, the query 3"):
        Alignment.from_aligned("MKT", ("a",), ("MK",), where="hits")


def test_merge_keeps_the_first_of_equal_rows():
    first = Alignment.from_aligned("MKT", ("a", "b"), ("MK-", "--T"), "one")
    second = Alignment.from_aligned("MKT", ("c", "d", "e"), ("MxxK-", "MMM", "MMM"), "two")
    merged = merge([first, second])
    assert merged.names == ("query", "a", "b", "d")
    assert merged.source == ("", "one", "one", "two")
    assert merged.rows.shape == (4, 3)
    assert len(merge([first, second], deduplicate=False)) == 6
    with pytest.raises(InputError, match="position 3 is Y, not T"):
        merge([first, Alignment.from_aligned("MKY")])


def test_selected_rows_keep_all_that_belongs_to_them():
    made = Alignment.from_aligned("MKT", ("a", "P53_HUMAN"), ("MK-", "-aKT"), "one")
    taken = made.select([0, 2])
    assert taken.texts == ("MKT", "-aKT")
    assert taken.species == ("", "HUMAN")
    assert taken.deletions.tolist() == [[0, 0, 0], [0, 1, 0]]
    assert made.with_source("two").source == ("", "two", "two")
    assert made != made.with_source("two")
    assert made == made.select(range(3))
    assert hash(made) == hash(made.select(range(3)))
