"""The mmCIF view of a structure: entities, and the label ids beside the author's own.

The author's chain, number and insertion code are what a user gave and sees. mmCIF adds a second
naming in which each polymer, each ligand molecule and each chain's water is an asymmetric unit of
its own; where a file brought that naming it is kept, elsewhere it is made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product
from string import ascii_uppercase
from typing import Literal

import numpy as np
from jaxtyping import Int

from itda.structure.components import component
from itda.structure.residues import Residues

EntityKind = Literal["polymer", "non-polymer", "water"]

_POLYMER_TYPES = {
    "peptide": "polypeptide(L)",
    "rna": "polyribonucleotide",
    "dna": "polydeoxyribonucleotide",
}
_LABELS = ("label_asym_id", "label_seq_id", "label_entity_id")


@dataclass(frozen=True)
class Entity:
    """A molecule of which the structure holds one copy or more.

    Attributes:
        id: Entity identifier.
        kind: Polymer, non-polymer or water.
        polymer_type: `_entity_poly.type`, empty for other kinds.
        components: Component codes; of a polymer in sequence order, else the one code.
        complete: Whether the codes of a polymer are known from 1 on without a gap.
        asym_ids: The copies.
    """

    id: str
    kind: EntityKind
    polymer_type: str
    components: tuple[str, ...]
    complete: bool
    asym_ids: tuple[str, ...]

    @property
    def description(self) -> str:
        """A name for a reader."""
        if self.kind == "polymer":
            return f"{self.polymer_type}, {len(self.components)} residues"
        return component(self.components[0]).name.lower()


@dataclass(frozen=True, eq=False)
class Layout:
    """Label ids of each residue, and the entities.

    Attributes:
        residues: The residues.
        asym_ids: Label chain of each residue.
        entity_ids: Entity of each residue.
        sequence_ids: 1-based place in the polymer, 0 outside polymers.
        entities: All entities by id.
    """

    residues: Residues
    asym_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    sequence_ids: Int[np.ndarray, " residue"]
    entities: tuple[Entity, ...]


def lay_out(residues: Residues) -> Layout:
    """Give each residue its label ids: those that its atoms carry, or new ones."""
    if set(_LABELS) <= set(residues.atoms.get_annotation_categories()):
        atoms, starts = residues.atoms, residues.starts
        asym_ids = tuple(str(value) for value in atoms.label_asym_id[starts])
        sequence_ids = atoms.label_seq_id[starts].astype(np.int64)
        given = [str(value) for value in atoms.label_entity_id[starts]]
        if all(asym_ids) and all(given):
            return _with_entities(residues, asym_ids, sequence_ids, tuple(given))
    asym_ids, sequence_ids = _new_asym_ids(residues)
    return _with_entities(residues, asym_ids, sequence_ids, None)


def _new_asym_ids(residues: Residues) -> tuple[tuple[str, ...], Int[np.ndarray, " residue"]]:
    """Make label chains: the author's name for its first molecule, unused letters for others."""
    names = unused_names(set(residues.chain_ids))
    taken: dict[tuple[str, str], str] = {}
    next_place: dict[str, int] = {}
    asym_ids: list[str] = []
    places = np.zeros(len(residues), dtype=np.int64)
    polymers = {
        chain
        for chain, polymeric in zip(residues.chain_ids, residues.polymer_mask, strict=True)
        if polymeric
    }
    for index, chain in enumerate(residues.chain_ids):
        if residues.polymer_mask[index]:
            molecule = "polymer"
        elif residues.components[index].kind == "water":
            molecule = "water"
        else:
            molecule = f"ligand {index}"
        key = (chain, molecule)
        if key not in taken:
            owns_name = chain and (molecule == "polymer" or chain not in polymers)
            first = all(other != chain for other, _ in taken)
            taken[key] = chain if owns_name and (molecule == "polymer" or first) else next(names)
        asym_ids.append(taken[key])
        if molecule == "polymer":
            next_place[chain] = places[index] = next_place.get(chain, 0) + 1
    return tuple(asym_ids), places


def unused_names(used: set[str]) -> Iterator[str]:
    """Give names of chains that are not used, the shortest first."""
    for length in count(1):
        for letters in product(ascii_uppercase, repeat=length):
            name = "".join(letters)
            if name not in used:
                yield name


def _with_entities(
    residues: Residues,
    asym_ids: tuple[str, ...],
    sequence_ids: Int[np.ndarray, " residue"],
    given: tuple[str, ...] | None,
) -> Layout:
    members: dict[str, list[int]] = {}
    for index, asym in enumerate(asym_ids):
        members.setdefault(asym, []).append(index)
    entity_of: dict[tuple[object, ...], str] = {}
    grouped: dict[str, list[str]] = {}
    for asym, rows in members.items():
        if given is not None:
            entity = given[rows[0]]
        else:
            polymeric = bool(sequence_ids[rows[0]])
            codes = tuple(residues.names[row] for row in rows) if polymeric else ()
            signature = (polymeric, codes, "" if polymeric else residues.names[rows[0]])
            entity = entity_of.setdefault(signature, str(len(entity_of) + 1))
        grouped.setdefault(entity, []).append(asym)
    entity_ids = [""] * len(asym_ids)
    for entity, asyms in grouped.items():
        for asym in asyms:
            for row in members[asym]:
                entity_ids[row] = entity
    entities = tuple(
        _entity(residues, entity, asyms, members, sequence_ids) for entity, asyms in grouped.items()
    )
    return Layout(residues, asym_ids, tuple(entity_ids), sequence_ids, entities)


def _entity(
    residues: Residues,
    entity: str,
    asyms: list[str],
    members: dict[str, list[int]],
    sequence_ids: Int[np.ndarray, " residue"],
) -> Entity:
    rows = [row for asym in asyms for row in members[asym]]
    first = residues.components[rows[0]]
    if not sequence_ids[rows[0]]:
        kind: EntityKind = "water" if first.kind == "water" else "non-polymer"
        return Entity(entity, kind, "", (first.code,), True, tuple(asyms))
    codes: dict[int, str] = {}
    for row in rows:
        codes.setdefault(int(sequence_ids[row]), residues.names[row])
    kinds = [residues.components[row].kind for row in rows]
    polymer_type = next((_POLYMER_TYPES[kind] for kind in kinds if kind in _POLYMER_TYPES), "other")
    complete = sorted(codes) == list(range(1, len(codes) + 1))
    ordered = tuple(codes[place] for place in sorted(codes))
    return Entity(entity, "polymer", polymer_type, ordered, complete, tuple(asyms))
