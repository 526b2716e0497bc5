"""Chains of known structure, as a search for templates reads them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Bool, Int32, Int64

from itda.structure.chains.chain import Chain


class KnownChains(Protocol):
    """A dataset folder or a library; single chains are read as they are needed."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Chain ids in storage order."""
        ...

    @property
    def release_dates(self) -> tuple[str, ...]:
        """ISO 8601 of each chain, empty where unknown."""
        ...

    @property
    def lengths(self) -> Int64[np.ndarray, " chain"]:
        """Residues of each chain."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Chain: ...

    def __contains__(self, chain_id: object) -> bool: ...

    def sequence(self, index: int) -> str:
        """Return the sequence of one chain without reading its coordinates."""
        ...

    def residue_index(self, index: int) -> Int32[np.ndarray, " residue"]:
        """Return the numbers of one chain's residues without reading its coordinates."""
        ...

    def has_ca(self, index: int) -> Bool[np.ndarray, " residue"]:
        """Say which residues of one chain have a CA atom."""
        ...

    def index_of(self, chain_id: str) -> int:
        """Return the position of a chain.

        Raises:
            DataError: There is no chain of this id.
        """
        ...
