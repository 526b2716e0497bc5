"""Sequences that descend from others, and a mark for tests that need MMseqs2."""

import numpy as np
import pytest

from itda.chem.residues import RESTYPES
from itda.errors import DependencyError
from itda.search.mmseqs import find_mmseqs


def has_mmseqs() -> bool:
    try:
        find_mmseqs()
    except DependencyError:
        return False
    return True


needs_mmseqs = pytest.mark.skipif(not has_mmseqs(), reason="MMseqs2 is not installed")


def relative(sequence: str, changed: float, random: np.random.Generator) -> str:
    """Change a part of the residues, drawn at random, to others."""
    letters = list(sequence)
    count = round(changed * len(letters))
    for place in random.choice(len(letters), count, replace=False):
        letters[place] = random.choice([other for other in RESTYPES if other != letters[place]])
    return "".join(letters)
