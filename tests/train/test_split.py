from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal, get_sequence_identity

from itda.chem.residues import RESTYPES
from itda.errors import DataError
from itda.search.mmseqs import search_sequences
from itda.structure.chains.dataset import ChainDataset
from itda.train import assign
from itda.train.assign import SplitSettings, split_datasets
from itda.train.split import Split, cluster_names
from tests.chains import make_chain
from tests.sequences import needs_mmseqs, relative

FAMILIES = 5
SETTINGS = SplitSettings(
    test=1,
    test_side_chains=1,
    validation=1,
    minimum_length=40,
    maximum_length=120,
)
# Local alignments of unrelated sequences of these lengths score about half of this.
RELATED_SCORE = 70


@dataclass(frozen=True)
class Example:
    """A dataset with planted families, and the split of it."""

    sequences: dict[str, str]
    held: str
    split: Split
    dataset: ChainDataset

    def family(self, number: int) -> list[str]:
        return [f"{number}one_A", f"{number}two_A"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Families of two; of each, a part of the first stands in a chain too long to evaluate."""
    random = np.random.default_rng(11)
    sequences = {}
    for number in range(FAMILIES):
        first = "".join(random.choice(list(RESTYPES), 80))
        sequences[f"{number}one_A"] = first
        sequences[f"{number}two_A"] = relative(first, 0.45, random)
        padding = "".join(random.choice(list(RESTYPES), 120))
        sequences[f"{number}fus_A"] = padding + relative(first[10:70], 0.3, random)
    held = "".join(random.choice(list(RESTYPES), 80))
    sequences["8hel_A"] = relative(held, 0.3, random)
    sequences["9hel_A"] = relative(held, 0.3, random)
    chains = [
        replace(make_chain(name, len(sequence), 0), sequence=sequence)
        for name, sequence in sequences.items()
    ]
    folder = tmp_path_factory.mktemp("split")
    dataset = ChainDataset.write(folder / "chains", chains, source={"name": "families"})
    split = split_datasets([dataset], settings=SETTINGS, hold_out=[held])
    return Example(sequences, held, split, dataset)


def related(one: str, other: str) -> bool:
    """Whether Smith and Waterman's alignment is good and has 30 % identity, by biotite."""
    matrix = SubstitutionMatrix.std_protein_matrix()
    pair = ProteinSequence(one), ProteinSequence(other)
    best = align_optimal(*pair, matrix, gap_penalty=(-11, -1), local=True, max_number=1)[0]
    return best.score >= RELATED_SCORE and get_sequence_identity(best, mode="all") >= 0.3


@needs_mmseqs
def test_every_chain_has_a_part(example: Example) -> None:
    assert set(example.split.members) == set(example.sequences)
    counts = example.split.counts()
    assert counts["train"]["clusters"] == 2 * (FAMILIES - 2)
    assert counts["validation"] == {"chains": 2, "clusters": 1, "evaluation": 1}
    assert counts["test"]["evaluation"] == 2


@needs_mmseqs
def test_whole_clusters_stay_together(example: Example) -> None:
    for number in range(FAMILIES):
        first, second = example.family(number)
        assert example.split.cluster(first) == example.split.cluster(second)
        assert example.split.part(first) == example.split.part(second)
    parts: dict[str, set[str]] = {}
    for cluster, part in example.split.members.values():
        parts.setdefault(cluster, set()).add(part)
    assert all(len(own - {"excluded"}) <= 1 for own in parts.values())


@needs_mmseqs
def test_nothing_alike_across_the_borders(example: Example) -> None:
    split, sequences = example.split, example.sequences
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        for first in split.ids(one):
            for second in split.ids(other):
                assert not related(sequences[first], sequences[second]), (first, second)
    train = [sequences[name] for name in split.ids("train")]
    held_out = [sequences[name] for name in split.ids("test") + split.ids("validation")]
    assert search_sequences(held_out, train, identity=0.3) == []


@needs_mmseqs
def test_chain_that_shares_a_domain_with_test_is_excluded(example: Example) -> None:
    excluded = set()
    for number in range(FAMILIES):
        first, fused = f"{number}one_A", f"{number}fus_A"
        assert related(example.sequences[first], example.sequences[fused])
        assert example.split.cluster(first) != example.split.cluster(fused)
        if example.split.part(first) == "train":
            assert example.split.part(fused) == "train"
        else:
            excluded.add(fused)
    assert len(excluded) == 2
    assert set(example.split.ids("excluded")) == excluded


@needs_mmseqs
def test_relatives_of_a_held_out_sequence_are_in_test(example: Example) -> None:
    helds = ["8hel_A", "9hel_A"]
    assert all(related(example.held, example.sequences[name]) for name in helds)
    assert [example.split.part(name) for name in helds] == ["test", "test"]
    assert example.split.manifest["hold_out_homologues"] == helds


@pytest.fixture
def unrelated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChainDataset:
    """Twelve chains of which none resembles another, as a search without hits would say."""
    monkeypatch.setattr(assign, "cluster_sequences", lambda own, **_: np.arange(len(own)))
    monkeypatch.setattr(assign, "search_sequences", lambda *_, **__: [])
    monkeypatch.setattr(assign, "mmseqs_version", lambda: "none")
    chains = [make_chain(f"{number}abc_A", 40 + number, number) for number in range(12)]
    return ChainDataset.write(tmp_path / "chains", chains, source={"name": "unrelated"})


def test_seed_decides_the_draw(unrelated: ChainDataset) -> None:
    first, again, other = (
        split_datasets([unrelated], settings=replace(SETTINGS, test=3, validation=2, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first.members == again.members
    assert set(first.ids("test")) != set(other.ids("test"))
    assert {part: len(first.ids(part)) for part in ("train", "validation", "test")} == {
        "train": 7,
        "validation": 2,
        "test": 3,
    }


def test_chains_unfit_for_evaluation_are_not_drawn(unrelated: ChainDataset) -> None:
    settings = replace(SETTINGS, test=1, validation=1, minimum_length=49)
    split = split_datasets([unrelated], settings=settings)
    assert {*split.ids("test"), *split.ids("validation")} <= {"9abc_A", "10abc_A", "11abc_A"}
    strict = replace(SETTINGS, maximum_resolution_angstrom=1.4)
    with pytest.raises(DataError, match="0 clusters have a chain fit"):
        split_datasets([unrelated], settings=strict)


def test_too_few_clusters_are_refused(unrelated: ChainDataset) -> None:
    with pytest.raises(
        DataError, match="12 clusters have a chain fit for evaluation, but 10 for the test and 2"
    ):
        split_datasets([unrelated], settings=replace(SETTINGS, test=10, validation=2))


@pytest.fixture
def small() -> Split:
    return Split(
        {
            "1abc_A": ("1abc_A", "train"),
            "1abd_A": ("1abc_A", "train"),
            "2abc_A": ("2abc_A", "test"),
            "3abc_A": ("3abc_A", "excluded"),
        },
        frozenset({"2abc_A"}),
        {"settings": {"identity": 0.3}},
    )


def test_round_trip(tmp_path: Path, small: Split) -> None:
    small.write(tmp_path / "split")
    read = Split.read(tmp_path / "split")
    assert read.members == small.members
    assert read.representatives == small.representatives
    assert read.manifest["settings"] == {"identity": 0.3}
    assert read.clusters("train") == {"1abc_A": ["1abc_A", "1abd_A"]}
    assert read.evaluation_ids("test") == ["2abc_A"]
    with pytest.raises(DataError, match="does not know chain 7abc_A"):
        read.part("7abc_A")


def test_altered_table_is_refused(tmp_path: Path, small: Split) -> None:
    small.write(tmp_path / "split")
    table = tmp_path / "split" / "split.tsv"
    table.write_text(table.read_text().replace("\ttest\t", "\ttrain\t"))
    with pytest.raises(DataError, match=r"split\.tsv is missing or was altered"):
        Split.read(tmp_path / "split")
    table.unlink()
    with pytest.raises(DataError, match=r"split\.tsv is missing or was altered"):
        Split.read(tmp_path / "split")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 9', "split version 9"),
        ("itda-split", "itda-chains", "does not describe a split"),
        ("{", "", "cannot be read"),
    ],
)
def test_other_manifest_is_refused(
    tmp_path: Path, small: Split, old: str, new: str, message: str
) -> None:
    small.write(tmp_path / "split")
    manifest = tmp_path / "split" / "split.json"
    manifest.write_text(manifest.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        Split.read(tmp_path / "split")


def test_clusters_that_share_a_chain_become_one() -> None:
    ids = ["a", "b", "c", "b", "d", "e"]
    assert cluster_names(ids, [0, 0, 2, 3, 3, 2]) == ["a", "a", "c", "a", "a", "c"]


@needs_mmseqs
def test_what_is_not_fit_is_counted_and_what_would_take_it_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    chains = []
    for number, (length, resolution) in enumerate([(80, 0.0)] * 3 + [(80, 3.5), (30, 1.0)]):
        sequence = "".join(random.choice(list(RESTYPES), length))
        chain = make_chain(f"{number}abc_A", length, number)
        chains.append(replace(chain, sequence=sequence, resolution=resolution))
    dataset = ChainDataset.write(tmp_path / "mine", chains, source={"name": "mine"})
    with pytest.raises(DataError) as refused:
        split_datasets([dataset], settings=SplitSettings())
    for said in (
        "0 clusters have a chain fit",
        "3 chains are without a resolution",
        "1 chains are worse than 2.8 Å",
        "1 chains are not of 40 to 400 residues",
    ):
        assert said in refused.value.problem
    for option in ("--any-resolution", "--max-resolution", "--test"):
        assert option in refused.value.hint
    made = split_datasets([dataset], settings=SplitSettings(any_resolution=True))
    made.write(tmp_path / "split")
    counts = {part: found["chains"] for part, found in made.counts().items()}
    assert (counts["test"], counts["validation"], counts["train"]) == (1, 1, 3)
    assert Split.read(tmp_path / "split").datasets == ["mine"]


def test_few_clusters_give_few_to_the_test() -> None:
    drawn = [assign._count(None, fit, assign.MOST_TEST, assign.TEST_SHARE) for fit in (3, 40, 9000)]
    assert drawn == [1, 4, 250]
    assert assign._count(7, 3, assign.MOST_TEST, assign.TEST_SHARE) == 7


def test_a_split_that_does_not_say_its_datasets_asks_for_them() -> None:
    with pytest.raises(DataError) as refused:
        _ = Split({}).datasets
    assert "--datasets" in refused.value.hint
