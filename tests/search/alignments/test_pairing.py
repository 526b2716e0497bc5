import itertools
from collections import Counter

import numpy as np
import pytest

from itda.errors import DataError, InputError
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.pairing import ABSENT, GAP_NAME, pair


def alignment(query, *rows):
    """Make an alignment of `species:row` texts."""
    parts = [row.partition(":") for row in rows]
    return Alignment.from_aligned(
        query,
        [
            f"UniRef100_P{number:05}_{species}/" if species else f"MGYP{number}"
            for number, (species, _, _) in enumerate(parts)
        ],
        [text for _, _, text in parts],
        "uniref",
    )


FIRST = alignment("ACDE", "9:WWDE", "9:ACDW", "10:ACWW", "11:AWWW", ":ACDD")
SECOND = alignment("KLM", "10:KLW", "9:KWW", "12:KLL", "13:KLL")
THIRD = alignment("FGH", "10:FGG", "13:FFF")


def test_rows_of_a_species_by_identity():
    paired = pair({"A": FIRST, "B": SECOND})
    # 3 x 1 stands before 2 x 2; of the two rows of 9 the first chain gives the one more like it.
    assert paired.species == ("", "10", "9")
    assert paired.rows.tolist() == [[0, 0], [3, 1], [2, 2]]
    assert paired.count_by_chains() == {2: 2}
    assert len(paired) == 2


def test_rows_of_a_species_by_row():
    paired = pair({"A": FIRST, "B": SECOND}, order="row")
    assert sorted(zip(paired.species, paired.rows.tolist(), strict=True)) == [
        ("", [0, 0]),
        ("10", [3, 1]),
        ("9", [1, 2]),
    ]


def test_more_chains_come_first_and_absent_rows_are_gaps():
    paired = pair({"A": FIRST, "B": SECOND, "C": THIRD})
    assert paired.species == ("", "10", "9", "13")
    assert paired.rows.tolist() == [[0, 0, 0], [3, 1, 1], [2, 2, ABSENT], [ABSENT, 4, 2]]
    assert paired.count_by_chains() == {3: 1, 2: 2}
    assert paired.paired["C"].texts == ("FGH", "FGG", "---", "FFF")
    assert paired.paired["C"].names[2] == GAP_NAME
    assert paired.paired["A"].source == ("", "uniref", "uniref", "")
    assert {len(one) for one in paired.paired.values()} == {4}


def test_unpaired_rows_are_those_not_paired():
    paired = pair({"A": FIRST, "B": SECOND})
    assert paired.unpaired["A"].texts == ("ACDE", "WWDE", "AWWW", "ACDD")
    # 12 and 13 have one row of the same residues.
    assert paired.unpaired["B"].texts == ("KLM", "KLL", "KLL")
    twin = pair({"A": FIRST, "B": SECOND, "C": THIRD}).unpaired["B"]
    assert twin.texts == ("KLM",)
    assert pair({"A": FIRST, "B": SECOND}, total=4).unpaired["A"].texts == ("ACDE", "WWDE")
    assert pair({"A": FIRST, "B": SECOND}, total=1).unpaired["A"].texts == ("ACDE",)


def test_limits():
    many = alignment("ACDE", *(["7:ACDW"] * 5 + ["8:AAAA"] * 3))
    other = alignment("KL", *(["8:KW"] * 2 + ["7:WW"] * 4))
    assert Counter(pair({"A": many, "B": other}).species) == {"": 1, "7": 4, "8": 2}
    assert Counter(pair({"A": many, "B": other}, rows_of_species=3).species)["7"] == 3
    first = pair({"A": many, "B": other}, limit=2)
    assert len(first) == 2
    assert first.rows.tolist() == pair({"A": many, "B": other}).rows.tolist()[:3]
    with pytest.raises(InputError, match="below 1"):
        pair({"A": many, "B": other}, limit=0)


def test_query_is_not_paired_by_its_own_species():
    named = Alignment(("x OX=9", "y OX=10"), np.array([[0, 1], [0, 2]]))
    other = alignment("KL", "9:KW", "10:KK")
    assert pair({"A": named, "B": other}).species == ("", "10")


def test_codes_of_groups():
    group = Alignment.from_aligned("AC", ("tr|P12345|P12345_9BACT", "X1_HUMAN"), ("WC", "AA"))
    assert pair({"A": group, "B": group}).species == ("", "9BACT", "HUMAN")
    assert pair({"A": group, "B": group}, collective=False).species == ("", "HUMAN")


def test_refusals():
    silent = alignment("KLM", ":KLL", ":KKK")
    with pytest.raises(DataError, match="chain B: none of the 2 rows"):
        pair({"A": FIRST, "B": silent})
    mnemonics = Alignment.from_aligned("KL", ("X1_HUMAN",), ("KK",))
    with pytest.raises(DataError, match="chain A has taxonomy ids and chain B UniProt mnemonics"):
        pair({"A": FIRST, "B": mnemonics})
    with pytest.raises(DataError, match="chain B has taxonomy ids and chain A"):
        pair({"A": mnemonics, "B": FIRST})
    with pytest.raises(InputError, match="two chains"):
        pair({"A": FIRST})
    alone = alignment("KLM", "77:KLL")
    assert len(pair({"A": FIRST, "B": alone})) == 0


@pytest.mark.parametrize("chains", [2, 3, 4])
def test_counts_agree_with_a_plain_count(chains):
    random = np.random.default_rng(chains)
    made = {}
    for chain in range(chains):
        rows = [
            f"{random.integers(101, 130)}:" + "".join(random.choice(list("ACDEFG"), 12))
            for _ in range(60)
        ]
        made[str(chain)] = alignment("ACDEFGACDEFG", *rows)
    expected = Counter()
    counts = [Counter(one.species[1:]) for one in made.values()]
    for species in {name for count in counts for name in count}:
        present = [count[species] for count in counts if count[species]]
        if len(present) > 1:
            expected[len(present)] += min(present)
    for order in ("identity", "row"):
        paired = pair(made, order=order)
        assert paired.count_by_chains() == dict(expected)
        for one, other in itertools.pairwise((paired.rows[1:] == ABSENT).sum(1)):
            assert one <= other
        for species, rows in zip(paired.species[1:], paired.rows[1:], strict=True):
            for chain, row in zip(made.values(), rows, strict=True):
                assert row == ABSENT or chain.species[row] == species
        for column in paired.rows[1:].T:
            taken = column[column != ABSENT]
            assert len(set(taken.tolist())) == len(taken)
