"""Made chains with all heavy atoms."""

import numpy as np
import torch

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import RESTYPES, sequence_to_indices
from itda.nn.structure.atoms import AtomBuilder
from itda.nn.structure.chain import build_chain
from itda.structure.chains.chain import Chain


def make_chain(name: str, length: int, seed: int) -> Chain:
    """A chain of a few secondary structure elements, with all heavy atoms and a profile."""
    random = np.random.default_rng(seed)
    sequence = "".join(random.choice(list(RESTYPES), length))
    dssp = "".join("H" if (i // 8 + seed) % 2 else "E" for i in range(length))
    degrees = np.array([(-57.0, -47.0) if letter == "H" else (-120.0, 130.0) for letter in dssp])
    degrees += random.normal(0, 8, degrees.shape)
    angles = torch.tensor(np.radians(degrees))[None].float()
    torsions = torch.stack([angles.sin(), angles.cos()], dim=-1)
    frames = build_chain(torsions, torch.ones(1, length, dtype=torch.bool))
    side = torch.tensor(random.uniform(-np.pi, np.pi, (1, length, 5))).float()
    side[..., 0] = angles[..., 1] + np.pi
    restype = torch.tensor([sequence_to_indices(sequence)])
    atoms = AtomBuilder()(restype, frames, torch.stack([side.sin(), side.cos()], dim=-1))[0].numpy()
    tables = rigid_group_tables()
    mask14 = tables.atom14_mask[restype[0].numpy()]
    columns = tables.atom14_to_atom37[restype[0].numpy()]
    coordinates = np.zeros((length, 37, 3), np.float32)
    mask = np.zeros((length, 37), bool)
    rows = np.arange(length)[:, None].repeat(14, 1)
    coordinates[rows[mask14], columns[mask14]] = atoms[mask14]
    mask[rows[mask14], columns[mask14]] = True
    profile = random.dirichlet(np.ones(20), length).astype(np.float32)
    return Chain(
        id=name,
        sequence=sequence,
        coordinates=coordinates,
        atom_mask=mask,
        residue_index=np.arange(length, dtype=np.int32),
        profile=profile,
        dssp=dssp,
        resolution=1.5,
    )
