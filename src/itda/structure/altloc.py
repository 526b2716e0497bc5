"""Alternate locations: one position for each atom of a residue."""

from __future__ import annotations

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool

_NO_ALTLOC = ("", " ", ".", "?")


def resolve_altlocs(
    atoms: AtomArray, altloc_ids: np.ndarray
) -> tuple[Bool[np.ndarray, " atom"], tuple[str, ...]]:
    """Choose the conformer of highest occupancy at each residue that has several.

    The choice is made once a residue (author chain, number, insertion code), also between residue
    types that share the place. Atoms that only another conformer of the same type has are kept
    from that one, so that no atom is lost.

    Args:
        atoms: All atoms, with `occupancy`.
        altloc_ids: Alternate location of each atom.

    Returns:
        True for atoms to keep, and a note on each residue where there was a choice.
    """
    keep = np.ones(atoms.array_length(), dtype=bool)
    alternate = ~np.isin(altloc_ids, _NO_ALTLOC)
    notes = []
    for rows in _places(atoms, alternate):
        at_place = altloc_ids[rows]
        names = sorted(set(at_place[alternate[rows]].tolist()))
        occupancy = {name: float(atoms.occupancy[rows][at_place == name].mean()) for name in names}
        ranked = sorted(names, key=lambda name: (-occupancy[name], name))
        residue_name = str(atoms.res_name[rows][at_place == ranked[0]][0])
        seen = set(atoms.atom_name[rows][~alternate[rows]].tolist())
        for name in ranked:
            for row in rows[at_place == name]:
                atom_name = str(atoms.atom_name[row])
                keep[row] = atom_name not in seen and atoms.res_name[row] == residue_name
                if keep[row]:
                    seen.add(atom_name)
        if len(names) > 1:
            number = f"{atoms.res_id[rows[0]]}{atoms.ins_code[rows[0]]}"
            others = ", ".join(f"{name} {occupancy[name]:.2f}" for name in ranked[1:])
            notes.append(
                f"{atoms.chain_id[rows[0]]}:{number} {residue_name}: conformer {ranked[0]} "
                f"(occupancy {occupancy[ranked[0]]:.2f}) kept over {others}"
            )
    return keep, tuple(notes)


def _places(atoms: AtomArray, alternate: Bool[np.ndarray, " atom"]) -> list[np.ndarray]:
    """Give the rows of each residue place that has an alternate location."""
    if not alternate.any():
        return []
    columns = (atoms.chain_id, atoms.res_id, atoms.ins_code)
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    wanted = {keys[row] for row in np.flatnonzero(alternate)}
    found: dict[tuple[str, int, str], list[int]] = {}
    for row, key in enumerate(keys):
        if key in wanted:
            found.setdefault(key, []).append(row)
    return [np.array(rows) for rows in found.values()]
