"""Templates as bytes and back, without loss, for the store."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from itda.search.templates.template import Template
from itda.storage import OtherFormatError
from itda.structure.chains.chain import ATOM_COUNT

FORMAT = 1
DESCRIPTION = "templates.json"


def encode_templates(templates: Sequence[Template]) -> dict[str, bytes]:
    """Return files that hold the templates, arrays bit for bit; equal ones give equal bytes."""
    files = {f"template_{index}.npz": _pack(template) for index, template in enumerate(templates)}
    described = [_describe(template) for template in templates]
    files[DESCRIPTION] = json.dumps({"format": FORMAT, "templates": described}).encode()
    return files


def decode_templates(files: Mapping[str, bytes]) -> tuple[Template, ...]:
    """Return the templates that `encode_templates` was given.

    Raises:
        OtherFormatError: The files are of another format.
    """
    described = json.loads(files[DESCRIPTION])
    if described["format"] != FORMAT:
        raise OtherFormatError(f"templates of format {described['format']}, not {FORMAT}")
    return tuple(
        _unpack(files[f"template_{index}.npz"], one)
        for index, one in enumerate(described["templates"])
    )


def templates_digest(templates: Sequence[Template]) -> str:
    """Return `sha256:` and the digest of all that the templates hold, in their order."""
    digest = hashlib.sha256()
    for template in templates:
        described = json.dumps(_describe(template), sort_keys=True).encode()
        arrays = _arrays(template).values()
        parts = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
        for part in (described, *parts):
            # Lengths keep the parts apart.
            digest.update(len(part).to_bytes(8, "little") + part)
    return "sha256:" + digest.hexdigest()


def _describe(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "sequence": template.sequence,
        "identity": template.identity,
        "release_date": template.release_date,
        # JSON has no NaN.
        "e_value": None if np.isnan(template.e_value) else template.e_value,
        "source": template.source,
    }


def _arrays(template: Template) -> dict[str, Any]:
    mask = np.asarray(template.atom_mask, bool)
    return {
        # Most of the 37 columns are empty: a chain of backbone atoms shrinks to a ninth.
        "positions": np.asarray(template.coordinates, np.float32)[mask],
        "atom_mask": mask,
        "query_index": np.asarray(template.query_index, np.int32),
        "template_index": np.asarray(template.template_index, np.int32),
    }


def _pack(template: Template) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_arrays(template))
    return buffer.getvalue()


def _unpack(content: bytes, described: Mapping[str, Any]) -> Template:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        mask = arrays["atom_mask"]
        positions = arrays["positions"]
        query_index, template_index = arrays["query_index"], arrays["template_index"]
    length = len(described["sequence"])
    if mask.shape != (length, ATOM_COUNT) or positions.shape != (int(mask.sum()), 3):
        raise ValueError(f"template {described['name']}: atoms do not fit its {length} residues")
    if query_index.shape != template_index.shape or (template_index >= length).any():
        raise ValueError(f"template {described['name']}: pairs do not fit its {length} residues")
    coordinates = np.zeros((length, ATOM_COUNT, 3), np.float32)
    coordinates[mask] = positions
    e_value = described["e_value"]
    return Template(
        name=described["name"],
        sequence=described["sequence"],
        coordinates=coordinates,
        atom_mask=mask,
        query_index=query_index,
        template_index=template_index,
        identity=described["identity"],
        release_date=described["release_date"],
        e_value=float("nan") if e_value is None else e_value,
        source=described["source"],
    )
