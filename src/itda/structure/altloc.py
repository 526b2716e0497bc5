"""Alternate locations: one position for each atom of a residue."""

from __future__ import annotations

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Int

from itda.structure.numbers import distinct
from itda.structure.segments import FARTHEST_CONFORMER_ANGSTROM, changes

# Atoms by which residues of two types at one place are conformers, and not a residue and a ligand.
_BACKBONE = frozenset({"CA", "C1'", "P"})
_BACKBONE_CARBONS = ("CA", "C1'")
_COPY = "\n"
_NO_LABEL = (" ", ".", "?")


def resolve_altlocs(
    atoms: AtomArray, altlocs: np.ndarray
) -> tuple[Int[np.ndarray, " kept"], tuple[str, ...]]:
    """Choose the conformer of highest occupancy at each residue that has several.

    The choice is made once a residue (author chain, number, insertion code), also between residue
    types that share the place, and wherever in the file its atoms stand. Atoms that only another
    conformer of the same type has are kept from that one, so that no atom is lost. Atoms without a
    label are of all conformers, unless they come again with one; where an atom of an amino acid or
    nucleotide comes twice with the same label or none, and near itself, each time is a conformer.

    Args:
        atoms: All atoms, with `occupancy`.
        altlocs: Alternate location of each atom, '' for none.

    Returns:
        Rows to keep, each residue's together, and a note on each residue where there was a choice.
    """
    altlocs = np.where(np.isin(altlocs, _NO_LABEL), "", altlocs)
    order = np.arange(atoms.array_length())
    keep = np.ones(len(order), dtype=bool)
    notes = []
    for rows in _places(atoms, altlocs):
        conformers, together = _conformers(atoms, altlocs, rows)
        order[together] = _home(atoms, together)
        if len(conformers) > 1:
            left_out, note = _choose(atoms, conformers, together)
            keep[left_out] = False
            notes.append(note)
    rows = np.argsort(order, kind="stable")
    return rows[keep[rows]], tuple(notes)


def _places(atoms: AtomArray, altlocs: np.ndarray) -> list[Int[np.ndarray, " row"]]:
    """Give the rows of each residue place that has a label, or an atom twice."""
    columns = (atoms.chain_id, atoms.res_id, atoms.ins_code)
    starts = np.flatnonzero(changes([*columns, atoms.res_name]))
    place = np.zeros(len(starts), dtype=np.int64)
    for column in columns:
        place = _combined(place, column[starts])
    lengths = np.diff(np.append(starts, atoms.array_length()))
    residue = np.repeat(_combined(place, atoms.res_name[starts]), lengths)
    place = np.repeat(place, lengths)
    atom = _combined(residue, atoms.atom_name)
    wanted = altlocs != ""
    if atom.max(initial=-1) + 1 < len(atom):
        twice = np.bincount(atom)[atom] > 1
        # Elsewhere names come again in one molecule, or one number for many.
        twice &= np.isin(residue, residue[np.isin(atoms.atom_name, _BACKBONE_CARBONS)])
        wanted = wanted | twice
    if not wanted.any():
        return []
    chosen = np.unique(place[wanted])
    rows = np.flatnonzero(np.isin(place, chosen))
    order = rows[np.argsort(place[rows], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(place[order])) + 1)
    return sorted(groups, key=lambda group: int(group[0]))


def _combined(code: Int[np.ndarray, " row"], column: np.ndarray) -> Int[np.ndarray, " row"]:
    words, index = distinct(column)
    return np.asarray(np.unique(code * len(words) + index, return_inverse=True)[1])


def _conformers(
    atoms: AtomArray, altlocs: np.ndarray, rows: Int[np.ndarray, " row"]
) -> tuple[dict[str, list[int]], Int[np.ndarray, " row"]]:
    """Give the rows of each conformer at a place, and all that belong to its residue."""
    labels = _with_copies(atoms, altlocs, rows)
    names = dict(zip(labels, atoms.atom_name[list(labels)].tolist(), strict=True))
    types = dict(zip(labels, atoms.res_name[list(labels)].tolist(), strict=True))
    labelled = {(types[row], names[row]) for row, label in labels.items() if label}
    backbones = {kind for kind, name in labelled if name in _BACKBONE}
    # A residue without a label beside one of another type with a label is a conformer as a whole.
    rivals = {
        types[row]
        for row, label in labels.items()
        if not label and names[row] in _BACKBONE and backbones - {types[row]}
    } - {kind for kind, _ in labelled}
    conformers: dict[str, list[int]] = {}
    together = []
    for row, label in labels.items():
        if label or (types[row], names[row]) in labelled or types[row] in rivals:
            conformers.setdefault(label, []).append(row)
        elif types[row] not in {kind for kind, _ in labelled}:
            continue  # a ligand under the number of the residue
        together.append(row)
    return conformers, np.array(together or rows[:1])


