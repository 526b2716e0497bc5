"""Rows of a job's chains that belong together, as a stage."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from itda.cli.msa import app
from itda.engine.pairing import Paired, pair_chains
from itda.engine.stages import Stages
from itda.job.model import Job
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import parse_alignment, read_alignment
from itda.search.alignments.pairing import ABSENT
from itda.search.evidence import ChainEvidence

FIRST, SECOND, THIRD = "MKTAYIAKQR", "GHMLEDPVDAFK", "WLESTPQNRA"
HUMAN, MOUSE, CHICK, FISH = "9606", "10090", "9031", "7955"


def relatives(query: str, *species: str, header: str = ">tr|X{n} OX={species}") -> Alignment:
    """Make an alignment with one row of each species, none of them like another."""
    rows = "".join(
        f"{header.format(n=n, species=one)}\n{query[:-1]}{'CDEFGHI'[n]}\n"
        for n, one in enumerate(species)
    )
    return parse_alignment(f">query\n{query}\n{rows}", query=query, where="here")


def nameless(query: str) -> Alignment:
    return relatives(query, "", header=">row")


def job_of(*chains: tuple[str, str], **of_chain: dict[str, str]) -> Job:
    proteins = [{"id": one, "sequence": text, **of_chain.get(one, {})} for one, text in chains]
    return Job.from_dict(
        {"version": 1, "name": "job", "entities": [{"protein": one} for one in proteins]}
    )


def paired_of(job: Job, stages: Stages, **alignments: Alignment) -> tuple[Paired, list[str]]:
    """Return what is paired, and the warnings."""
    known = {chain: ChainEvidence(alignments.get(chain)) for chain in job.chain_ids}
    steps = pair_chains(job, known, stages)
    warned = []
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value, warned
        if type(event).__name__ == "JobWarned":
            warned.append(str(event.message))


def species_of_rows(paired: Paired) -> dict[str, list[str]]:
    """Return of each chain the species of the rows that are there, where there is one."""
    assert paired.rows is not None
    for column, chain in enumerate(paired.rows.chains):
        rows = paired.rows.paired[chain]
        for row, said in enumerate(paired.rows.species):
            is_there = paired.rows.rows[row, column] != ABSENT
            assert rows.species[row] == (said if is_there else "")
    return {chain: list(one.species[1:]) for chain, one in paired.rows.paired.items()}


@pytest.fixture
def stages(store) -> Stages:
    return Stages(store)


def test_chains_in_another_order_have_their_own_rows(stages) -> None:
    """Both have as many rows, in another order of species: exchanged, none of them would match."""
    first = relatives(FIRST, HUMAN, HUMAN, MOUSE, CHICK)
    second = relatives(SECOND, FISH, CHICK, HUMAN, MOUSE)
    one, _ = paired_of(job_of(("A", FIRST), ("B", SECOND)), stages, A=first, B=second)
    other, _ = paired_of(job_of(("B", SECOND), ("A", FIRST)), stages, A=first, B=second)
    assert not one.cached and not other.cached
    assert one.rows.chains == ("A", "B") and other.rows.chains == ("B", "A")
    found, turned = species_of_rows(one), species_of_rows(other)
    assert set(found["A"]) == set(turned["A"]) == {HUMAN, MOUSE, CHICK}
    # Exchanging two chains under their ids exchanges their rows, too.
    swapped, _ = paired_of(job_of(("A", SECOND), ("B", FIRST)), stages, A=second, B=first)
    assert species_of_rows(swapped) == {"A": turned["B"], "B": turned["A"]}


def test_chains_of_other_names_are_paired_once(stages) -> None:
    first, second = relatives(FIRST, HUMAN, MOUSE), relatives(SECOND, MOUSE, HUMAN)
    one, _ = paired_of(job_of(("A", FIRST), ("B", SECOND)), stages, A=first, B=second)
    other, _ = paired_of(job_of(("H", FIRST), ("L", SECOND)), stages, H=first, L=second)
    assert not one.cached and other.cached
    assert list(species_of_rows(one).values()) == list(species_of_rows(other).values())
    assert other.rows.chains == ("H", "L")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_chain_without_species_leaves_the_others_paired(stages, place) -> None:
    texts = [FIRST, SECOND, THIRD]
    chains = list(zip("ABC", texts, strict=True))
    found = {
        chain: nameless(text) if number == place else relatives(text, HUMAN, MOUSE)
        for number, (chain, text) in enumerate(chains)
    }
    paired, warned = paired_of(job_of(*chains), stages, **found)
    assert "ABC"[place] not in species_of_rows(paired) and len(paired.rows) == 2
    (warning,) = warned
    assert f"chain {'ABC'[place]}" in warning and "species" in warning


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_chain_that_says_species_otherwise_leaves_the_others_paired(stages, place) -> None:
    texts = [FIRST, SECOND, THIRD]
    chains = list(zip("ABC", texts, strict=True))
    named = ">sp|P0463{n}|P53_{species}"
    found = {
        chain: relatives(text, "HUMAN", "MOUSE", header=named)
        if number == place
        else relatives(text, HUMAN, MOUSE)
        for number, (chain, text) in enumerate(chains)
    }
    paired, warned = paired_of(job_of(*chains), stages, **found)
    assert "ABC"[place] not in species_of_rows(paired) and len(paired.rows) == 2
    (warning,) = warned
    assert f"chain {'ABC'[place]} UniProt mnemonics" in warning


def test_nothing_is_paired_where_one_chain_is_left(stages) -> None:
    alignments = {"A": relatives(FIRST, HUMAN), "B": nameless(SECOND)}
    paired, warned = paired_of(job_of(("A", FIRST), ("B", SECOND)), stages, **alignments)
    assert paired.rows is None and len(warned) == 1
    alignments["A"] = nameless(FIRST)
    paired, warned = paired_of(job_of(("A", FIRST), ("B", SECOND)), stages, **alignments)
    assert paired.rows is None and len(warned) == 2


def test_the_command_pairs_the_same_rows(stages, tmp_path) -> None:
    alignments = {
        "A": relatives(FIRST, HUMAN, HUMAN, MOUSE, CHICK),
        "B": relatives(SECOND, FISH, CHICK, HUMAN, MOUSE),
        "C": relatives(THIRD, MOUSE, FISH),
    }
    files = []
    for chain, alignment in alignments.items():
        files.append(tmp_path / f"{chain}.a3m")
        files[-1].write_text(alignment.to_a3m())
    out = tmp_path / "pairs"
    done = CliRunner().invoke(app, ["pair", *map(str, files), "--out", str(out)])
    assert done.exit_code == 0, done.output
    chains = list(zip("ABC", (FIRST, SECOND, THIRD), strict=True))
    paired, _ = paired_of(job_of(*chains), stages, **alignments)
    assert len(paired.rows) == 4
    for chain, query in chains:
        for kind in ("paired", "unpaired"):
            written = read_alignment(out / f"{chain}.{kind}.a3m", query=query)
            own = getattr(paired.rows, kind)[chain]
            assert (written.names, written.texts) == (own.names, own.texts)


def test_what_was_changed_in_given_rows_is_told(stages, tmp_path: Path) -> None:
    text = f">q\n{FIRST}\n>ss_pred\nCCCHHHHCCC\n>r\n{FIRST[:-1]}W\n"
    file = tmp_path / "b.a3m"
    file.write_text(f">q\n{SECOND.lower()}\n>r\n{SECOND[:-1].lower()}w\n")
    job = job_of(("A", FIRST), ("B", SECOND), A={"paired_msa": text}, B={"paired_msa": str(file)})
    paired, warned = paired_of(job, stages)
    assert len(paired.rows) == 1
    assert any("chain A, paired_msa" in one and "ss_pred" in one for one in warned)
    assert any(one.startswith("b.a3m: ") and "lower case" in one for one in warned)
