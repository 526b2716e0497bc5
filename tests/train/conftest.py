"""A small data folder: helices and strands with all atoms, in a split."""

from pathlib import Path

import pytest
import yaml

from itda.structure.chains.dataset import ChainDataset
from itda.train.split import Split
from tests.chains import make_chain


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
