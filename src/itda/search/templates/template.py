"""A known structure laid along the query."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from itda.structure.chains.chain import CA_INDEX


@dataclass(frozen=True)
class Template:
    """A chain of known structure, and which of its residues pair with which of the query.

    Attributes:
        name: Entry and chain, such as `1ubq_A`.
        sequence: The template's residues, one letter each.
        coordinates: Atom positions in angstrom in AlphaFold's atom37 order; 0 where absent.
        atom_mask: True where the atom was seen.
        query_index: Paired residues of the query, 0-based, rising.
        template_index: Their partners in `sequence`, 0-based, rising.
        identity: Identical residues over paired ones, 0..1.
        release_date: ISO 8601, empty where unknown.
        e_value: Of the search that found it; NaN where it was given by hand.
        source: Database or file that it was taken from.
    """

    name: str
    sequence: str
    coordinates: Float32[np.ndarray, "residue 37 3"] = field(repr=False)
    atom_mask: Bool[np.ndarray, "residue 37"] = field(repr=False)
    query_index: Int32[np.ndarray, " pair"] = field(repr=False)
    template_index: Int32[np.ndarray, " pair"] = field(repr=False)
    identity: float
    release_date: str = ""
    e_value: float = float("nan")
    source: str = ""

    def ca_along(self, length: int) -> Float[np.ndarray, "residue 3"]:
        """Give its CA atoms at the query's residues that they pair with; NaN elsewhere; angstrom.

        Args:
            length: Residues of the query.
        """
        along = np.full((length, 3), np.nan)
        seen = self.atom_mask[self.template_index, CA_INDEX]
        along[self.query_index[seen]] = self.coordinates[self.template_index[seen], CA_INDEX]
        return along
