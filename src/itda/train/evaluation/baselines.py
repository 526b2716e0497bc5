"""What a model must beat: a fold at random, and secondary structure without a fold."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from itda.structure.chains.chain import CA_INDEX
from itda.structure.lddt import lddt
from itda.train.sampler import ChainPool

PHI_PSI_DEGREES = {
    "H": (-63.0, -42.0),
    "G": (-62.0, -20.0),
    "I": (-70.0, -45.0),
    "P": (-75.0, 145.0),
    "E": (-120.0, 130.0),
    "B": (-120.0, 130.0),
    "T": (-75.0, -10.0),
}
"""Typical backbone torsions of each DSSP state (Kabsch and Sander 1983); others as polyproline."""

_COIL = (-75.0, 145.0)
_BONDS = ((1.329, 116.2), (1.458, 121.7), (1.525, 111.0))
"""C-N, N-CA, CA-C: length (angstrom) and the angle before it (degrees; Engh and Huber 1991)."""


def random_fold(
    pool: ChainPool,
    true_ca: Float[np.ndarray, "residue 3"],
    mask: Bool[np.ndarray, "residue"],
    *,
    draws: int,
    random: np.random.Generator,
) -> Float[np.ndarray, "residue 3"] | None:
    """Lay the chain on stretches of training chains drawn at random, and keep the best.

    The best is chosen by its true CA-lDDT, which no method could know: an upper bound of what
    copying an unrelated fold can give.

    Args:
        pool: Training chains.
        true_ca: The experiment, angstrom.
        mask: Residues that the experiment shows.
        draws: How many placements to try.
        random: Source of the draws.

    Returns:
        CA positions, or None where no training chain is long enough.
    """
    length = len(true_ca)
    best: tuple[float, Float[np.ndarray, "residue 3"]] | None = None
    tried = 0
    for _ in range(50 * draws):
        which, index = pool.draw(random)
        dataset = pool.datasets[which]
        if dataset.lengths[index] < length:
            continue
        chain = dataset[index]
        start = int(random.integers(len(chain) - length + 1))
        placed = chain.coordinates[start : start + length, CA_INDEX]
        if not chain.atom_mask[start : start + length, CA_INDEX].all():
            continue
        score = lddt(placed[mask], true_ca[mask]).score
        if best is None or score > best[0]:
            best = (score, placed)
        tried += 1
        if tried == draws:
            break
    return None if best is None else best[1]


def secondary_structure_only(dssp: str) -> Float[np.ndarray, "residue 3"]:
    """Build a chain with the true secondary structure and no tertiary structure.

    Every residue takes the typical torsions of its DSSP state; bonds and angles are ideal.

    Args:
        dssp: Eight-state secondary structure of the experiment.

    Returns:
        CA positions, angstrom.
    """
    atoms = [np.array([0.0, 0.0, 0.0]), np.array([1.458, 0.0, 0.0])]
    atoms.append(_extend(np.array([0.0, 1.0, 0.0]), atoms[0], atoms[1], 1.525, 111.0, -60.0))
    torsions = [PHI_PSI_DEGREES.get(letter, _COIL) for letter in dssp]
    for residue in range(1, len(dssp)):
        dihedrals = (torsions[residue - 1][1], 180.0, torsions[residue][0])
        for (length, angle), dihedral in zip(_BONDS, dihedrals, strict=True):
            atoms.append(_extend(atoms[-3], atoms[-2], atoms[-1], length, angle, dihedral))
    return np.array(atoms[1::3])


def _extend(
    a: Float[np.ndarray, "3"],
    b: Float[np.ndarray, "3"],
    c: Float[np.ndarray, "3"],
    length: float,
    angle_degrees: float,
    dihedral_degrees: float,
) -> Float[np.ndarray, "3"]:
    """Place the next atom by bond, angle and dihedral (natural extension reference frame)."""
    angle, dihedral = np.radians(angle_degrees), np.radians(dihedral_degrees)
    x = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, x)
    normal /= np.linalg.norm(normal)
    y = np.cross(normal, x)
    return np.asarray(
        c
        + length
        * (
            -np.cos(angle) * x
            + np.sin(angle) * np.cos(dihedral) * y
            + np.sin(angle) * np.sin(dihedral) * normal
        )
    )
