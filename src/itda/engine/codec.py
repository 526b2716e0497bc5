"""Predictions, and what trunks give, as bytes and back without loss, for the store."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from biotite.structure import AtomArray, BondList

from itda.engine.stages import Codec
from itda.models.family import Trunk
from itda.storage import OtherFormatError
from itda.structure.prediction import Prediction, Provenance

FORMAT = 3
_ARRAYS = "prediction.npz"
_DETAILS = "prediction.json"
_TRUNK = "trunk.npz"
_ANNOTATION = "annotation_"
_OPTIONAL = (
    "pae", "pde", "contact_probabilities", "single_atoms", "chain_ptm", "chain_pair_iptm",
)  # fmt: skip
_PLAIN = ("name", "ptm", "iptm", "sample", "seed")


def encode_prediction(prediction: Prediction) -> dict[str, bytes]:
    """Return files that hold a prediction, arrays bit for bit.

    What is the engine's own (`validity`, `molecules`) is left out: it is made anew.
    """
    atoms = prediction.atoms
    arrays: dict[str, Any] = {"coord": atoms.coord, "plddt": prediction.plddt}
    for name in _OPTIONAL:
        if getattr(prediction, name) is not None:
            arrays[name] = getattr(prediction, name)
    for category in atoms.get_annotation_categories():
        arrays[_ANNOTATION + category] = _plain(atoms.get_annotation(category))
    if atoms.bonds is not None:
        arrays["bonds"] = atoms.bonds.as_array()
    details = {
        "format": FORMAT,
        **{name: getattr(prediction, name) for name in _PLAIN},
        "provenance": prediction.provenance.to_dict(),
    }
    return {_ARRAYS: _packed(arrays), _DETAILS: json.dumps(details).encode()}


def decode_prediction(files: Mapping[str, bytes], *, name: str) -> Prediction:
    """Return the prediction that `encode_prediction` was given, under another job's name.

    Raises:
        OtherFormatError: The files are of another format.
    """
    details = json.loads(files[_DETAILS])
    if details["format"] != FORMAT:
        raise OtherFormatError(f"a prediction of format {details['format']}, not {FORMAT}")
    with np.load(io.BytesIO(files[_ARRAYS]), allow_pickle=False) as arrays:
        atoms = AtomArray(len(arrays["coord"]))
        atoms.coord = arrays["coord"]
        for key in arrays.files:
            if key.startswith(_ANNOTATION):
                atoms.set_annotation(key.removeprefix(_ANNOTATION), arrays[key])
        if "bonds" in arrays.files:
            atoms.bonds = BondList(len(atoms), arrays["bonds"])
        given: dict[str, Any] = {key: arrays[key] for key in _OPTIONAL if key in arrays.files}
        given = {"pae": None, **given, **{key: details[key] for key in _PLAIN}, "name": name}
        return Prediction(
            atoms=atoms,
            plddt=arrays["plddt"],
            **given,
            provenance=Provenance.from_dict(details["provenance"]),
        )


def _plain(values: np.ndarray) -> np.ndarray:
    """Return an annotation as an array that needs no pickle."""
    return values.astype(str) if values.dtype == object else values


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked_trunk(files: Mapping[str, bytes]) -> Trunk:
    with np.load(io.BytesIO(files[_TRUNK]), allow_pickle=False) as arrays:
        return dict(arrays)


TRUNK_CODEC: Codec[Trunk] = Codec(lambda trunk: {_TRUNK: _packed(trunk)}, _unpacked_trunk)
