"""Bring the geometry between residues to its ideal, moving rigid groups as little as possible.

Inside a residue, bond lengths and angles are ideal by construction. Between residues the network
only comes close: here backbone frames and torsions are moved until peptide bonds have their length
and angles and overlaps are less, with a pull back to where the network put them.

Thousands of small steps suit a processor better than a GPU, where each is a launch, and arrays
without a record of gradients better than ones with it: gradients are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from itda.models.mini.geometry.atoms import AtomPlan, Placed, place, pull_back
from itda.models.mini.geometry.contacts import Contacts
from itda.models.mini.geometry.energy import PeptideEnergy, add_overlaps

STEPS = 400
LEARNING_RATE = 0.03
BETAS = (0.9, 0.98)
TURN_WEIGHT, SHIFT_WEIGHT, TORSION_WEIGHT = 0.2, 0.1, 0.05
"""Pulls back to where the network put a frame and a torsion."""

_REPORT_EVERY = 25


@dataclass(frozen=True)
class UnrefinedChain:
    """An unbroken chain as the network gives it.

    Attributes:
        restype: Residue types.
        rotation: Of backbone frames, axes in columns.
        translation: Likewise, angstrom.
        torsions: (sin, cos) of N-CA-C-O and chi1 to chi4.
    """

    restype: Int[np.ndarray, "token"]
    rotation: Float[np.ndarray, "token 3 3"]
    translation: Float[np.ndarray, "token 3"]
    torsions: Float[np.ndarray, "token 5 2"]


@dataclass(frozen=True)
class RefinedStructure:
    """What refinement gives.

    Attributes:
        atoms: Atom14 positions, angstrom.
        moved_angstrom: Root mean square displacement of CA atoms.
    """

    atoms: Float[np.ndarray, "token 14 3"]
    moved_angstrom: float


def refine(
    chains: Sequence[UnrefinedChain],
    *,
    steps: int = STEPS,
    report: Callable[[float], None] = lambda _fraction: None,
) -> list[RefinedStructure]:
    """Move frames and torsions to ideal peptide geometry; deterministic, float32.

    Chains do not feel one another: each ends where it would alone, to the last bit.

    Args:
        chains: Any number.
        steps: Of Adam (Kingma and Ba 2015).
        report: Called now and then with the fraction done.
    """
    chains = list(chains)
    problem = Problem(chains)
    optimiser = _Adam(problem.update.size + problem.angles.size)
    parameters = np.concatenate([problem.update.ravel(), problem.angles.ravel()])
    update, angles = problem.views(parameters)
    gradient = np.empty_like(parameters)
    to_update, to_angles = problem.views(gradient)
    for step in range(steps):
        if step % _REPORT_EVERY == 0:
            report(step / steps)
        placed = problem.place(update, angles)
        to_update[:], to_angles[:] = problem.gradient(step, placed, update, angles)
        rate = LEARNING_RATE * min(1.0, 2 * (1 - step / steps))
        parameters -= optimiser.step(gradient, rate)
    return problem.results(problem.place(update, angles))


class Problem:
    """The energy of all chains as a function of updates and torsions.

    Args:
        chains: At least one.
    """

    def __init__(self, chains: Sequence[UnrefinedChain]) -> None:
        self.lengths = [len(chain.restype) for chain in chains]
        restype = np.concatenate([chain.restype for chain in chains])
        chain = np.repeat(np.arange(len(chains)), self.lengths)
        linked = np.append(chain[1:] == chain[:-1], False)
        self.plan = AtomPlan(restype)
        self.rotation = _last(np.concatenate([chain.rotation for chain in chains]))
        self.translation = _last(np.concatenate([chain.translation for chain in chains]))
        torsions = np.concatenate([chain.torsions for chain in chains]).astype(np.float32)
        self.angles = np.ascontiguousarray(
            torsions[self.plan.torsion_token, self.plan.torsion_index].T
        )
        self.update = np.zeros((6, len(restype)), np.float32)
        self.pull = np.array([[2 * TURN_WEIGHT]] * 3 + [[2 * SHIFT_WEIGHT]] * 3, np.float32)
        self.peptides = PeptideEnergy(self.plan, restype, linked)
        self.contacts = Contacts(self.plan, restype, chain)

    def views(
        self, flat: Float[np.ndarray, "parameter"]
    ) -> tuple[Float[np.ndarray, "6 token"], Float[np.ndarray, "2 torsion"]]:
        """The updates and torsions that an array of all parameters holds."""
        cut = self.update.size
        return flat[:cut].reshape(self.update.shape), flat[cut:].reshape(self.angles.shape)

    def place(
        self, update: Float[np.ndarray, "6 token"], angles: Float[np.ndarray, "2 torsion"]
    ) -> Placed:
        """Build the atoms of a state."""
        return place(self.plan, self.rotation, self.translation, update, angles)

    def gradient(
        self,
        step: int,
        placed: Placed,
        update: Float[np.ndarray, "6 token"],
        angles: Float[np.ndarray, "2 torsion"],
    ) -> tuple[Float[np.ndarray, "6 token"], Float[np.ndarray, "2 torsion"]]:
        """Give the gradient of the energy; what may overlap is looked for at some steps."""
        on_atoms = np.zeros_like(placed.atoms)
        self.peptides.add(placed.atoms, on_atoms)
        self.contacts.update(step, placed.atoms)
        add_overlaps(placed.atoms, self.contacts.pairs, self.contacts.least_angstrom, on_atoms)
        to_update, to_angles = pull_back(self.plan, self.rotation, placed, on_atoms)
        to_update += self.pull * update
        to_angles += np.float32(2 * TORSION_WEIGHT) * (angles - self.angles)
        return to_update, to_angles

    def results(self, placed: Placed) -> list[RefinedStructure]:
        """Cut the atoms into chains."""
        atoms = self.plan.to_atom14(placed.atoms)
        moved = np.square(atoms[:, 1] - self.translation.T).sum(-1)
        ends = np.cumsum(self.lengths)[:-1]
        return [
            RefinedStructure(of_chain, float(np.sqrt(squared.mean())))
            for of_chain, squared in zip(np.split(atoms, ends), np.split(moved, ends), strict=True)
        ]


class _Adam:
    """Adam without weight decay."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size, np.float32)
        self.square = np.zeros(size, np.float32)
        self.steps = 0

    def step(
        self, gradient: Float[np.ndarray, "parameter"], rate: float
    ) -> Float[np.ndarray, "parameter"]:
        """Take a gradient in and return what to subtract from the parameters."""
        first, second = BETAS
        self.steps += 1
        self.mean *= np.float32(first)
        self.mean += np.float32(1 - first) * gradient
        self.square *= np.float32(second)
        self.square += np.float32(1 - second) * (gradient * gradient)
        width = np.sqrt(self.square)
        width *= np.float32((1 - second**self.steps) ** -0.5)
        width += np.float32(1e-8)
        moved: np.ndarray = np.float32(rate / (1 - first**self.steps)) * self.mean / width
        return moved


def _last(array: Float[np.ndarray, "token *axes"]) -> Float[np.ndarray, "*axes token"]:
    """Bring the residues to the last axis, contiguous, in float32."""
    return np.ascontiguousarray(np.moveaxis(array, 0, -1), dtype=np.float32)
