"""Derive `src/itda/chem/ideal_geometry.json` from experimental chains.

For every residue type and rigid group, the median position of each atom in the group's own frame,
over the residues of a data set of all-atom chains (`itda data build structures` or `atom37`).

    python scripts/derive_ideal_geometry.py DATASET src/itda/chem/ideal_geometry.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from itda.chem.geometry import GROUP_COUNT, group_axes, group_of_atom
from itda.chem.residues import ATOM14, ATOM37_INDEX, RESTYPE_1_TO_3
from itda.structure.chains.dataset import ChainDataset


def local_positions(dataset: ChainDataset, largest_resolution: float) -> dict:
    """Collect atom positions in the frame of their rigid group: {residue: {atom: [n, 3]}}."""
    collected: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for index in range(len(dataset)):
        chain = dataset[index]
        if not 0 < chain.resolution <= largest_resolution:
            continue
        for letter in set(chain.sequence) - {"X"}:
            name = RESTYPE_1_TO_3[letter]
            rows = np.array([letter == other for other in chain.sequence])
            rows &= chain.atom_mask[:, [ATOM37_INDEX[atom] for atom in ATOM14[name]]].all(1)
            if not rows.any():
                continue
            xyz = {
                atom: chain.coordinates[rows, ATOM37_INDEX[atom]].astype(float)
                for atom in ATOM14[name]
            }
            for group in range(GROUP_COUNT):
                atoms = [atom for atom in ATOM14[name] if group_of_atom(name, atom) == group]
                axes = group_axes(name, group)
                if axes is None or not atoms:
                    continue
                origin, on_x, in_plane = (xyz[atom] for atom in axes)
                x = origin - on_x if group else on_x - origin
                x /= np.linalg.norm(x, axis=-1, keepdims=True)
                y = in_plane - origin
                y -= (y * x).sum(-1, keepdims=True) * x
                y /= np.linalg.norm(y, axis=-1, keepdims=True)
                frame = np.stack([x, y, np.cross(x, y)], axis=-1)
                for atom in atoms:
                    collected[name][atom].append(np.einsum("nij,ni->nj", frame, xyz[atom] - origin))
    return {
        name: {atom: np.concatenate(parts) for atom, parts in atoms.items()}
        for name, atoms in collected.items()
    }


def main() -> None:
    """Write the table of medians and the counts it rests on."""
    dataset = ChainDataset.open(Path(sys.argv[1]))
    positions = local_positions(dataset, largest_resolution=2.5)
    table = {
        name: {atom: np.round(np.median(xyz, axis=0), 4).tolist() for atom, xyz in atoms.items()}
        for name, atoms in sorted(positions.items())
    }
    counts = {name: len(next(iter(atoms.values()))) for name, atoms in sorted(positions.items())}
    Path(sys.argv[2]).write_text(
        json.dumps(
            {
                "about": "Median atom positions (angstrom) in the frame of each rigid group, over "
                "experimental chains of 2.5 A resolution or better.",
                "residues_counted": counts,
                "positions": table,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