def _home(atoms: AtomArray, rows: Int[np.ndarray, " row"]) -> int:
    """Give the row at which a residue is to stand, of the blocks in which a file has it.

    That is where the numbers before and behind are those of its neighbours, else the first.
    """
    starts = rows[np.append(True, np.diff(rows) > 1)]
    stops = rows[np.append(np.diff(rows) > 1, True)] + 1

    def fits(start: int, stop: int) -> int:
        chain, number = atoms.chain_id[start], atoms.res_id[start]
        around = ((start - 1, 1), (stop, -1))
        return sum(
            bool(atoms.chain_id[row] == chain and side * (number - atoms.res_id[row]) >= 0)
            for row, side in around
            if 0 <= row < atoms.array_length()
        )

    blocks = list(zip(starts.tolist(), stops.tolist(), strict=True))
    return int(max(blocks, key=lambda block: fits(*block))[0])


def _with_copies(
    atoms: AtomArray, altlocs: np.ndarray, rows: Int[np.ndarray, " row"]
) -> dict[int, str]:
    """Give the label of each row, one of its own where the atom comes again, near itself.

    A residue that comes again elsewhere, as the waters of large boxes do, is another: left out.
    """
    first: dict[tuple[str, str, str], int] = {}
    times: dict[tuple[str, str, str], int] = {}
    labels: dict[int, str] = {}
    carbons = np.isin(atoms.atom_name[rows], _BACKBONE_CARBONS)
    polymers = set(atoms.res_name[rows][carbons].tolist())
    apart = -2  # the row behind which what stands apart goes on
    for row in rows.tolist():
        key = (str(atoms.res_name[row]), str(atoms.atom_name[row]), str(altlocs[row]))
        if key in first:
            distance = np.linalg.norm(atoms.coord[row] - atoms.coord[first[key]])
            if key[0] not in polymers or distance > FARTHEST_CONFORMER_ANGSTROM:
                apart = row
        if apart in (row, row - 1):
            apart = row
            continue
        first.setdefault(key, row)
        times[key] = times.get(key, 0) + 1
        labels[row] = key[2] if times[key] == 1 else f"{key[2]}{_COPY}{times[key]}"
    for key, row in first.items():
        if times[key] > 1:
            labels[row] = f"{key[2]}{_COPY}1"
    return labels


def _choose(
    atoms: AtomArray, conformers: dict[str, list[int]], together: Int[np.ndarray, " row"]
) -> tuple[list[int], str]:
    """Give the rows to leave out, and a note on the choice."""
    occupancy = {label: float(atoms.occupancy[rows].mean()) for label, rows in conformers.items()}
    best, *others = sorted(conformers, key=lambda label: (-occupancy[label], label))
    residue_name = str(atoms.res_name[conformers[best][0]])
    in_conformers = {row for rows in conformers.values() for row in rows}
    seen = {str(atoms.atom_name[row]) for row in together.tolist() if row not in in_conformers}
    left_out = []
    for label in (best, *others):
        for row in conformers[label]:
            name = str(atoms.atom_name[row])
            if name in seen or atoms.res_name[row] != residue_name:
                left_out.append(row)
            seen.add(name)
    at = conformers[best][0]
    rest = ", ".join(f"{_shown(label)} {occupancy[label]:.2f}" for label in others)
    return left_out, (
        f"{atoms.chain_id[at]}:{atoms.res_id[at]}{atoms.ins_code[at]} {residue_name}: conformer "
        f"{_shown(best)} (occupancy {occupancy[best]:.2f}) kept over {rest}"
    )


def _shown(label: str) -> str:
    name, _, copy = label.partition(_COPY)
    if not copy:
        return name or "without a label"
    return f"{name} (copy {copy})" if name else f"without a label (copy {copy})"
