"""What pairs of tokens have, kept in a file instead of in memory until a job's last sample is done.

Of 2,000 tokens the matrices of one sample take 16 MB each; of 25 samples they would take more than
the network.
"""

from __future__ import annotations

import dataclasses
import tempfile
from typing import Any

import numpy as np

from itda.structure.prediction import Prediction

MATRICES = ("pae", "pde", "contact_probabilities")

ASIDE_FROM_BYTES = 2**22
"""Smaller matrices are not worth a file."""


def set_aside(prediction: Prediction) -> Prediction:
    """Return a prediction whose large matrices are read from a file without a name as needed.

    Where no file can be made they stay in memory. The file goes with the last array that is read
    from it.
    """
    matrices = {name: getattr(prediction, name) for name in MATRICES}
    large = {
        name: matrix
        for name, matrix in matrices.items()
        if matrix is not None and matrix.nbytes >= ASIDE_FROM_BYTES
    }
    try:
        mapped: dict[str, Any] = {name: _mapped(matrix) for name, matrix in large.items()}
    except OSError:
        return prediction
    return dataclasses.replace(prediction, **mapped) if mapped else prediction


def _mapped(matrix: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryFile(prefix="itda-") as file:
        np.ascontiguousarray(matrix).tofile(file)
        file.flush()
        return np.memmap(file, dtype=matrix.dtype, mode="r", shape=matrix.shape)
