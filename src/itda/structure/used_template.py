"""A known structure that a prediction followed: what is said of it wherever it is named."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int32

_PDB_CODE = re.compile(r"[0-9][A-Za-z0-9]{3}|pdb_[0-9A-Za-z]{8}")


@dataclass(frozen=True)
class UsedTemplate:
    """A chain of known structure, and which of its residues pair with which of the prediction's.

    Attributes:
        chain_ids: Chains of the prediction that followed it: copies of one molecule.
        entry: Entry or file that it is of, such as `1ubq`.
        chain: Its chain there.
        sequence: Its residues with coordinates, one letter each.
        query_index: Paired residues of the prediction's chain, 0-based, rising.
        template_index: Their partners in `sequence`, 0-based, rising.
        query: Sequence of the prediction's chain.
        identity: Identical residues over paired ones, 0..1.
        e_value: Of the search that found it; NaN where the user gave it.
        release_date: ISO 8601, empty where unknown.
        is_given: Whether the user gave it, rather than a search.
        source: Database that was searched, or name of the user's file.
    """

    chain_ids: tuple[str, ...]
    entry: str
    chain: str
    sequence: str = field(repr=False)
    query_index: Int32[np.ndarray, " pair"] = field(repr=False)
    template_index: Int32[np.ndarray, " pair"] = field(repr=False)
    query: str = field(repr=False)
    identity: float
    e_value: float
    release_date: str
    is_given: bool
    source: str

    @property
    def coverage(self) -> float:
        """Part of the chain that is paired, 0..1."""
        return len(self.query_index) / len(self.query)

    @property
    def pdb_code(self) -> str | None:
        """Accession in the PDB; None where its entry is called otherwise or is the user's file."""
        known = not self.is_given and _PDB_CODE.fullmatch(self.entry)
        return self.entry.upper() if known else None

    def aligned(self) -> tuple[str, str]:
        """Return the rows of prediction and template, gaps as `-`, from the first to the last pair.

        Example:
            >>> pairs = np.array([0, 1, 3], np.int32), np.array([1, 2, 3], np.int32)
            >>> rest = "MKTV", 1.0, 0.0, "", False, ""
            >>> UsedTemplate(("A",), "1abc", "A", "GMKV", *pairs, *rest).aligned()
            ('MKTV', 'MK-V')
        """
        own, other = [], []
        before: tuple[int, int] | None = None
        for query, template in zip(self.query_index, self.template_index, strict=True):
            if before is not None:
                unpaired = self.query[before[0] + 1 : query]
                skipped = self.sequence[before[1] + 1 : template]
                own += [unpaired, "-" * len(skipped)]
                other += ["-" * len(unpaired), skipped]
            own.append(self.query[query])
            other.append(self.sequence[template])
            before = int(query), int(template)
        return "".join(own), "".join(other)

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "chain_ids": list(self.chain_ids),
            "origin": "given" if self.is_given else "searched",
            "source": self.source,
            "entry": self.entry,
            "chain": self.chain,
            "identity": round(self.identity, 4),
            "coverage": round(self.coverage, 4),
            "pairs": len(self.query_index),
            # JSON has no NaN.
            "e_value": None if math.isnan(self.e_value) else self.e_value,
            "release_date": self.release_date or None,
            "year": int(self.release_date[:4]) if self.release_date[:4].isdigit() else None,
        }
