"""Heavy atoms of many residues from backbone frames and torsions, and the way back for gradients.

The same atoms as `itda.nn.structure.atoms.AtomBuilder` places (AlphaFold 2 SI, algorithm 24), but
only those that exist, in an order that needs few index arrays: N, CA, C, CB and O of all residues,
each in one stretch, then the side chains, torsion by torsion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from itda.chem.geometry import RigidGroupTables, rigid_group_tables
from itda.models.mini.geometry.vectors import cross, dot, product, turn, turn_back

_N, _CA, _C, _O, _CB = 0, 1, 2, 3, 4
_FIXED = (_N, _CA, _C, _CB)
"""Atoms of the backbone's own rigid group, in the order in which they are kept."""

_GROUP_OF_O = 1
"""O turns with the last backbone torsion, in every residue; nothing hangs on it."""


@dataclass(frozen=True)
class _Level:
    """Rigid groups that hang on groups of the level before, and their atoms, sorted by group.

    Attributes:
        parent: Place of each group's parent in the level before.
        rotation: From the group's frame at torsion zero to the parent's.
        translation: Likewise, angstrom.
        first_atom: Place of each group's first atom in `group_of_atom`.
        group_of_atom: Group of each atom.
        position: Of each atom in its group's frame, angstrom.
        atoms: Where the level's atoms stand among all.
        torsions: Where the level's torsions stand among all.
    """

    parent: Int[np.ndarray, "group"]
    rotation: Float[np.ndarray, "3 3 group"]
    translation: Float[np.ndarray, "3 group"]
    first_atom: Int[np.ndarray, "group"]
    group_of_atom: Int[np.ndarray, "atom"]
    position: Float[np.ndarray, "3 atom"]
    atoms: slice
    torsions: slice


class AtomPlan:
    """Which atoms a set of residues has, and how each hangs on its backbone.

    Attributes:
        token: Residue of each atom.
        column: Atom14 column of each atom.
        torsion_token: Residue of each torsion that exists.
        torsion_index: Which of the five torsions of its residue it is.

    Args:
        restype: Types of the residues of all chains, one after the other.
    """

    def __init__(self, restype: Int[np.ndarray, "token"]) -> None:
        tables = rigid_group_tables()
        self.tokens = len(restype)
        everyone = np.arange(self.tokens)
        self.fixed = np.stack(
            [tables.atom14_position[restype, column].T for column in _FIXED]
        ).transpose(1, 0, 2)
        # A glycine has no CB; its place stands empty, at CA.
        tokens = [everyone] * len(_FIXED)
        columns = [np.full(self.tokens, column) for column in _FIXED]
        self.levels: list[_Level] = []
        torsion_tokens: list[np.ndarray] = []
        torsion_index: list[np.ndarray] = []
        atoms_before, torsions_before = len(_FIXED) * self.tokens, 0
        parent_of = everyone
        for groups in ((_GROUP_OF_O, 2), (3,), (4,), (5,)):
            token, group = _groups_of(tables, restype, groups)
            level, atom_token, atom_column = _level(
                tables, restype, token, group, parent_of[token], atoms_before, torsions_before
            )
            self.levels.append(level)
            tokens.append(atom_token)
            columns.append(atom_column)
            torsion_tokens.append(token)
            torsion_index.append(group - 1)
            atoms_before += len(atom_token)
            torsions_before += len(token)
            parent_of = np.full(self.tokens, -1)
            carries = np.flatnonzero(group != _GROUP_OF_O)
            parent_of[token[carries]] = carries
        self.token = np.concatenate(tokens)
        self.column = np.concatenate(columns)
        self.torsion_token = np.concatenate(torsion_tokens)
        self.torsion_index = np.concatenate(torsion_index)
        self.exists: Bool[np.ndarray, "atom"] = tables.atom14_mask[restype[self.token], self.column]

    @property
    def torsions(self) -> int:
        """How many torsions there are."""
        return len(self.torsion_token)

    def to_atom14(self, atoms: Float[np.ndarray, "3 atom"]) -> Float[np.ndarray, "token 14 3"]:
        """Put atoms into atom14 columns; columns outside the residue's atoms lie at its CA."""
        ca = atoms[:, self.tokens : 2 * self.tokens]
        out = np.repeat(ca.T[:, None], 14, axis=1)
        out[self.token, self.column] = atoms.T
        return np.ascontiguousarray(out, np.float32)


