"""A small data folder: helices and strands with all atoms, in a split."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from itda.chem.geometry import rigid_group_tables
from itda.chem.residues import RESTYPES, sequence_to_indices
from itda.nn.structure_module import AtomBuilder, build_chain
from itda.train.chain import Chain
from itda.train.dataset import ChainDataset
from itda.train.split import Split


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


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve chains in twelve clusters: eight to train, two to validate, two to test."""
    folder = tmp_path_factory.mktemp("data")
    chains = [make_chain(f"{index}abc_A", 24 + index, index) for index in range(12)]
    ChainDataset.write(folder / "chains", chains, source={"name": "made for tests"})
    parts = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    Split(
        {chain.id: (chain.id, part) for chain, part in zip(chains, parts, strict=True)},
        frozenset(chain.id for chain in chains[8:]),
    ).write(folder / "split")
    return folder


RECIPE = {
    "version": 1,
    "name": "tiny",
    "seed": 3,
    "model": {
        "single_channels": 16,
        "pair_channels": 8,
        "blocks": 1,
        "single_heads": 2,
        "stem_kernel": 5,
        "structure_channels": 16,
        "structure_heads": 2,
        "structure_steps": 2,
        "structure_start": "torsions",
        "recycles": 1,
        "dropout": 0.1,
        "confidence_channels": 8,
    },
    "data": {"datasets": ["chains"], "split": "split"},
    "schedule": {"peak": 0.003, "warmup": 3, "decay_fraction": 0.5},
    "stages": [
        {
            "steps": 8,
            "crop": 16,
            "batch": 2,
            "recycles": 1,
            "losses": {"backbone": 1.0, "distogram": 0.5, "torsion": 0.3, "backbone_torsion": 0.5},
        },
        {
            "steps": 6,
            "crop": 32,
            "batch": 2,
            "losses": {
                **{"backbone": 1.0, "all_atom": 0.5, "plddt": 0.2, "pae": 0.05},
                **{"profile": 0.2, "dssp": 0.2, "violation": 0.1},
            },
        },
    ],
    "precision": "32-true",
    "ema_decay": 0.9,
    "validate_every": 7,
    "validation_chains": 2,
}


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    """The recipe of a run of fourteen steps."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path
