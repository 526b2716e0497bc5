"""Rows of several chains side by side, matched by species, as AlphaFold 3 pairs them.

AlphaFold 3's supplement (Abramson et al. 2024, Nature 630, 493; section 2.3) puts under the query
up to 8,191 rows that are paired by species as AlphaFold-Multimer does (Evans et al. 2021, bioRxiv
2021.10.04.463034), and fills up to 16,384 rows with unpaired ones. What neither text fixes follows
AlphaFold 3's published program, `model/msa_pairing.py`; `pair` states each rule.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int32

from itda.errors import DataError, InputError
from itda.language import Message
from itda.search.alignments.alignment import GAP_INDEX, Alignment
from itda.search.alignments.taxonomy import is_collective, kind_of

MAX_PAIRED_ROWS = 8191
MAX_ROWS = 16384
MAX_ROWS_OF_SPECIES = 600
ABSENT = -1
GAP_NAME = "gap"
"""Header of a row that holds the place of an absent one."""

Order = Literal["identity", "row"]


@dataclass(frozen=True)
class PairedAlignment:
    """Alignments of several chains whose rows belong together, and what is left of each.

    Attributes:
        rows: Which row of each chain's alignment stands in each paired row, 0-based; `ABSENT` where
            the species has none in that chain. The first is that of the queries.
        species: Species of each paired row; empty for the queries.
        paired: For each chain as many rows as `rows` has; a chain without the species has gaps.
        unpaired: For each chain the query and the rows that are not among its paired ones.
    """

    rows: Int32[np.ndarray, "pair chain"]
    species: tuple[str, ...]
    paired: Mapping[str, Alignment]
    unpaired: Mapping[str, Alignment]

    def __len__(self) -> int:
        """Return the number of paired rows, the queries not counted."""
        return len(self.species) - 1

    @property
    def chains(self) -> tuple[str, ...]:
        """Id of the chain of each column of `rows`."""
        return tuple(self.paired)

    def with_copies(self, copies: Mapping[str, Sequence[str]]) -> PairedAlignment:
        """Give every copy of a chain the rows of the first.

        Args:
            copies: Ids of all copies by the id that is in `chains`.
        """
        columns = [column for column, chain in enumerate(self.chains) for _ in copies[chain]]
        paired, unpaired = (
            {copy: found[chain] for chain in self.chains for copy in copies[chain]}
            for found in (self.paired, self.unpaired)
        )
        return PairedAlignment(self.rows[:, columns], self.species, paired, unpaired)

    def count_by_chains(self) -> dict[int, int]:
        """Return how many paired rows have 2, 3, … chains, most chains first."""
        counts = Counter(int(chains) for chains in (self.rows[1:] != ABSENT).sum(1))
        return dict(sorted(counts.items(), reverse=True))


def pair(
    alignments: Mapping[str, Alignment],
    *,
    limit: int = MAX_PAIRED_ROWS,
    total: int = MAX_ROWS,
    rows_of_species: int = MAX_ROWS_OF_SPECIES,
    order: Order = "identity",
    collective: bool = True,
) -> PairedAlignment:
    """Pair the rows of chains by species.

    1. Row 0 of each chain, the query, is paired with the others' and takes no further part.
    2. A species is paired where two chains or more have rows of it. Of each of these chains it
       takes as many rows as the chain with the fewest has, at most `rows_of_species`; chains
       without it get gaps.
    3. Which rows, and which with which: the first of one chain with the first of the others, with
       `order` either by `identity` to the query over all columns, best first (AlphaFold-Multimer,
       to which the supplement refers), or by `row`, as they stand in the alignment (AlphaFold 3's
       program; searches give the best hits first). Equal ones go by row.
    4. Paired rows are put in order: those of more chains first, then by the product of their rows
       in the chains' alignments, so that rows near the top come first; equal ones by species.
    5. The first `limit` are kept.
    6. Rows that agree in all columns with one that is paired are not among the unpaired ones; these
       fill up to `total` rows with the paired.

    Args:
        alignments: By chain; chains of one sequence need one entry only, since copies take the same
            rows.
        limit: Most paired rows, the queries not counted.
        total: Most rows of a chain, paired and unpaired together, the query counted once.
        rows_of_species: Most paired rows of one species.
        order: Rule 3.
        collective: Whether UniProt's mnemonics of whole groups, such as `9BACT`, count as a
            species, as they do for AlphaFold.

    Raises:
        InputError: There is one chain only, or a limit below 1.
        DataError: No row of a chain says its species, or the chains say it in two ways (taxonomy
            ids and mnemonics) that never meet.
    """
    if len(alignments) < 2:
        raise InputError(
            Message("pairing needs the alignments of two chains or more"),
            hint=Message("copies of one chain share their rows and need no pairing"),
        )
    if min(limit, total, rows_of_species) < 1:
        raise InputError(Message("a limit of rows is below 1"), hint=Message("give 1 or more"))
    groups = {
        chain: _by_species(alignment, order, collective) for chain, alignment in alignments.items()
    }
    _check_taxonomy(alignments, groups)
    found = _matched(list(groups.values()), rows_of_species)
    rows = np.array([[0] * len(alignments), *(row for _, row in found[:limit])], np.int32)
    species = ("", *(name for name, _ in found[:limit]))
    return assemble(alignments, rows, species, total=total)


def pair_by_position(
    alignments: Mapping[str, Alignment | None], queries: Mapping[str, str]
) -> PairedAlignment:
    """Pair rows that somebody else has paired: those of one number belong together.

    Args:
        alignments: Paired rows of each chain, below its query; None for a chain that has gaps.
        queries: Sequence of each chain.

    Raises:
        InputError: Chains have different numbers of rows; two of them are named.
    """
    counts = {chain: len(one) for chain, one in alignments.items() if one is not None}
    first, *others = counts
    for other in others:
        if counts[other] != counts[first]:
            raise InputError(
                Message(
                    "paired_msa: chain {first} has {rows} rows, and chain {other} {others}",
                    first=first,
                    rows=counts[first],
                    other=other,
                    others=counts[other],
                ),
                hint=Message("rows pair by position: give each chain as many, with rows of gaps"),
            )
    whole = {
        chain: Alignment.from_aligned(queries[chain], (), ()) if one is None else one
        for chain, one in alignments.items()
    }
    number = np.arange(counts[first], dtype=np.int32)
    empty = np.where(number == 0, 0, ABSENT).astype(np.int32)
    rows = np.stack([empty if one is None else number for one in alignments.values()], axis=1)
    return assemble(whole, rows, ("",) * len(rows), total=len(rows))


def assemble(
    alignments: Mapping[str, Alignment],
    rows: Int32[np.ndarray, "pair chain"],
    species: tuple[str, ...],
    *,
    total: int = MAX_ROWS,
) -> PairedAlignment:
    """Put paired rows together from the alignments that they were found in; see `pair`."""
    paired, unpaired = {}, {}
    for column, (chain, alignment) in enumerate(alignments.items()):
        paired[chain] = _take(alignment, rows[:, column])
        unpaired[chain] = _rest(alignment, rows[:, column], total)
    return PairedAlignment(rows, species, paired, unpaired)


def _by_species(alignment: Alignment, order: Order, collective: bool) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row, species in enumerate(alignment.species[1:], start=1):
        if species and (collective or not is_collective(species)):
            groups[species].append(row)
    if order == "identity":
        same = (alignment.rows == alignment.rows[0]).sum(1)
        for members in groups.values():
            members.sort(key=lambda row: (-int(same[row]), row))
    return dict(groups)


def matchable(
    alignments: Mapping[str, Alignment],
) -> tuple[dict[str, Alignment], dict[str, str]]:
    """Leave out the chains that cannot be matched with the others, which `pair` would refuse.

    Those stay that say their species in the way that most do: by taxonomy ids, by mnemonics, or by
    names; where as many chains say it in two ways, in the first of these.

    Returns:
        The chains that `pair` takes, and of each other one why it does not. Fewer than two may be
        left.
    """
    kinds = {
        chain: {kind_of(species) for species in alignment.species[1:] if species}
        for chain, alignment in alignments.items()
    }
    counts = Counter(kind for found in kinds.values() for kind in found)
    common = min(counts, key=lambda kind: (-counts[kind], _RANK(kind)), default="")
    kept = {chain: one for chain, one in alignments.items() if common in kinds[chain]}
    left_out: dict[str, str] = {}
    for chain, alignment in alignments.items():
        if not kinds[chain]:
            left_out[chain] = _says_no_species(chain, alignment)
        elif chain not in kept:
            left_out[chain] = _says_otherwise(next(iter(kept)), common, chain, kinds[chain])
    return kept, left_out


def _says_no_species(chain: str, alignment: Alignment) -> str:
    return Message(
        "chain {chain}: none of the {count} rows beside the query says its species",
        chain=chain,
        count=len(alignment) - 1,
    )


def _says_otherwise(first: str, kind: str, second: str, kinds: set[str]) -> str:
    return Message(
        "chain {first} has {kinds} and chain {second} {min}; they cannot be matched",
        first=first,
        kinds=kind,
        second=second,
        min=min(kinds, key=_RANK),
    )


def _check_taxonomy(
    alignments: Mapping[str, Alignment], groups: Mapping[str, Mapping[str, list[int]]]
) -> None:
    for chain, alignment in alignments.items():
        if not groups[chain]:
            raise DataError(
                _says_no_species(chain, alignment),
                hint=Message(
                    "pair what was searched in UniProt or UniRef with full headers (OX=, "
                    "TaxID=, P53_HUMAN), or fold without pairing"
                ),
            )
    kinds = {chain: {kind_of(species) for species in found} for chain, found in groups.items()}
    for one, other in zip(list(kinds)[:-1], list(kinds)[1:], strict=True):
        if kinds[one].isdisjoint(kinds[other]):
            first, second = sorted((one, other), key=lambda chain: min(map(_RANK, kinds[chain])))
            raise DataError(
                _says_otherwise(first, min(kinds[first], key=_RANK), second, kinds[second]),
                hint=Message("search both chains in the same database"),
            )


_RANK = ("taxonomy ids", "UniProt mnemonics", "names of species").index


def _matched(
    chains: Sequence[Mapping[str, list[int]]], rows_of_species: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Give species and rows of all pairs, best first."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for species in sorted({name for chain in chains for name in chain}):
        members = [chain.get(species, []) for chain in chains]
        depths = [len(rows) for rows in members if rows]
        if len(depths) < 2:
            continue
        found += [
            (species, tuple(rows[place] if rows else ABSENT for rows in members))
            for place in range(min(*depths, rows_of_species))
        ]
    return sorted(
        found, key=lambda one: (one[1].count(ABSENT), math.prod(abs(row) for row in one[1]))
    )


def _take(alignment: Alignment, rows: Int32[np.ndarray, " pair"]) -> Alignment:
    """Select rows; an absent one becomes a row of gaps."""
    texts = (*alignment.texts, "-" * alignment.length)
    kept = [int(row) for row in rows]
    return Alignment(
        tuple((*alignment.names, GAP_NAME)[row] for row in kept),
        np.concatenate([alignment.rows, np.full_like(alignment.rows[:1], GAP_INDEX)])[kept],
        tuple(texts[row] for row in kept),
        tuple((*alignment.source, "")[row] for row in kept),
        tuple((*alignment.species, "")[row] for row in kept),
    )


def _rest(alignment: Alignment, paired: Int32[np.ndarray, " pair"], total: int) -> Alignment:
    seen = {alignment.rows[row].tobytes() for row in paired if row != ABSENT}
    rest = [row for row in range(1, len(alignment)) if alignment.rows[row].tobytes() not in seen]
    return alignment.select([0, *rest[: max(total - len(paired), 0)]])