def _groups_of(
    tables: RigidGroupTables, restype: Int[np.ndarray, "token"], groups: tuple[int, ...]
) -> tuple[Int[np.ndarray, "group"], Int[np.ndarray, "group"]]:
    """Return residue and number of the rigid groups that exist, of some numbers."""
    tokens, numbers = [], []
    for group in groups:
        has = tables.atom14_mask[restype] & (tables.atom14_group[restype] == group)
        found = np.flatnonzero(has.any(axis=1))
        tokens.append(found)
        numbers.append(np.full(len(found), group))
    return np.concatenate(tokens), np.concatenate(numbers)


def _level(
    tables: RigidGroupTables,
    restype: Int[np.ndarray, "token"],
    token: Int[np.ndarray, "group"],
    group: Int[np.ndarray, "group"],
    parent: Int[np.ndarray, "group"],
    atoms_before: int,
    torsions_before: int,
) -> tuple[_Level, Int[np.ndarray, "atom"], Int[np.ndarray, "atom"]]:
    assert (parent >= 0).all(), "a group hangs on one that is not there"
    of = restype[token]
    mine = tables.atom14_mask[of] & (tables.atom14_group[of] == group[:, None])
    owner, column = np.nonzero(mine)
    atom_token = token[owner]
    level = _Level(
        parent=parent,
        rotation=np.ascontiguousarray(tables.default_rotation[of, group].transpose(1, 2, 0)),
        translation=np.ascontiguousarray(tables.default_translation[of, group].T),
        first_atom=np.searchsorted(owner, np.arange(len(token))),
        group_of_atom=owner,
        position=np.ascontiguousarray(tables.atom14_position[restype[atom_token], column].T),
        atoms=slice(atoms_before, atoms_before + len(owner)),
        torsions=slice(torsions_before, torsions_before + len(token)),
    )
    return level, atom_token, column


@dataclass(frozen=True)
class Placed:
    """Atoms, and what the way back needs.

    Attributes:
        atoms: Angstrom.
        translation: Of each backbone frame, angstrom.
        quaternion: Vector part of each update's quaternion (1, b, c, d).
        squared: Its squared length.
        axes: Axis of each torsion, level by level.
        origins: A point on it.
        turned: Torsions, (sin, cos) before they are brought to length one.
    """

    atoms: Float[np.ndarray, "3 atom"]
    translation: Float[np.ndarray, "3 token"]
    quaternion: Float[np.ndarray, "3 token"]
    squared: Float[np.ndarray, "token"]
    axes: list[np.ndarray]
    origins: list[np.ndarray]
    turned: Float[np.ndarray, "2 torsion"]


def place(
    plan: AtomPlan,
    start_rotation: Float[np.ndarray, "3 3 token"],
    start_translation: Float[np.ndarray, "3 token"],
    update: Float[np.ndarray, "6 token"],
    torsions: Float[np.ndarray, "2 torsion"],
) -> Placed:
    """Move frames by an update (AlphaFold 2 SI, algorithm 23) and build all atoms on them.

    Args:
        plan: Of the residues.
        start_rotation: Of the frames before the update, axes in columns.
        start_translation: Likewise, angstrom.
        update: Vector part of a quaternion (1, b, c, d), then a translation in the frame.
        torsions: (sin, cos), of any length.
    """
    quaternion = update[:3]
    squared = 1 + dot(quaternion, quaternion)
    rotation = product(start_rotation, _rotations(quaternion, squared))
    translation = turn(start_rotation, update[3:]) + start_translation
    sine, cosine = torsions / np.sqrt(torsions[0] ** 2 + torsions[1] ** 2 + np.float32(1e-8))
    atoms = np.empty((3, len(plan.token)), np.float32)
    fixed = plan.fixed
    own = atoms[:, : 4 * plan.tokens].reshape(3, 4, plan.tokens)
    np.multiply(rotation[:, 0, None], fixed[0], out=own)
    own += rotation[:, 1, None] * fixed[1]
    own += rotation[:, 2, None] * fixed[2]
    own += translation[:, None]
    parent_rotation, parent_translation = rotation, translation
    axes, origins = [], []
    for level in plan.levels:
        outer = parent_rotation.take(level.parent, axis=2)
        origin = turn(outer, level.translation) + parent_translation.take(level.parent, axis=1)
        turned = product(outer, level.rotation)
        s, c = sine[level.torsions], cosine[level.torsions]
        y = c * turned[:, 1] + s * turned[:, 2]
        turned[:, 2] = c * turned[:, 2] - s * turned[:, 1]
        turned[:, 1] = y
        of_atom = level.group_of_atom
        placed = turn(turned.take(of_atom, axis=2), level.position)
        atoms[:, level.atoms] = placed + origin.take(of_atom, axis=1)
        axes.append(turned[:, 0])
        origins.append(origin)
        parent_rotation, parent_translation = turned, origin
    return Placed(atoms, translation, quaternion, squared, axes, origins, torsions)


