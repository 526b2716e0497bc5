"""Structures to test with: ubiquitin as it is shipped, and small made-up ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from biotite.structure import AtomArray, get_residue_count, spread_residue_wise

from itda.structure.files import read_structure
from itda.structure.prediction import Prediction, Provenance

PROVENANCE = Provenance(
    itda_version="0.1.0",
    family="mini",
    weights_set=None,
    weights_source="a file of the user's own",
    weights_digest="sha256:0123",
    weights_licence="Apache-2.0",
    non_commercial=False,
    licence_acknowledged=None,
    citations=("Kim et al. (2026): A model for tests, doi 10.1234/abc",),
    seed=7,
    recycles=3,
    inputs={"sequence": "sha256:4567", "profile": "sha256:89ab"},
    device="cpu",
    kernels={"attention": "reference"},
    dtype="float32",
    versions={"numpy": "2.0", "torch": "2.6"},
    created="2026-01-02T03:04:05Z",
)


@pytest.fixture(scope="session")
def ubiquitin_path() -> Path:
    return Path(str(files("itda"))) / "data" / "examples" / "1ubq.cif"


@pytest.fixture(scope="session")
def with_water(ubiquitin_path: Path) -> AtomArray:
    return read_structure(ubiquitin_path)


@pytest.fixture
def ubiquitin(with_water: AtomArray) -> AtomArray:
    return with_water[~with_water.hetero].copy()


@pytest.fixture
def ubiquitin_ca(ubiquitin: AtomArray) -> np.ndarray:
    return ubiquitin.coord[ubiquitin.atom_name == "CA"].astype(float)


@pytest.fixture
def bent(ubiquitin_ca: np.ndarray) -> np.ndarray:
    """Ubiquitin's CA trace with its second half turned by 40 degrees, waving, to 0.001 angstrom."""
    place = np.arange(len(ubiquitin_ca))
    cosine, sine = np.cos(np.radians(40)), np.sin(np.radians(40))
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    moved = ubiquitin_ca.copy()
    hinge = moved[38].copy()
    moved[38:] = (moved[38:] - hinge) @ turn.T + hinge
    wave = np.stack([np.sin(place / 3.0), np.cos(place / 4.0), np.sin(place / 5.0)], axis=-1)
    return np.round(moved + wave, 3)


def make_atoms(
    rows: list[tuple[str, int, str, str, bool, tuple[float, float, float]]],
) -> AtomArray:
    """Build atoms from (chain, number, residue, atom, hetero, position)."""
    atoms = AtomArray(len(rows))
    for name, column in zip(
        ("chain_id", "res_id", "res_name", "atom_name", "hetero"), range(5), strict=True
    ):
        atoms.set_annotation(name, np.array([row[column] for row in rows]))
    atoms.element = np.array([row[3][0] for row in rows])
    atoms.coord = np.array([row[5] for row in rows], dtype=np.float32)
    return atoms


@pytest.fixture
def mixed() -> AtomArray:
    """A dipeptide with a modified residue, a ligand and water in its chain, and a zinc apart."""
    atoms = make_atoms(
        [
            ("A", -1, "GLY", "N", False, (0.0, 0.0, 0.0)),
            ("A", -1, "GLY", "CA", False, (1.46, 0.0, 0.0)),
            ("A", -1, "GLY", "C", False, (2.0, 1.42, 0.0)),
            ("A", -1, "GLY", "O", False, (1.3, 2.43, 0.0)),
            ("A", 0, "MSE", "N", True, (3.33, 1.5, 0.0)),
            ("A", 0, "MSE", "CA", True, (4.0, 2.8, 0.0)),
            ("A", 0, "MSE", "C", True, (5.5, 2.7, 0.0)),
            ("A", 0, "MSE", "O", True, (6.1, 1.6, 0.0)),
            ("A", 0, "MSE", "SE", True, (3.6, 3.6, 1.3)),
            ("A", 301, "ATP", "PG", True, (20.0, 0.0, 0.0)),
            ("A", 301, "ATP", "O5'", True, (21.5, 0.0, 0.0)),
            ("A", 401, "HOH", "O", True, (30.0, 0.0, 0.0)),
            ("A", 402, "HOH", "O", True, (33.0, 0.0, 0.0)),
            ("Zn", 1, "ZN", "ZN", True, (40.0, 0.0, 0.0)),
        ]
    )
    atoms.element = np.array([*"NCCONCCO", "SE", "P", "O", "O", "O", "ZN"])
    return atoms


@pytest.fixture
def make_prediction() -> Callable[..., Prediction]:
    def make(atoms: AtomArray, name: str = "ubiquitin", **changes: object) -> Prediction:
        atoms = atoms.copy()
        for category in ("label_asym_id", "label_seq_id", "label_entity_id", "atom_id"):
            if category in atoms.get_annotation_categories():
                atoms.del_annotation(category)
        count = get_residue_count(atoms)
        plddt = np.linspace(40.0, 95.0, count).round(2)
        atoms.set_annotation("b_factor", spread_residue_wise(atoms, plddt))
        values: dict[str, object] = {
            "name": name,
            "atoms": atoms,
            "plddt": plddt,
            "pae": np.full((count, count), 5.0),
            "ptm": 0.71,
            "sample": 0,
            "seed": 7,
            "provenance": PROVENANCE,
        }
        return Prediction(**{**values, **changes})  # type: ignore[arg-type]

    return make
