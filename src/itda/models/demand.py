"""What folding asks of a machine: bytes that live at once and work to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Load:
    """Jobs that a family folds at once; a batch is padded to its longest.

    Attributes:
        tokens: Residues of each job.
        alignment_rows: Most rows of an alignment; 0 where there is none.
        templates: Most templates of a job.
        samples: Structures of each job.
        recycles: Passes beyond the first; None for the family's choice.
        frugal: Whether speed is given up for memory: fewer pairs at a time, weights that are
            fetched as they are needed.
    """

    tokens: tuple[int, ...]
    alignment_rows: int = 0
    templates: int = 0
    samples: int = 1
    recycles: int | None = None
    frugal: bool = False

    @property
    def longest(self) -> int:
        """Tokens that the batch is padded to."""
        return max(self.tokens)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a load comes to, from the architecture alone; a machine's constants turn it to seconds.

    Attributes:
        weights_bytes: Weights that stay in the memory of the device.
        live_bytes: The largest set of arrays that live at once, beside the weights.
        work: By kind, in units that a constant turns to seconds: operations of matrix products,
            bytes moved, steps.
    """

    weights_bytes: int
    live_bytes: int
    work: Mapping[str, float]
