"""Two whole sequences laid along each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from itda.structure.matching import ProteinChain, match_chain

_UNKNOWN = ord("X")


@dataclass(frozen=True, eq=False)
class SequencePairs:
    """Residues of two sequences that correspond.

    Attributes:
        query_index: Residues of the first, 0-based, rising.
        template_index: Their partners in the second, 0-based, rising.
        identity: Identical residues over paired ones, 0..1; X is like nothing.
    """

    query_index: Int32[np.ndarray, " pair"]
    template_index: Int32[np.ndarray, " pair"]
    identity: float


def align_sequences(query: str, template: str) -> SequencePairs:
    """Align two protein sequences over their whole length (BLOSUM62, gaps -11 -1, free ends).

    Args:
        query: The 20 amino acids and X.
        template: The same.
    """
    match = match_chain(_as_chain("query", query), _as_chain("template", template))
    query_index = match.reference_rows.astype(np.int32)
    template_index = match.model_rows.astype(np.int32)
    identity = pair_identity(query, template, query_index, template_index)
    return SequencePairs(query_index, template_index, identity)


def pair_identity(
    query: str,
    template: str,
    query_index: Int32[np.ndarray, " pair"],
    template_index: Int32[np.ndarray, " pair"],
) -> float:
    """Return identical residues over paired ones, 0..1; X is like nothing, no pair gives 0."""
    if len(query_index) == 0:
        return 0.0
    first = np.frombuffer(query.encode("ascii"), np.uint8)[query_index]
    second = np.frombuffer(template.encode("ascii"), np.uint8)[template_index]
    return float(((first == second) & (first != _UNKNOWN)).mean())


def _as_chain(name: str, sequence: str) -> ProteinChain:
    return ProteinChain(name, np.arange(len(sequence)), sequence, ())
