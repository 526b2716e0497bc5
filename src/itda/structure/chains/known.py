"""Chains of known structure, as a search for templates reads them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Int32, Int64

from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.chain import Chain


class ChainSequences(Protocol):
    """Sequences of chains by id."""

    def index_of(self, chain_id: str) -> int:
        """Return the position of a chain."""
        ...

    def sequence(self, index: int) -> str:
        """Return the sequence of one chain without reading its coordinates."""
        ...

    def __contains__(self, chain_id: object) -> bool: ...


class KnownChains(ChainSequences, Protocol):
    """A dataset folder or a library; single chains are read as they are needed.

    Attributes:
        ids: Chain ids in storage order.
        lengths: Residues of each chain.
        release_dates: ISO 8601 of each chain, empty where unknown.
    """

    ids: tuple[str, ...]
    lengths: Int64[np.ndarray, " chain"]
    release_dates: tuple[str, ...]

    @property
    @abstractmethod
    def place(self) -> Path:
        """Where they are, for errors."""
        ...

    @abstractmethod
    def __getitem__(self, index: int) -> Chain: ...

    @abstractmethod
    def residue_index(self, index: int) -> Int32[np.ndarray, " residue"]:
        """Return the numbers of one chain's residues without reading its coordinates."""
        ...

    @abstractmethod
    def has_ca(self, index: int) -> Bool[np.ndarray, " residue"]:
        """Say which residues of one chain have a CA atom."""
        ...

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, chain_id: object) -> bool:
        return chain_id in self._index

    def __iter__(self) -> Iterator[Chain]:
        return (self[index] for index in range(len(self)))

    def index_of(self, chain_id: str) -> int:
        """Return the position of a chain.

        Raises:
            DataError: There is no chain of this id.
        """
        try:
            return self._index[chain_id]
        except KeyError:
            raise DataError(
                Message("{folder} has no chain {chain_id}", folder=self.place, chain_id=chain_id)
            ) from None

    @cached_property
    def _index(self) -> dict[str, int]:
        return {chain_id: index for index, chain_id in enumerate(self.ids)}
