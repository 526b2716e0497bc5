"""Where a fold is uncertain, in the user's numbering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itda.confidence.stretches import low_stretches, parts_apart
from itda.language import Message
from itda.structure.prediction import Prediction

MOST_STRETCHES = 4
MOST_OF_A_PART = 3


@dataclass(frozen=True)
class Stretch:
    """Neighbouring residues of one chain.

    Attributes:
        chain_id: Id of the chain.
        first: Number of the first, with its insertion code.
        last: Of the last.
        residues: How many there are.
    """

    chain_id: str
    first: str
    last: str
    residues: int

    def shown(self, *, chain: bool) -> str:
        """Return it for people, with its chain where that must be said."""
        numbers = self.first if self.first == self.last else f"{self.first}–{self.last}"
        return f"{self.chain_id} {numbers}" if chain else numbers

    def to_dict(self) -> dict[str, str]:
        """Give plain data."""
        return {"chain_id": self.chain_id, "first": self.first, "last": self.last}


@dataclass(frozen=True)
class Loose:
    """Two parts whose places to one another are uncertain.

    Attributes:
        first: Stretches of the one.
        second: Of the other.
        mean_pae_angstrom: Between them, both directions.
    """

    first: tuple[Stretch, ...]
    second: tuple[Stretch, ...]
    mean_pae_angstrom: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "first": [stretch.to_dict() for stretch in self.first],
            "second": [stretch.to_dict() for stretch in self.second],
            "mean_pae_angstrom": round(self.mean_pae_angstrom, 1),
        }


@dataclass(frozen=True)
class Places:
    """All that is uncertain about a fold.

    Attributes:
        low: Stretches of low pLDDT.
        loose: Pairs of parts, the largest first.
        several_chains: Whether a stretch is told with its chain.
    """

    low: tuple[Stretch, ...]
    loose: tuple[Loose, ...]
    several_chains: bool

    def sentence(self) -> Message | None:
        """Say where not to trust the fold; None where nothing is to be said."""
        low = None
        if self.low:
            # The longest, in the order of the chain.
            longest = sorted(self.low, key=lambda one: -one.residues)[:MOST_STRETCHES]
            named = [self._shown(one) for one in self.low if one in longest]
            more = len(self.low) - len(named)
            low = Message("{named:,}", named=named)
            if more:
                low = Message("{named:,} and {more} more stretches", named=named, more=more)
        if not self.loose:
            return None if low is None else Message("Not certain: residues {low}.", low=low)
        worst = self.loose[0]
        fields = {
            "first": self._part(worst.first),
            "second": self._part(worst.second),
            "pae": f"{worst.mean_pae_angstrom:.0f}",
        }
        if low is None:
            return Message(
                "Not certain: how residues {first} lie to residues {second} (expected error {pae} "
                "Å).",
                **fields,
            )
        return Message(
            "Not certain: residues {low}; nor how residues {first} lie to residues {second} "
            "(expected error {pae} Å).",
            low=low,
            **fields,
        )

    def _shown(self, stretch: Stretch) -> str:
        return stretch.shown(chain=self.several_chains)

    def _part(self, stretches: tuple[Stretch, ...]) -> str:
        shown = ", ".join(map(self._shown, stretches[:MOST_OF_A_PART]))
        return f"{shown}, …" if len(stretches) > MOST_OF_A_PART else shown

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "low_residues": [stretch.to_dict() for stretch in self.low],
            "loose_parts": [loose.to_dict() for loose in self.loose],
        }


def places_of(prediction: Prediction, *, low_plddt: float, apart_angstrom: float) -> Places:
    """Find what is uncertain about a prediction.

    Args:
        prediction: The best of a job.
        low_plddt: Residues below it are named.
        apart_angstrom: Mean PAE from which on two parts are.
    """
    tokens = prediction.tokens
    first_tokens = np.flatnonzero(np.diff(tokens.residue_of_token, prepend=-1))
    told = tokens.to_dict()
    chains = [told["chain_id"][place] for place in first_tokens]
    numbers = [f"{told['number'][place]}{told['insertion_code'][place]}" for place in first_tokens]
    plddt = prediction.residue_plddt

    def stretch(first: int, last: int) -> Stretch:
        return Stretch(chains[first], numbers[first], numbers[last], last - first + 1)

    loose: list[Loose] = []
    if prediction.pae is not None:
        pae = prediction.pae[np.ix_(first_tokens, first_tokens)]
        for parts in parts_apart(plddt, pae, apart_angstrom=apart_angstrom):
            runs = [
                tuple(stretch(*run) for run in _runs(part, chains))
                for part in (parts.first, parts.second)
            ]
            loose.append(Loose(runs[0], runs[1], parts.mean_pae_angstrom))
    low = low_stretches(plddt, chains, below=low_plddt)
    return Places(
        tuple(stretch(*one) for one in low), tuple(loose), several_chains=len(set(chains)) > 1
    )


def _runs(residues: np.ndarray, chains: list[str]) -> list[tuple[int, int]]:
    """Return 0-based first and last of each run within a chain; small gaps do not part one."""
    runs: list[tuple[int, int]] = []
    for place in residues.tolist():
        if runs and place - runs[-1][1] <= 6 and chains[place] == chains[runs[-1][1]]:
            runs[-1] = runs[-1][0], place
        else:
            runs.append((place, place))
    return runs
