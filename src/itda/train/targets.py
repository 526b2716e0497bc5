"""What experiments show of chains, as a network is compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from itda.chem.geometry import ideal_positions, rigid_group_tables
from itda.chem.residues import DSSP_LETTERS, sequence_to_indices
from itda.features.group import Group
from itda.nn.structure.rigid import Rigid
from itda.structure.chains.chain import C_INDEX, CA_INDEX, N_INDEX
from itda.train.batch import Crop, stack_padded, token_mask

_DSSP_INDEX = {letter: index for index, letter in enumerate(DSSP_LETTERS)} | {"P": 7, "?": -1}


@dataclass(frozen=True)
class ChainTargets(Group):
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

    @staticmethod
    def of_crops(crops: Sequence[Crop]) -> ChainTargets:
        """Compute the targets of crops, padded to the longest."""
        stacked = stack_padded([_example(crop) for crop in crops])
        stacked["dssp"] = stacked["dssp"].masked_fill(~token_mask(crops), -1)
        return ChainTargets(**stacked)


def profile_of(crop: Crop) -> Float32[np.ndarray, "token 20"]:
    """Give the residue frequencies of a crop; 0 where the chain has no profile."""
    if crop.chain.profile is None:
        return np.zeros((len(crop), 20), np.float32)
    return np.asarray(crop.chain.profile[crop.rows], np.float32)


def _example(crop: Crop) -> dict[str, np.ndarray]:
    chain, rows = crop.chain, crop.rows
    tables = rigid_group_tables()
    restype = np.array(sequence_to_indices(chain.sequence[rows]))
    columns = tables.atom14_to_atom37[restype]
    coordinates, seen = chain.coordinates[rows], chain.atom_mask[rows]
    atoms = np.take_along_axis(coordinates, columns[..., None], axis=1)
    atom_mask = np.take_along_axis(seen, columns, axis=1) & tables.atom14_mask[restype]
    backbone = np.asarray(seen[:, [N_INDEX, CA_INDEX, C_INDEX]].all(1))
    torsions, torsion_mask = _torsions(restype, atoms, atom_mask)
    index = chain.residue_index[rows].astype(np.int64)
    dssp = np.full(len(restype), -1)
    if chain.dssp is not None:
        dssp[:] = [_DSSP_INDEX[letter] for letter in chain.dssp[rows]]
    # Missing atoms sit at the origin of the file; centring keeps float32 distances exact.
    centre = atoms[:, 1][backbone].mean(0) if backbone.any() else 0.0
    atoms = np.where(atom_mask[..., None], atoms - centre, 0.0).astype(np.float32)
    linked = np.append(np.diff(index) == 1, False) & backbone & np.append(backbone[1:], False)
    phi_psi, phi_psi_mask = _phi_psi(atoms, linked)
    return {
        "atoms": atoms,
        "atom_mask": atom_mask,
        "backbone_mask": backbone,
        "cb": _ideal_cb(atoms),
        "torsions": torsions,
        "torsion_mask": torsion_mask,
        "linked": linked,
        "phi_psi": phi_psi,
        "phi_psi_mask": phi_psi_mask,
        "profile": profile_of(crop),
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
