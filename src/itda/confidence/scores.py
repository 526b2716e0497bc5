"""Confidence from the bins that a network predicts: pLDDT, PAE and pTM."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def expected_plddt(
    probabilities: Float[np.ndarray, "residue bin"],
) -> Float[np.ndarray, "residue"]:
    """Mean of the binned lDDT (AlphaFold 2 SI, algorithm 29).

    Args:
        probabilities: Of equal bins that cover 0 to 1; rows sum to 1.

    Returns:
        pLDDT, 0 to 100.

    >>> expected_plddt(np.array([[0.0, 1.0]]))
    array([75.])
    """
    bins = probabilities.shape[-1]
    return np.asarray(probabilities @ ((np.arange(bins) + 0.5) / bins * 100.0))


def tm_of_bins(bins: int, *, residues: int, bin_angstrom: float) -> Float[np.ndarray, "2 bin"]:
    """Return the error at the centre of each bin, angstrom, and what it adds to a TM-score, 0 to 1.

    Args:
        bins: Equal ones, from 0 upwards.
        residues: Of the whole structure, which the scale of the score depends on.
        bin_angstrom: Width of a bin.
    """
    centres = (np.arange(bins) + 0.5) * bin_angstrom
    return np.stack([centres, 1.0 / (1.0 + (centres / tm_scale(residues)) ** 2)])


def tm_scale(residues: int) -> float:
    """Return d0 of the TM-score in angstrom, with the least length that pTM takes.

    >>> round(tm_scale(76), 3)
    3.082
    """
    return float(1.24 * np.cbrt(max(residues, 19) - 15) - 1.8)
