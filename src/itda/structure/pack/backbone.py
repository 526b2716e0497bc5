"""The backbone as small residuals: each atom as seen from the three before it.

From C, CA and O of one residue the next N and CA stand almost fixed; C and O turn about one bond
each, by an angle that secondary structure tells in part. What is stored is the distance from the
mean of the class in the local frame, in steps of 0.05 angstrom unless told. The encoder follows
the decoder's own positions, so that errors do not add up along a chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.structure.chains.chain import DSSP_LETTERS
from itda.structure.pack.frames import Frames

STEP_ANGSTROM = 0.05
BACKBONE = ("N", "CA", "C", "O")
CLASSES = (len(DSSP_LETTERS) + 1) * 3

# Residue before or own, and place in BACKBONE, of the three atoms that each atom is seen from.
_REFERENCES = (
    ((-1, 3), (-1, 1), (-1, 2)),
    ((-1, 1), (-1, 2), (0, 0)),
    ((-1, 2), (0, 0), (0, 1)),
    ((0, 0), (0, 1), (0, 2)),
)
# Where the residue before the first is taken to stand, relative to the first N; only a start.
_BEFORE_FIRST = np.array([[-1.2, 2.7, 0.0], [-2.4, 0.0, 0.5], [-1.3, 0.0, 0.0], [-1.9, 1.1, 0.0]])


@dataclass(frozen=True)
class BackboneCode:
    """Backbones of many chains, encoded.

    Attributes:
        residuals: Steps from the mean of the class, in the frame of the three atoms before.
        means_angstrom: Mean of each class and atom in that frame.
        origins: First N of each chain, in 0.001 angstrom.
        step_angstrom: Length of a step; an atom comes back within 0.87 steps.
    """

    residuals: Int[np.ndarray, "residue 4 3"]
    means_angstrom: Float[np.ndarray, "class 4 3"]
    origins: Int[np.ndarray, "chain 3"]
    step_angstrom: float = STEP_ANGSTROM


def classify(
    sequence: np.ndarray, dssp: np.ndarray, has_dssp: Bool[np.ndarray, " residue"]
) -> Int[np.ndarray, " residue"]:
    """Give the class of each residue: DSSP letter or none, and glycine, proline or another.

    Args:
        sequence: ASCII letters.
        dssp: ASCII letters; without meaning where `has_dssp` is False.
        has_dssp: Whether DSSP is known.
    """
    place = np.full(256, len(DSSP_LETTERS))
    place[list(DSSP_LETTERS.encode())] = np.arange(len(DSSP_LETTERS))
    letter = np.where(has_dssp, place[dssp], len(DSSP_LETTERS))
    kind = np.select([sequence == ord("G"), sequence == ord("P")], [1, 2], 0)
    return np.asarray(letter * 3 + kind)


def encode_backbone(
    positions: Float[np.ndarray, "residue 4 3"],
    mask: Bool[np.ndarray, "residue 4"],
    lengths: Int[np.ndarray, " chain"],
    classes: Int[np.ndarray, " residue"],
    *,
    means_angstrom: Float[np.ndarray, "class 4 3"] | None = None,
    step_angstrom: float = STEP_ANGSTROM,
) -> tuple[BackboneCode, Float[np.ndarray, "residue 4 3"]]:
    """Encode backbones.

    Args:
        positions: N, CA, C and O of all chains one after another, angstrom.
        mask: Atoms that were seen; the place of others is made up and of no use.
        lengths: Residues of each chain.
        classes: As `classify` gives.
        means_angstrom: As `class_means` gives of these chains or of others; of these by default.
        step_angstrom: What residuals are rounded to.

    Returns:
        The code, and the positions that it decodes to.
    """
    starts = _starts(lengths)
    first = np.where(mask[starts, 0, None], positions[starts, 0], 0.0)
    origins = np.rint(first * 1000).astype(np.int64)
    means = means_angstrom
    if means is None:
        means = class_means(positions, mask, lengths, classes)
    residuals = np.zeros((len(positions), 4, 3), np.int64)
    decoded = np.zeros((len(positions), 4, 3))
    for rows, before in _walk(starts, lengths, origins, decoded):
        for atom, references in enumerate(_REFERENCES):
            frames = _frames(references, before, decoded[rows])
            local = frames.to_local(positions[rows, atom]) - means[classes[rows], atom]
            steps = np.rint(local / step_angstrom).astype(np.int64)
            steps[~mask[rows, atom]] = 0
            residuals[rows, atom] = steps
            decoded[rows, atom] = frames.to_global(
                means[classes[rows], atom] + steps * step_angstrom
            )
    return BackboneCode(residuals, means, origins, step_angstrom), decoded


def decode_backbone(
    code: BackboneCode,
    lengths: Int[np.ndarray, " chain"],
    classes: Int[np.ndarray, " residue"],
) -> Float[np.ndarray, "residue 4 3"]:
    """Undo `encode_backbone`: within half a step along each axis of a frame."""
    decoded = np.zeros((len(classes), 4, 3))
    for rows, before in _walk(_starts(lengths), lengths, code.origins, decoded):
        for atom, references in enumerate(_REFERENCES):
            frames = _frames(references, before, decoded[rows])
            steps = code.residuals[rows, atom]
            local = code.means_angstrom[classes[rows], atom] + steps * code.step_angstrom
            decoded[rows, atom] = frames.to_global(local)
    return decoded


def decode_chain(
    code: BackboneCode, classes: Int[np.ndarray, " residue"]
) -> Float[np.ndarray, "residue 4 3"]:
    """Decode one chain, as `decode_backbone` does, without going along it residue by residue.

    Each frame stands to the one before it in a way that the stored steps tell alone, so that all of
    these turns are known at once, and their running product gives every frame.
    """
    local = code.means_angstrom[classes] + code.residuals * code.step_angstrom
    start = code.origins[:1] * 1e-3 + _BEFORE_FIRST
    first = Frames.from_atoms(*(start[None, atom] for _, atom in _REFERENCES[0]))
    turns = np.empty((len(classes), 4, 3, 3))
    turns[0, 0] = np.stack([first.x[0], first.y[0], first.z[0]], axis=-1)
    turns[1:, 0] = _turned_about_x(local[:-1, 3])
    turns[:, 1:] = _turned_to(local[:, :3])
    rotations = _running_product(turns.reshape(-1, 3, 3)).reshape(-1, 4, 3, 3)
    steps = np.einsum("raij,raj->rai", rotations, local)
    # Atoms that the next frame stands on: N, CA and C of a residue, one on the other.
    origins = np.cumsum(steps[:, :3].reshape(-1, 3), axis=0).reshape(-1, 3, 3) + first.origin[0]
    decoded = np.empty_like(local)
    decoded[:, :3] = origins
    decoded[:, 3] = origins[:, 2] + steps[:, 3]
    return np.asarray(decoded)


def _turned_to(local: Float[np.ndarray, "*row 3"]) -> Float[np.ndarray, "*row 3 3"]:
    """Give the frame of an atom, in that of the three before it: axes in columns."""
    x = local / np.linalg.norm(local, axis=-1, keepdims=True)
    across = np.stack([np.zeros_like(x[..., 0]), x[..., 2], -x[..., 1]], axis=-1)
    z = across / np.linalg.norm(across, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _turned_about_x(oxygen: Float[np.ndarray, "row 3"]) -> Float[np.ndarray, "row 3 3"]:
    """Give the frame that begins at O, in the one that O was placed in: axes in columns."""
    across = np.stack([np.zeros(len(oxygen)), oxygen[:, 2], -oxygen[:, 1]], axis=-1)
    z = across / np.linalg.norm(across, axis=-1, keepdims=True)
    x = np.broadcast_to([1.0, 0.0, 0.0], z.shape)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _running_product(turns: Float[np.ndarray, "row 3 3"]) -> Float[np.ndarray, "row 3 3"]:
    """Give the product of each matrix with all before it, by doubling."""
    product = turns.copy()
    reach = 1
    while reach < len(product):
        product[reach:] = product[:-reach] @ product[reach:]
        reach *= 2
    return product


def _walk(
    starts: Int[np.ndarray, " chain"],
    lengths: Int[np.ndarray, " chain"],
    origins: Int[np.ndarray, "chain 3"],
    decoded: Float[np.ndarray, "residue 4 3"],
) -> Iterator[tuple[Int[np.ndarray, " row"], Float[np.ndarray, "row 4 3"]]]:
    """Go along all chains at once; give the rows of each place and the decoded residues before."""
    order = np.argsort(-lengths, kind="stable")
    before = origins[order, None, :] * 1e-3 + _BEFORE_FIRST
    active = len(order)
    for place in range(int(lengths.max(initial=0))):
        while active and lengths[order[active - 1]] <= place:
            active -= 1
        rows = starts[order[:active]] + place
        yield rows, before[:active]
        before = decoded[rows]


def _frames(
    references: tuple[tuple[int, int], ...],
    before: Float[np.ndarray, "chain 4 3"],
    own: Float[np.ndarray, "chain 4 3"],
) -> Frames:
    return Frames.from_atoms(
        *(before[:, atom] if back else own[:, atom] for back, atom in references)
    )


def class_means(
    positions: Float[np.ndarray, "residue 4 3"],
    mask: Bool[np.ndarray, "residue 4"],
    lengths: Int[np.ndarray, " chain"],
    classes: Int[np.ndarray, " residue"],
) -> Float[np.ndarray, "class 4 3"]:
    """Average each atom in its frame over unbroken neighbours, rounded to 0.001 angstrom."""
    starts = _starts(lengths)
    bonded = np.linalg.norm(positions[1:, 0] - positions[:-1, 2], axis=-1) < 2.0
    usable = mask[1:].all(axis=1) & mask[:-1].all(axis=1) & bonded
    usable[starts[1:] - 1] = False
    rows = np.flatnonzero(usable) + 1
    means = np.zeros((CLASSES, 4, 3))
    for atom, references in enumerate(_REFERENCES):
        frames = _frames(references, positions[rows - 1], positions[rows])
        local = frames.to_local(positions[rows, atom])
        total = local.mean(axis=0) if len(rows) else np.zeros(3)
        for number in range(CLASSES):
            own = local[classes[rows] == number]
            means[number, atom] = own.mean(axis=0) if len(own) >= 20 else total
    return np.round(means, 3)


def _starts(lengths: Int[np.ndarray, " chain"]) -> Int[np.ndarray, " chain"]:
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
