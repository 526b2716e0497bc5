import numpy as np
import pytest
import torch
from reference_geometry import build, overlap_energy, peptide_energy

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import VAN_DER_WAALS_RADIUS_ANGSTROM, sequence_to_indices
from itda.models.mini.geometry import UnrefinedChain, refine
from itda.models.mini.geometry.contacts import Contacts
from itda.models.mini.geometry.energy import PeptideEnergy
from itda.models.mini.geometry.refine import Problem
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.chain import build_chain
from itda.nn.structure.rigid import Rigid

EVERY_TYPE = "ACDEFGHIKLMNPQRSTVWYXPPGA"


def chain(sequence, *, seed=0, compact=0.3):
    """A chain with bent bonds and overlaps."""
    random = np.random.default_rng(seed)
    tokens = len(sequence)
    turns = torch.from_numpy(random.normal(size=(1, tokens, 2, 2)))
    turns = turns / turns.norm(dim=-1, keepdim=True)
    frames = build_chain(turns.float(), torch.ones(1, tokens, dtype=torch.bool))
    torsions = random.normal(size=(tokens, 5, 2))
    torsions /= np.linalg.norm(torsions, axis=-1, keepdims=True)
    return UnrefinedChain(
        np.array(sequence_to_indices(sequence)),
        frames.rotation[0].numpy(),
        frames.translation[0].numpy() * compact,
        torsions.astype(np.float32),
    )


def problem_of(*chains):
    return Problem(list(chains))


def moved(problem, seed=1):
    random = np.random.default_rng(seed)
    update = random.normal(0, 0.2, problem.update.shape).astype(np.float32)
    angles = problem.angles + random.normal(0, 0.2, problem.angles.shape).astype(np.float32)
    return update, angles


def as_tensors(one, problem, update, angles):
    """The same state as the reference takes it."""
    start = Rigid(torch.from_numpy(one.rotation), torch.from_numpy(one.translation))
    every = torch.from_numpy(one.torsions).clone()
    every[problem.plan.torsion_token, problem.plan.torsion_index] = torch.from_numpy(angles.T)
    return start, torch.from_numpy(update.T).requires_grad_(), every.requires_grad_()


def least_distances(restype):
    """All pairs that may not come too near: flat atom14 indices and least distances."""
    tables = rigid_group_tables()
    names = [tables.atom14_names[kind] for kind in restype]
    atoms = [
        (token, column, names[token][column])
        for token in range(len(restype))
        for column in range(14)
        if tables.atom14_mask[restype[token], column]
    ]
    pairs = []
    for place, (token, column, name) in enumerate(atoms):
        for other, its_column, its_name in atoms[place + 1 :]:
            apart = other - token
            if apart == 0 or (apart == 1 and column < 4 and its_column < 4):
                continue
            radii = VAN_DER_WAALS_RADIUS_ANGSTROM
            least = radii[name[0]] + radii[its_name[0]] - 0.6
            if name[0] == its_name[0] == "S":
                least = 2.05
            pairs.append((14 * token + column, 14 * other + its_column, least))
    first, second, least = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second), torch.tensor(least)


def reference(one, problem, update, angles):
    restype = torch.from_numpy(one.restype)
    start, update, every = as_tensors(one, problem, update, angles)
    atoms = build(AtomBuilder(), restype, start, update, every)
    at_start = torch.from_numpy(one.torsions)
    energy = (
        peptide_energy(restype, atoms)
        + overlap_energy(atoms, least_distances(one.restype))
        + 0.1 * update[:, 3:].square().sum()
        + 0.2 * update[:, :3].square().sum()
        + 0.05 * (every - at_start).square().sum()
    )
    energy.backward()
    of_torsions = every.grad[problem.plan.torsion_token, problem.plan.torsion_index].T.numpy()
    return atoms.detach().numpy(), update.grad.T.numpy(), of_torsions


def gradients(problem, update, angles):
    placed = problem.place(update, angles)
    return placed, *problem.gradient(0, placed, update, angles)


@pytest.fixture(scope="module")
def compared():
    one = chain(EVERY_TYPE)
    problem = problem_of(one)
    state = moved(problem)
    placed, to_update, to_angles = gradients(problem, *state)
    return one, problem, state, placed, (to_update, to_angles), reference(one, problem, *state)


