"""From chains to training examples: crops, targets, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from itda.chem.geometry import ideal_positions, rigid_group_tables
from itda.chem.residues import sequence_to_indices
from itda.features import Features, ProfileFeatures, TemplateFeatures, TokenFeatures
from itda.features.template import TemplateArrays
from itda.models.mini.modeling import DSSP_LETTERS
from itda.nn.structure.rigid import Rigid
from itda.search.templates.template import Template
from itda.structure.chains.chain import C_INDEX, CA_INDEX, N_INDEX, Chain

FEWEST_TEMPLATE_RESIDUES = 10
"""Partners that a template must have in a crop to be of use there (AlphaFold 3 SI 2.4)."""

_DSSP_INDEX = {letter: index for index, letter in enumerate(DSSP_LETTERS)} | {"P": 7, "?": -1}


@dataclass(frozen=True)
class Targets:
    """What the experiment shows of a batch.

    Attributes:
        atoms: Atom14 positions, angstrom.
        atom_mask: Atoms that were seen.
        backbone_mask: Residues with N, CA and C.
        cb: CB, placed ideally from N, CA, C so that every chain has the same meaning.
        torsions: (sin, cos) of N-CA-C-O and chi1 to chi4.
        torsion_mask: Torsions whose four atoms were seen.
        linked: True where residue i is bonded to residue i + 1.
        phi_psi: (sin, cos) of the backbone torsions phi and psi.
        phi_psi_mask: Where both residues of the torsion are bonded and were seen.
        profile: Residue frequencies; rows are 0 where unknown.
        dssp: Index into `DSSP_LETTERS`, -1 where unknown.
    """

    atoms: Float[Tensor, "batch token 14 3"]
    atom_mask: Bool[Tensor, "batch token 14"]
    backbone_mask: Bool[Tensor, "batch token"]
    cb: Float[Tensor, "batch token 3"]
    torsions: Float[Tensor, "batch token 5 2"]
    torsion_mask: Bool[Tensor, "batch token 5"]
    linked: Bool[Tensor, "batch token"]
    phi_psi: Float[Tensor, "batch token 2 2"]
    phi_psi_mask: Bool[Tensor, "batch token 2"]
    profile: Float[Tensor, "batch token 20"]
    dssp: Int[Tensor, "batch token"]

    @property
    def frames(self) -> Rigid:
        """Backbone frames; without meaning where `backbone_mask` is False."""
        return Rigid.from_three_points(
            self.atoms[:, :, 1], self.atoms[:, :, 2], self.atoms[:, :, 0]
        )

    def to(self, device: torch.device | str) -> Targets:
        """Move all arrays."""
        return Targets(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class Batch:
    """Features and targets of several crops, padded to one length."""

    features: Features
    targets: Targets

    def to(self, device: torch.device | str) -> Batch:
        """Move all arrays."""
        return Batch(self.features.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Crop:
    """A stretch of a chain, and whether its profile may be seen.

    Attributes:
        chain: Where it is cut from.
        start: First residue, 0-based.
        stop: One past the last.
        show_profile: Whether the profile is an input; it is a target in any case.
        templates: Known structures laid along the whole chain, best first.
    """

    chain: Chain
    start: int
    stop: int
    show_profile: bool
    templates: Sequence[Template] = ()


def make_batch(crops: list[Crop]) -> Batch:
    """Compute targets and pad.

    Args:
        crops: At least one.
    """
    longest = max(crop.stop - crop.start for crop in crops)
    examples = [_example(crop) for crop in crops]
    stacked = {
        name: torch.from_numpy(np.stack([_pad(example[name], longest) for example in examples]))
        for name in examples[0]
    }
    mask = torch.zeros(len(crops), longest, dtype=torch.bool)
    for row, crop in enumerate(crops):
        mask[row, : crop.stop - crop.start] = True
    present = torch.tensor([crop.show_profile and crop.chain.profile is not None for crop in crops])
    features = Features(
        TokenFeatures(stacked.pop("restype"), stacked.pop("residue_index"), mask),
        ProfileFeatures(stacked["profile"], present),
        TemplateFeatures.stack([_templates(crop) for crop in crops]),
    )
    stacked["dssp"] = stacked["dssp"].masked_fill(~mask, -1)
    return Batch(features, Targets(**stacked))


def _templates(crop: Crop) -> TemplateArrays:
    whole = TemplateArrays.from_templates(crop.templates, tokens=len(crop.chain))
    return whole.crop(crop.start, crop.stop, fewest=FEWEST_TEMPLATE_RESIDUES)


def _example(crop: Crop) -> dict[str, np.ndarray]:
    chain, rows = crop.chain, slice(crop.start, crop.stop)
    tables = rigid_group_tables()
    restype = np.array(sequence_to_indices(chain.sequence[rows]))
    columns = tables.atom14_to_atom37[restype]
    coordinates, seen = chain.coordinates[rows], chain.atom_mask[rows]
    atoms = np.take_along_axis(coordinates, columns[..., None], axis=1)
    atom_mask = np.take_along_axis(seen, columns, axis=1) & tables.atom14_mask[restype]
    backbone = np.asarray(seen[:, [N_INDEX, CA_INDEX, C_INDEX]].all(1))
    torsions, torsion_mask = _torsions(restype, atoms, atom_mask)
    index = chain.residue_index[rows].astype(np.int64)
    length = len(restype)
    profile = np.zeros((length, 20), np.float32)
    if chain.profile is not None:
        profile[:] = chain.profile[rows]
    dssp = np.full(length, -1)
    if chain.dssp is not None:
        dssp[:] = [_DSSP_INDEX[letter] for letter in chain.dssp[rows]]
    # Missing atoms sit at the origin of the file; centring keeps float32 distances exact.
    centre = atoms[:, 1][backbone].mean(0) if backbone.any() else 0.0
    atoms = np.where(atom_mask[..., None], atoms - centre, 0.0).astype(np.float32)
    linked = np.append(np.diff(index) == 1, False) & backbone & np.append(backbone[1:], False)
    phi_psi, phi_psi_mask = _phi_psi(atoms, linked)
    return {
        "restype": restype,
        "residue_index": index,
        "atoms": atoms,
        "atom_mask": atom_mask,
        "backbone_mask": backbone,
        "cb": _ideal_cb(atoms),
        "torsions": torsions,
        "torsion_mask": torsion_mask,
        "linked": linked,
        "phi_psi": phi_psi,
        "phi_psi_mask": phi_psi_mask,
        "profile": profile,
        "dssp": dssp,
    }


def _torsions(
    restype: Int[np.ndarray, "token"],
    atoms: Float32[np.ndarray, "token 14 3"],
    atom_mask: Bool[np.ndarray, "token 14"],
) -> tuple[Float32[np.ndarray, "token 5 2"], Bool[np.ndarray, "token 5"]]:
    """Measure (sin, cos) of each torsion; IUPAC sign."""
    tables = rigid_group_tables()
    quads = tables.torsion_atom14[restype]
    rows = np.arange(len(restype))[:, None, None]
    mask = tables.torsion_mask[restype] & atom_mask[rows, quads].all(-1)
    pair = _sine_cosine(*np.moveaxis(atoms[rows, quads], 2, 0))
    return np.where(mask[..., None], pair, 0.0).astype(np.float32), mask


def _phi_psi(
    atoms: Float32[np.ndarray, "token 14 3"], linked: Bool[np.ndarray, "token"]
) -> tuple[Float32[np.ndarray, "token 2 2"], Bool[np.ndarray, "token 2"]]:
    n, ca, c = atoms[:, 0], atoms[:, 1], atoms[:, 2]
    values = np.zeros((len(atoms), 2, 2), np.float32)
    mask = np.stack([np.append(False, linked[:-1]), linked], axis=1)
    values[1:, 0] = _sine_cosine(c[:-1], n[1:], ca[1:], c[1:])
    values[:-1, 1] = _sine_cosine(n[:-1], ca[:-1], c[:-1], n[1:])
    return np.where(mask[..., None], values, 0.0).astype(np.float32), mask


def _sine_cosine(
    a: Float32[np.ndarray, "*shape 3"],
    b: Float32[np.ndarray, "*shape 3"],
    c: Float32[np.ndarray, "*shape 3"],
    d: Float32[np.ndarray, "*shape 3"],
) -> Float[np.ndarray, "*shape 2"]:
    """Measure a torsion; IUPAC sign."""
    a, b, c, d = (points.astype(np.float64) for points in (a, b, c, d))
    axis = _unit(c - b)
    before = (a - b) - ((a - b) * axis).sum(-1, keepdims=True) * axis
    after = (d - c) - ((d - c) * axis).sum(-1, keepdims=True) * axis
    cosine = (before * after).sum(-1)
    sine = (np.cross(axis, before) * after).sum(-1)
    return _unit(np.stack([sine, cosine], axis=-1))


def _ideal_cb(atoms: Float32[np.ndarray, "token 14 3"]) -> Float32[np.ndarray, "token 3"]:
    n, ca, c = (atoms[:, column].astype(np.float64) for column in range(3))
    x = _unit(c - ca)
    y = _unit((n - ca) - ((n - ca) * x).sum(-1, keepdims=True) * x)
    frame = np.stack([x, y, np.cross(x, y)], axis=-1)
    return np.asarray(frame @ np.array(ideal_positions()["ALA"]["CB"]) + ca, np.float32)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.asarray(vector / np.maximum(length, 1e-6))


def _pad(array: np.ndarray, length: int) -> np.ndarray:
    return np.pad(array, [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1))
