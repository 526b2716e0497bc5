"""Make the library of known folds that comes with Itda from Debian's promod3-data.

    itda data build promod3 --out promod3
    python scripts/build_known_folds.py promod3 src/itda/data/known_folds.bin

The same chains give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from itda.structure.chains.chain import BACKBONE_INDICES
from itda.structure.chains.dataset import ChainDataset
from itda.structure.pack.chains import PackedChains, write_library

FACTS = {
    "name": "known-folds",
    "title": "the longest resolved stretch of 20,895 X-ray chains of the PDB",
    "source": "PDB by promod3-data 3.2.1 (Debian)",
    "method": "X-RAY DIFFRACTION",
    "licence": "PDB coordinates: CC0-1.0; selection, DSSP and profiles: Apache-2.0",
    "resolution_limit_angstrom": 2.8,
    "knows_until": "2018-12-31",
}


def main() -> None:
    """Write the library, read it again, and say how large it is and how far its atoms moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="What `itda data build promod3` wrote.")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    dataset = ChainDataset.open(given.dataset)
    write_library(given.out, list(dataset), FACTS)
    packed = PackedChains(given.out)
    packed.verify()
    largest = squares = atoms = 0.0
    for chain, again in zip(dataset, packed, strict=True):
        assert (chain.id, chain.sequence, chain.dssp) == (again.id, again.sequence, again.dssp)
        assert (chain.residue_index == again.residue_index).all()
        whole = chain.coordinates[:, BACKBONE_INDICES] - chain.coordinates[0, 0]
        moved = np.linalg.norm(whole - again.coordinates[:, BACKBONE_INDICES], axis=-1)
        largest, squares, atoms = (
            max(largest, float(moved.max())),
            squares + float((moved**2).sum()),
            atoms + moved.size,
        )
    sections = {name: facts["bytes"] for name, facts in packed.facts["sections"].items()}
    print(f"{given.out}: {given.out.stat().st_size:,} bytes, {packed.digest}")
    print(f"{len(packed):,} chains, {packed.starts[-1]:,} residues; {sections}")
    print(f"atoms moved by {largest:.4f} angstrom at most, {(squares / atoms) ** 0.5:.4f} rms")


if __name__ == "__main__":
    main()