def test_atoms_stand_where_the_network_puts_them(compared):
    _, problem, _, placed, _, (atoms, _, _) = compared
    np.testing.assert_allclose(problem.plan.to_atom14(placed.atoms), atoms, atol=1e-4)


def test_gradients_are_those_of_the_energy(compared):
    _, _, _, _, (to_update, to_angles), (_, update, angles) = compared
    for ours, true in ((to_update, update), (to_angles, angles)):
        np.testing.assert_allclose(ours, true, atol=2e-5 * np.abs(true).max())


@pytest.mark.parametrize("part", ["peptide", "overlap", "pull"])
def test_a_part_of_the_energy_that_is_left_out_is_noticed(compared, part, monkeypatch):
    one, _, state, _, _, (_, update, _) = compared
    if part == "peptide":
        monkeypatch.setattr(PeptideEnergy, "add", lambda *_: 0.0)
    elif part == "overlap":
        monkeypatch.setattr(Contacts, "update", lambda *_: None)
    problem = problem_of(one)
    if part == "pull":
        problem.pull = problem.pull * 0
    _, to_update, _ = gradients(problem, *state)
    assert np.abs(to_update - update).max() > 1e-4 * np.abs(update).max()


def test_a_chain_ends_where_it_would_alone():
    chains = [chain("MKTAYIAKQRPG"), chain(EVERY_TYPE, seed=2), chain("ACDW" * 8, seed=3)]
    together = refine(chains, steps=60)
    for one, beside in zip(chains, together, strict=True):
        (alone,) = refine([one], steps=60)
        np.testing.assert_array_equal(alone.atoms, beside.atoms)
        assert alone.moved_angstrom == beside.moved_angstrom
    other = refine([chains[1], chains[0]], steps=60)
    np.testing.assert_array_equal(other[1].atoms, together[0].atoms)


def test_peptide_bonds_become_ideal_and_overlaps_go():
    one = chain("MKTAYIAKQRQISFVKSHFSRQ", compact=1.0)
    (before,), (after,) = refine([one], steps=0), refine([one])

    def lengths(atoms):
        return np.linalg.norm(atoms[1:, 0] - atoms[:-1, 2], axis=-1)

    first, second, least = least_distances(one.restype)

    def overlap(atoms):
        flat = atoms.reshape(-1, 3)
        distance = np.linalg.norm(flat[first.numpy()] - flat[second.numpy()], axis=-1)
        return np.clip(least.numpy() - distance, 0, None).max()

    assert np.abs(lengths(after.atoms) - 1.329).max() < 0.01
    assert overlap(after.atoms) < min(1.0, overlap(before.atoms))


def test_what_is_ideal_already_hardly_moves():
    tokens = 12
    angles = torch.tensor([-57.0, -47.0]).deg2rad().expand(1, tokens, 2)
    turns = torch.stack([angles.sin(), angles.cos()], dim=-1)
    frames = build_chain(turns, torch.ones(1, tokens, dtype=torch.bool))
    carbonyl = np.deg2rad(-47.0 + 180)
    torsions = np.tile([np.sin(carbonyl), np.cos(carbonyl)], (tokens, 5, 1)).astype(np.float32)
    helix = UnrefinedChain(
        np.zeros(tokens, int), frames.rotation[0].numpy(), frames.translation[0].numpy(), torsions
    )
    (refined,) = refine([helix])
    assert refined.moved_angstrom < 0.15


def test_no_overlap_is_missed_between_two_renewals():
    """What the lists hold at the end is what a look at all pairs finds."""
    one = chain("WFYRKHMLI" * 5, compact=0.8)
    problem = problem_of(one)
    (refined,) = refine([one])
    placed = problem.place(*moved(problem))
    problem.contacts.update(0, placed.atoms)
    atoms = problem.plan.to_atom14(placed.atoms).reshape(-1, 3)
    first, second, least = (array.numpy() for array in least_distances(one.restype))
    near = np.linalg.norm(atoms[first] - atoms[second], axis=-1) < least
    plan = problem.plan
    flat = 14 * plan.token + plan.column
    pairs = {tuple(sorted(pair)) for pair in flat[problem.contacts.pairs].T}
    assert {tuple(sorted(pair)) for pair in zip(first[near], second[near], strict=True)} <= pairs
    assert near.sum() > 10 and refined.atoms.shape == (45, 14, 3)
