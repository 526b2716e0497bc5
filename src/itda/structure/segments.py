"""Chains of PDB files that have no name, or one name for several."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Int

from itda.structure.labels import unused_names

FARTHEST_CONFORMER_ANGSTROM = 8.0
"""Two positions of one atom are nearer; farther ones are of two atoms that share their names."""


def name_chains(
    atoms: AtomArray,
    segments: Int[np.ndarray, " atom"],
    segment_names: np.ndarray,
    altlocs: np.ndarray,
    polymeric: Bool[np.ndarray, " atom"],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give polymers that share a chain id one each.

    Without an id, a chain ends at each TER record and where the segment's name changes; a polymer
    that is the only one stays without. With an id, a TER may stand at a gap, so there a chain ends
    only where residues come again, far from the place where they were; so it does without an id
    where TER is missing.

    Args:
        atoms: In file order.
        segments: Number of TER records before each atom.
        segment_names: Columns 73 to 76, '' where they are blank.
        altlocs: Alternate location of each atom.
        polymeric: Atoms of amino acids and nucleotides.

    Returns:
        Chain ids, and notes on those that are new.
    """
    chain_ids = atoms.chain_id.astype(object)
    rows = np.flatnonzero(polymeric)
    columns = (atoms.chain_id, atoms.res_id, atoms.ins_code, atoms.res_name, segments)
    starts = rows[changes([column[rows] for column in columns])]
    unused = unused_names({*atoms.chain_id.tolist(), ""})
    notes: tuple[str, ...] = ()
    chains = list(dict.fromkeys(atoms.chain_id[starts].tolist()))
    for chain in chains:
        runs = starts[atoms.chain_id[starts] == chain]
        pieces = _pieces(atoms, runs, segments, segment_names, altlocs)
        if pieces[-1] == 0 and (chain or len(chains) == 1):
            continue
        names = ([] if chain == "" else [chain]) + [next(unused) for _ in range(pieces[-1])]
        names += [next(unused)] if chain == "" else []
        # What is no polymer goes with the polymer before it in its segment, or else with the next.
        own = np.flatnonzero(atoms.chain_id == chain)
        before = np.clip(np.searchsorted(runs, own, side="right") - 1, 0, None)
        after = np.clip(before + 1, 0, len(runs) - 1)
        for choice in (after, before):
            same = segments[runs[choice]] == segments[own]
            chain_ids[own[same]] = np.array(names, dtype=object)[pieces[choice[same]]]
        what = f"chain {chain} holds {len(names)} chains"
        if not chain:
            what = f"{len(names)} chain{'s' * (len(names) > 1)} without a name"
        notes += (f"{what}: named {', '.join(names)}",)
    return chain_ids.astype(str), notes


def _pieces(
    atoms: AtomArray,
    runs: Int[np.ndarray, " residue"],
    segments: Int[np.ndarray, " atom"],
    segment_names: np.ndarray,
    altlocs: np.ndarray,
) -> Int[np.ndarray, " residue"]:
    """Tell which polymer each residue of a chain id is part of."""
    pieces = np.zeros(len(runs), dtype=np.int64)
    numbers = atoms.res_id[runs].tolist()
    keys = list(zip(numbers, atoms.ins_code[runs].tolist(), strict=True))
    names = segment_names[runs]
    if changes([names]).sum() > len(np.unique(names)):
        names = np.full(len(runs), "")  # what comes and goes is no segment's name
    parts = list(zip(segments[runs].tolist(), names.tolist(), strict=True))
    nameless = atoms.chain_id[runs[0]] == ""
    if len(set(keys)) == len(keys) and not (nameless and len(set(parts)) > 1):
        return pieces
    seen: dict[tuple[int, str], int] = {}
    begin = piece = 0
    for index, key in enumerate(keys):
        parted = index > 0 and parts[index] != parts[index - 1]
        if parted or (index and numbers[index] < numbers[index - 1]):
            begin = index
        again = key in seen and altlocs[runs[index]] == ""
        if (nameless and parted) or (again and begin and _far(atoms, runs, seen[key], index)):
            piece += 1
            seen = {keys[place]: place for place in range(begin, index)}
            pieces[begin:index] = piece
            begin = 0
        seen.setdefault(key, index)
        pieces[index] = piece
    return pieces


def _far(atoms: AtomArray, runs: Int[np.ndarray, " residue"], first: int, second: int) -> bool:
    apart = atoms.coord[runs[first]] - atoms.coord[runs[second]]
    return bool(np.linalg.norm(apart) > FARTHEST_CONFORMER_ANGSTROM)


def changes(columns: Iterable[np.ndarray]) -> Bool[np.ndarray, " row"]:
    """Tell where any of some columns differs from the row before; always in the first."""
    return np.asarray(
        np.logical_or.reduce(
            [np.append(True, column[1:] != column[:-1])[: len(column)] for column in columns]
        )
    )
