import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import InputError
from itda.features.profile import read_profile


def table(rows, letters=RESTYPES, separator="\t"):
    lines = [separator.join(letters)]
    lines += [separator.join(f"{value:g}" for value in row) for row in rows]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("separator", ["\t", ",", " "])
def test_columns_are_found_by_name(tmp_path, separator):
    path = tmp_path / "p.txt"
    rows = np.zeros((2, 20))
    rows[0, 0], rows[1, 3] = 5, 2
    path.write_text(table(rows, letters=RESTYPES[::-1], separator=separator))
    profile = read_profile(path, query="VY")
    assert profile[0, RESTYPES.index("V")] == 1
    assert profile[1, RESTYPES.index(RESTYPES[::-1][3])] == 1


def test_rows_are_brought_to_a_sum_of_one_and_zeros_stay(tmp_path):
    path = tmp_path / "p.txt"
    rows = np.vstack([np.full(20, 3.0), np.zeros(20)])
    path.write_text(table(rows))
    np.testing.assert_allclose(read_profile(path, query="AX").sum(1), [1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column A"),
        (table(np.ones((1, 20))), "1 rows, the sequence 2"),
        (table(np.ones((2, 20)) * -1), "row 1 holds a value below 0"),
        (table(np.ones((2, 20))).replace("\n1\t", "\nx\t", 1), "row 1: could not convert"),
        ("residue\t" + table(np.ones((2, 20))).replace("\n1\t", "\nA\t1\t"), "row 2 is for A"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "mine.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_profile(path, query="AC")
    assert "mine.tsv" in str(caught.value)
