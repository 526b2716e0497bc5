"""Which profiles are worth a full alignment: the best alignment without gaps of each.

It is what HMMER's first filter (MSV; Eddy 2011) asks for, but over all profiles at once: scores in
half bits, kept in one byte, run along all diagonals of the library together.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Int8

from itda.structure.pack.chains import PackedChains

_AMINO_ACIDS = b"ARNDCQEGHILKMFPSTWYV"
_LEAST, _MOST, _FULL = -12, 15, 100
_BETWEEN_CHAINS = -127
_RESIDUES_AT_ONCE = 2**16


class UngappedScores:
    """Scores sequences against all profiles of a library, without gaps.

    Args:
        chains: With their profiles.
        log_odds: Bits of each amino acid, in `RESTYPES` order, in each column of the table.
    """

    def __init__(self, chains: PackedChains, log_odds: Float[np.ndarray, "column 20"]) -> None:
        half_bits = np.clip(np.rint(2 * log_odds), _LEAST, _MOST).astype(np.int8)
        count = len(chains)
        # A row that ends every diagonal stands behind each chain.
        where = np.arange(len(chains.places)) + np.repeat(np.arange(count), chains.lengths)
        self._scores: Int8[np.ndarray, "amino_acid place"] = np.full(
            (len(_AMINO_ACIDS), len(where) + count), _BETWEEN_CHAINS, np.int8
        )
        for row, scores in zip(self._scores, half_bits.T, strict=True):
            row[where] = scores[chains.places]
        self._starts = chains.starts[:-1] + np.arange(count)
        self._log_lengths = np.log2(chains.lengths)

    def best(self, query: str, most: int) -> Int[np.ndarray, " chain"]:
        """Give the chains with the best scores, a longer chain's being worth less.

        Args:
            query: One-letter sequence; X and others score nothing.
            most: How many are given.

        Returns:
            Places of chains, rising.
        """
        scores = np.maximum.reduceat(self._along(query), self._starts) / 2 - self._log_lengths
        if most >= len(scores):
            return np.arange(len(scores))
        # Equal scores stand in storage order.
        order = np.argsort(-scores, kind="stable")[:most]
        return np.sort(order)

    def _along(self, query: str) -> Int8[np.ndarray, " place"]:
        rows = [_AMINO_ACIDS.find(letter) for letter in query.encode()]
        size = self._scores.shape[1]
        best = np.zeros(size, np.int8)
        # Parts overlap by a query, so that each diagonal is seen whole in one of them.
        for start in range(0, size, _RESIDUES_AT_ONCE):
            begin = max(0, start - len(rows))
            part = slice(begin, min(start + _RESIDUES_AT_ONCE, size))
            ending = np.zeros(part.stop - begin, np.int8)
            most = np.zeros_like(ending)
            for row in rows:
                if row < 0:
                    # Nothing is known of the residue: a diagonal goes on as it was.
                    ending[1:] = ending[:-1]
                else:
                    own = self._scores[row, part]
                    ending[1:] = ending[:-1] + own[1:]
                    ending[0] = own[0]
                    np.clip(ending, 0, _FULL, out=ending)
                np.maximum(most, ending, out=most)
            best[start : part.stop] = most[start - begin :]
        return best
