"""Chains as ESMFold reads them: one sequence, with a linker that is cut out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from itda.chem.residues import sequence_to_indices

LINKER = "G" * 25
"""Stands between two chains for the language model; its residues are no part of the result."""

CHAIN_GAP = 512
"""Added to residue positions at each new chain, so that chains are far apart along the sequence."""


@dataclass(frozen=True)
class EsmFoldFeatures:
    """What the network reads of a job.

    Attributes:
        restype: Residue types, 0 to 20, linkers too.
        residue_index: Place along the sequence, with a gap at each new chain.
        kept: True for residues of chains, False for linkers.
        chain: 0-based chain of each kept residue.
    """

    restype: Int[np.ndarray, "token"]
    residue_index: Int[np.ndarray, "token"]
    kept: Bool[np.ndarray, "token"]
    chain: Int[np.ndarray, "residue"]


def encode_chains(sequences: Sequence[str]) -> EsmFoldFeatures:
    """Join chains as the authors' code does (Lin et al. 2023, facebookresearch/esm v2.0.0).

    Args:
        sequences: One-letter codes of each chain; letters outside the alphabet become X.

    >>> features = encode_chains(["MK", "A"])
    >>> len(features.restype), features.kept.sum(), features.residue_index[-1]
    (28, np.int64(3), np.int64(539))
    """
    joined = LINKER.join(sequences)
    kept = np.ones(len(joined), bool)
    index = np.arange(len(joined))
    start = 0
    for sequence in sequences[:-1]:
        end = start + len(sequence) + len(LINKER)
        kept[start + len(sequence) : end] = False
        index[end:] += CHAIN_GAP
        start = end
    chain = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    return EsmFoldFeatures(np.array(sequence_to_indices(joined)), index, kept, chain)
