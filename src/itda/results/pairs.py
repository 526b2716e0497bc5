"""The file of what is predicted of pairs of tokens."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import IO, BinaryIO

import numpy as np

from itda.structure.prediction import Prediction

PAIR_ARRAYS = ("pae", "pde", "contact_probabilities")


def has_pairs(prediction: Prediction) -> bool:
    """Whether anything is predicted of pairs of tokens."""
    return any(getattr(prediction, name) is not None for name in PAIR_ARRAYS)


def write_pairs(predictions: Sequence[Prediction], file: BinaryIO) -> None:
    """Write what `NAME.pae.npz` holds, one matrix in memory at a time.

    - `pae`, float16 [token, token]: expected error in Å of the column's token when prediction and
      truth are superposed on the row's token, for the best prediction.
    - `pae_samples`, float16 [rank, token, token]: the same for each, where there are several.
    - `pde` and `pde_samples`, Å, and `contact_probabilities` and `contact_probabilities_samples`,
      0 to 1, likewise, where the family predicts them.
    - `chain_id`, `number`, `insertion_code`, `name`, `atom_name`: the tokens; `atom_name` is empty
      for a token that is a whole residue.

    Args:
        predictions: By rank, of a family that predicts something of pairs.
        file: Written to.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PAIR_ARRAYS:
            matrices = [matrix for one in predictions if (matrix := getattr(one, name)) is not None]
            if not matrices:
                continue
            _write_array(archive, name, matrices[:1], matrices[0].shape)
            if len(matrices) > 1:
                shape = (len(matrices), *matrices[0].shape)
                _write_array(archive, f"{name}_samples", matrices, shape)
        for field, values in predictions[0].tokens.to_dict().items():
            with _member(archive, field) as member:
                np.lib.format.write_array(member, np.array(values), allow_pickle=False)


def _write_array(
    archive: zipfile.ZipFile, name: str, matrices: Sequence[np.ndarray], shape: tuple[int, ...]
) -> None:
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    with _member(archive, name) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for matrix in matrices:
            member.write(np.ascontiguousarray(matrix, "<f2").tobytes())


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # Without the time of day, so that equal results give equal bytes.
    info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)
