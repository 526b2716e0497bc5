"""Predictions as bytes and back, without loss, for the store."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from biotite.structure import AtomArray, BondList

from itda.storage import OtherFormatError
from itda.structure.prediction import Prediction, Provenance

FORMAT = 2
_ANNOTATION = "annotation_"


def encode_predictions(predictions: Sequence[Prediction]) -> dict[str, bytes]:
    """Return files that hold the predictions, arrays bit for bit.

    The engine's own findings (`validity`) are left out: they are a stage of their own.
    """
    files: dict[str, bytes] = {}
    described = []
    for index, prediction in enumerate(predictions):
        files[f"prediction_{index}.npz"] = _pack(prediction)
        described.append(
            {
                "name": prediction.name,
                "ptm": prediction.ptm,
                "sample": prediction.sample,
                "seed": prediction.seed,
                "provenance": prediction.provenance.to_dict(),
            }
        )
    files["predictions.json"] = json.dumps({"format": FORMAT, "predictions": described}).encode()
    return files


def decode_predictions(files: Mapping[str, bytes], *, name: str) -> list[Prediction]:
    """Return the predictions that `encode_predictions` was given, under another job's name.

    Raises:
        OtherFormatError: The files are of another format.
    """
    described = json.loads(files["predictions.json"])
    if described["format"] != FORMAT:
        raise OtherFormatError(f"predictions of format {described['format']}, not {FORMAT}")
    return [
        _unpack(files[f"prediction_{index}.npz"], {**one, "name": name})
        for index, one in enumerate(described["predictions"])
    ]


def _pack(prediction: Prediction) -> bytes:
    atoms = prediction.atoms
    arrays: dict[str, Any] = {
        "coord": atoms.coord,
        "plddt": prediction.plddt,
    }
    if prediction.pae is not None:
        arrays["pae"] = prediction.pae
    for category in atoms.get_annotation_categories():
        arrays[_ANNOTATION + category] = _plain(atoms.get_annotation(category))
    if atoms.bonds is not None:
        arrays["bonds"] = atoms.bonds.as_array()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _plain(values: np.ndarray) -> np.ndarray:
    """Return an annotation as an array that needs no pickle."""
    return values.astype(str) if values.dtype == object else values


def _unpack(content: bytes, described: Mapping[str, Any]) -> Prediction:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        atoms = AtomArray(len(arrays["coord"]))
        atoms.coord = arrays["coord"]
        for key in arrays.files:
            if key.startswith(_ANNOTATION):
                atoms.set_annotation(key.removeprefix(_ANNOTATION), arrays[key])
        if "bonds" in arrays.files:
            atoms.bonds = BondList(len(atoms), arrays["bonds"])
        return Prediction(
            name=described["name"],
            atoms=atoms,
            plddt=arrays["plddt"],
            pae=arrays["pae"] if "pae" in arrays.files else None,
            ptm=described["ptm"],
            sample=described["sample"],
            seed=described["seed"],
            provenance=Provenance.from_dict(described["provenance"]),
        )
