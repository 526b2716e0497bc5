"""Which atoms may come to overlap: lists that are renewed as soon as something could be missed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import VAN_DER_WAALS_RADIUS_ANGSTROM
from itda.models.mini.geometry.atoms import AtomPlan
from itda.models.mini.geometry.vectors import dot, gaps

OVERLAP_TOLERANCE_ANGSTROM = 0.6
DISULPHIDE_ANGSTROM = 2.05
"""Two cysteines may form a bond."""

FAR_EVERY, NEAR_EVERY = 25, 5
"""Steps after which the pairs are looked for anew, among all atoms and among the far pairs."""
_FAR_SKIN_ANGSTROM, _NEAR_SKIN_ANGSTROM = 2.0, 0.7
_BACKBONE_COLUMNS = 4
_ROWS_AT_ONCE = 256


class Contacts:
    """Pairs of atoms of different residues that are nearer than they may be, or nearly so.

    Two lists, each up to the least distance and a skin (Verlet 1967): a far one of each chain
    and a near one, found in it. They are renewed at steps that are set, so which
    other chains are refined at the same time makes no difference.

    Args:
        plan: Atoms of the residues.
        restype: Types of the residues.
        chain: Chain of each residue.
    """

    def __init__(
        self,
        plan: AtomPlan,
        restype: Int[np.ndarray, "token"],
        chain: Int[np.ndarray, "token"],
    ) -> None:
        self.plan = plan
        names = rigid_group_tables().atom14_names
        radii = np.array(
            [[VAN_DER_WAALS_RADIUS_ANGSTROM.get(name[:1], 0.0) for name in row] for row in names],
            np.float32,
        )
        sulphur = np.array([[name[:1] == "S" for name in row] for row in names])
        self.radius = radii[restype[plan.token], plan.column]
        self.sulphur = sulphur[restype[plan.token], plan.column]
        self.reach = 2 * float(radii.max()) - OVERLAP_TOLERANCE_ANGSTROM + _FAR_SKIN_ANGSTROM
        # Of each chain, in the order of its residues.
        order = np.lexsort((plan.column, plan.token))
        order = order[plan.exists[order]]
        owner = chain[plan.token[order]]
        self.atoms_of = [order[owner == number] for number in range(int(chain.max()) + 1)]
        self.far_pairs = self.pairs = np.empty((2, 0), np.int64)
        self.far_least = self.least_angstrom = np.empty(0, np.float32)

    def update(self, step: int, atoms: Float[np.ndarray, "3 atom"]) -> None:
        """Renew the lists where it is time to."""
        if step % FAR_EVERY == 0:
            found = [self._find(atoms, mine) for mine in self.atoms_of]
            self.far_pairs = np.concatenate([pairs for pairs, _ in found], axis=1)
            self.far_least = np.concatenate([least for _, least in found])
        if step % NEAR_EVERY == 0:
            apart = gaps(atoms, self.far_pairs)
            reach = self.far_least + np.float32(_NEAR_SKIN_ANGSTROM)
            near = np.flatnonzero(dot(apart, apart) < reach * reach)
            self.pairs = self.far_pairs.take(near, axis=1)
            self.least_angstrom = self.far_least.take(near)

    def _find(
        self, atoms: Float[np.ndarray, "3 atom"], mine: Int[np.ndarray, "mine"]
    ) -> tuple[Int[np.ndarray, "2 pair"], Float[np.ndarray, "pair"]]:
        """Look at all pairs of a chain; a product of matrices is faster than a grid of cells."""
        points = atoms.take(mine, axis=1)
        points -= points.mean(axis=1, keepdims=True)
        halves = 0.5 * (dot(points, points) - np.float32(self.reach**2 / 2))
        firsts, seconds = [], []
        for start in range(0, len(mine), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            # Nearer than `reach`: a.b > (a^2 + b^2 - reach^2) / 2. Rows come after no column.
            inner = points[:, block].T @ points[:, start:]
            inner -= halves[block, None]
            found = np.flatnonzero(inner > halves[start:])
            row, column = np.divmod(found, len(mine) - start)
            later = np.flatnonzero(column > row)
            firsts.append(row.take(later) + start)
            seconds.append(column.take(later) + start)
        pairs = mine.take(np.stack([np.concatenate(firsts), np.concatenate(seconds)]))
        token, column = self.plan.token.take(pairs), self.plan.column.take(pairs)
        apart = token[1] - token[0]
        backbone = (column[0] < _BACKBONE_COLUMNS) & (column[1] < _BACKBONE_COLUMNS)
        pairs = pairs.take(np.flatnonzero((apart > 1) | ((apart == 1) & ~backbone)), axis=1)
        first, second = pairs
        least = self.radius.take(first) + self.radius.take(second)
        least -= np.float32(OVERLAP_TOLERANCE_ANGSTROM)
        least[self.sulphur.take(first) & self.sulphur.take(second)] = DISULPHIDE_ANGSTROM
        return pairs, least
