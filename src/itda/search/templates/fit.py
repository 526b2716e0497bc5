"""Which chain of a user's structure lies along a protein, and how well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from itda.errors import InputError
from itda.language import Message
from itda.search.templates.pairing import align_sequences, is_alike
from itda.structure.chains.chain import CA_INDEX, Chain

COPY_IDENTITY = 0.9
"""Two chains of one structure are copies where this part of the residues they share is equal."""

CLOSE = 0.95
"""Another chain with this many of the best one's identical residues fits as well as it does."""


@dataclass(frozen=True)
class Fit:
    """A chain laid along a protein.

    Attributes:
        chain: Its name in the file.
        identity: Identical residues over paired ones, 0..1.
        pairs: How many residues are paired.
        length: Residues of the protein.
        copies: Other chains of the file with the same residues.
    """

    chain: str
    identity: float
    pairs: int
    length: int
    copies: tuple[str, ...] = ()

    @property
    def identical(self) -> float:
        """How many residues are paired with their like."""
        return self.identity * self.pairs

    @property
    def is_alike(self) -> bool:
        """Whether the two are more alike than unrelated ones, over enough of the protein."""
        return is_alike(self.identity, self.pairs, self.length)


def best_fit(query: str, chains: Mapping[str, Chain], path: Path) -> Fit:
    """Find the chain that lies best along a protein; of copies the first that does.

    Args:
        query: One-letter sequence.
        chains: Protein chains of a structure by their names, one or more.
        path: Of the structure, for messages.

    Raises:
        InputError: Two chains that are no copies of one another fit equally well.
    """
    first: dict[str, list[str]] = {}
    for name, chain in chains.items():
        first.setdefault(chain.sequence, []).append(name)
    fits = [_fit(query, names[0], chains[names[0]]) for names in first.values()]
    best = max(fits, key=lambda one: one.identical)
    copies = list(first[chains[best.chain].sequence][1:])
    for other in fits:
        if other.chain == best.chain:
            continue
        if _are_copies(chains[best.chain], chains[other.chain]):
            copies += first[chains[other.chain].sequence]
        elif best.is_alike and other.is_alike and other.identical >= CLOSE * best.identical:
            raise InputError(
                Message(
                    "template {path}: chains {first} and {second} fit equally well, with "
                    "{identity:.0%} and {other:.0%} identity",
                    path=path,
                    first=best.chain,
                    second=other.chain,
                    identity=best.identity,
                    other=other.identity,
                ),
                hint=Message("name one of them: {file}:{first}", file=path.name, first=best.chain),
            )
    in_order = tuple(name for name in chains if name in copies)
    return replace(best, copies=in_order)


def _fit(query: str, name: str, chain: Chain) -> Fit:
    pairs = align_sequences(query, chain.sequence, chain.residue_index)
    seen = int(chain.atom_mask[pairs.template_index, CA_INDEX].sum())
    if not seen:
        return Fit(name, 0.0, 0, len(query))
    return Fit(name, pairs.identity, len(pairs.query_index), len(query))


def _are_copies(one: Chain, other: Chain) -> bool:
    """Whether two chains are the same molecule, of which other residues may have been seen."""
    pairs = align_sequences(one.sequence, other.sequence, other.residue_index)
    shorter = min(len(one), len(other))
    return pairs.identity >= COPY_IDENTITY and 2 * len(pairs.query_index) >= shorter