def _rotations(
    quaternion: Float[np.ndarray, "3 token"], squared: Float[np.ndarray, "token"]
) -> Float[np.ndarray, "3 3 token"]:
    """Rotations of quaternions (1, b, c, d): R = I + 2/|q|^2 ([v]x + [v]x[v]x)."""
    scaled = 2 / squared * quaternion
    outer = scaled[:, None] * quaternion
    out = np.empty((3, 3, len(squared)), np.float32)
    out[0, 0] = 1 - outer[1, 1] - outer[2, 2]
    out[1, 1] = 1 - outer[0, 0] - outer[2, 2]
    out[2, 2] = 1 - outer[0, 0] - outer[1, 1]
    out[0, 1], out[1, 0] = outer[0, 1] - scaled[2], outer[0, 1] + scaled[2]
    out[0, 2], out[2, 0] = outer[0, 2] + scaled[1], outer[0, 2] - scaled[1]
    out[1, 2], out[2, 1] = outer[1, 2] - scaled[0], outer[1, 2] + scaled[0]
    return out


def pull_back(
    plan: AtomPlan,
    start_rotation: Float[np.ndarray, "3 3 token"],
    placed: Placed,
    gradient: Float[np.ndarray, "3 atom"],
) -> tuple[Float[np.ndarray, "6 token"], Float[np.ndarray, "2 torsion"]]:
    """Turn a gradient on atoms into gradients on updates and torsions.

    A rigid group feels the sum of the forces on its atoms and their moment; both are handed on to
    the group that it hangs on.

    Args:
        plan: Of the residues.
        start_rotation: As `place` got it.
        placed: What `place` gave.
        gradient: Of an energy, by angstrom.
    """
    moment = cross(placed.atoms, gradient)
    both = np.concatenate([gradient, moment])
    torsions = np.empty((2, plan.torsions), np.float32)
    below: np.ndarray | None = None
    level_below: _Level | None = None
    for level, axis, origin in zip(
        reversed(plan.levels), reversed(placed.axes), reversed(placed.origins), strict=True
    ):
        felt = (
            np.add.reduceat(both[:, level.atoms], level.first_atom, axis=1)
            if len(level.first_atom)
            else np.zeros((6, 0), np.float32)
        )
        if below is not None and level_below is not None:
            felt[:, level_below.parent] += below
        along = dot(axis, felt[3:] - cross(origin, felt[:3]))
        sine, cosine = placed.turned[:, level.torsions]
        by_squared = along / (sine * sine + cosine * cosine + np.float32(1e-8))
        torsions[0, level.torsions] = cosine * by_squared
        torsions[1, level.torsions] = -sine * by_squared
        below, level_below = felt, level
    whole = both[:, : 4 * plan.tokens].reshape(6, 4, plan.tokens).sum(1)
    assert below is not None
    # Both O's group and chi1's hang on the backbone, so a residue may stand twice among parents.
    tokens = plan.tokens
    whole += below[:, :tokens]
    whole[:, plan.levels[0].parent[tokens:]] += below[:, tokens:]
    force, about_origin = whole[:3], whole[3:]
    torque = turn_back(start_rotation, about_origin - cross(placed.translation, force))
    update = np.empty((6, tokens), np.float32)
    update[:3] = (2 / placed.squared) * (torque + cross(torque, placed.quaternion))
    update[3:] = turn_back(start_rotation, force)
    return update, torsions
