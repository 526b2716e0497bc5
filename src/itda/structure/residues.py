"""The residues of an atom array as arrays of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from biotite.structure import AtomArray, get_residue_starts
from jaxtyping import Bool, Float, Int

from itda.chem.force_fields import ODD_ATOMS
from itda.chem.residues import RESTYPE_3_TO_1
from itda.structure.components import Component, Reading, component, read_residue

PEPTIDE_BOND_LIMIT_ANGSTROM = 2.0
_PHOSPHODIESTER_LIMIT_ANGSTROM = 2.4


@dataclass(frozen=True, eq=False)
class Residues:
    """Residues of a structure, in file order, told apart by author chain, number, code and name.

    Attributes:
        atoms: The structure; not copied.
        starts: Row of the first atom of each residue.
        of_atom: 0-based residue of each atom.
    """

    atoms: AtomArray
    starts: Int[np.ndarray, " residue"]
    of_atom: Int[np.ndarray, " atom"]

    @classmethod
    def from_atoms(cls, atoms: AtomArray) -> Residues:
        """Find the residues of a structure."""
        starts = np.asarray(get_residue_starts(atoms), dtype=np.int64)
        first = np.zeros(atoms.array_length(), dtype=np.int64)
        first[starts[1:]] = 1
        return cls(atoms, starts, np.cumsum(first))

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Component code of each residue."""
        return tuple(self.atoms.res_name[self.starts].tolist())

    @cached_property
    def chain_ids(self) -> tuple[str, ...]:
        """Author chain of each residue."""
        return tuple(self.atoms.chain_id[self.starts].tolist())

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Author residue number of each residue."""
        return tuple(self.atoms.res_id[self.starts].tolist())

    def polymer_numbers(self, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"] | None:
        """Give residues their places in the polymer (`label_seq_id`), if the file tells them all.

        Args:
            rows: Residues of one polymer.
        """
        if "label_seq_id" not in self.atoms.get_annotation_categories():
            return None
        places = self.atoms.label_seq_id[self.starts[rows]].astype(np.int64)
        rising = bool((places > 0).all() and (np.diff(places) > 0).all())
        return np.asarray(places) if rising else None

    def sequence_numbers(self, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """Give residues their places in the polymer, or the author's numbers where none are told.

        Args:
            rows: Residues of one polymer.
        """
        places = self.polymer_numbers(rows)
        return np.array([self.numbers[row] for row in rows]) if places is None else places

    @cached_property
    def insertion_codes(self) -> tuple[str, ...]:
        """Insertion code of each residue, '' for most."""
        return tuple(self.atoms.ins_code[self.starts].tolist())

    @cached_property
    def _readings(self) -> dict[int, Reading]:
        """How residues are understood that do not go by the PDB's names."""
        known = np.isin(np.array(self.names), [*RESTYPE_3_TO_1, "HOH"])
        doubtful = ~known
        doubtful[self.of_atom[np.isin(self.atoms.atom_name, list(ODD_ATOMS))]] = True
        stops = np.append(self.starts[1:], self.atoms.array_length())
        heavy = ~np.isin(self.atoms.element, ("H", "D"))
        found = {}
        for index in np.flatnonzero(doubtful).tolist():
            own = slice(self.starts[index], stops[index])
            names = frozenset(self.atoms.atom_name[own][heavy[own]].tolist())
            found[index] = read_residue(self.names[index], names)
        return found

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """What each residue is; one that a simulation program named is the amino acid it means."""
        readings = self._readings
        return tuple(
            readings[index].component if index in readings else component(name)
            for index, name in enumerate(self.names)
        )

    @cached_property
    def component_of_name(self) -> dict[str, Component]:
        """What each name of the file stands for; in a polymer, where it also stands elsewhere."""
        order = np.argsort(self.polymer_mask, kind="stable").tolist()
        return {self.names[index]: self.components[index] for index in order}

    @cached_property
    def standard_names(self) -> tuple[str, ...]:
        """The PDB's name of each residue; `names` has those of the file."""
        names = list(self.names)
        for index, reading in self._readings.items():
            names[index] = reading.standard_name
        return tuple(names)

    @cached_property
    def atom_names(self) -> np.ndarray:
        """The PDB's name of each atom."""
        names = self.atoms.atom_name.astype("U6")
        stops = np.append(self.starts[1:], self.atoms.array_length())
        for index, reading in self._readings.items():
            own = names[self.starts[index] : stops[index]]
            before = own.copy()
            for old, new in reading.atom_names.items():
                own[before == old] = new
        return np.asarray(names)

    @cached_property
    def understood(self) -> tuple[str, ...]:
        """What was read under another name than the file's, for a note."""
        residues: Counter[tuple[str, str]] = Counter()
        atoms: Counter[tuple[str, str, str]] = Counter()
        for index, reading in self._readings.items():
            name = self.names[index]
            if name != reading.standard_name:
                residues[name, reading.standard_name] += 1
            atoms.update((name, *pair) for pair in reading.atom_names.items())
        notes = [f"{count} {old} read as {new}" for (old, new), count in residues.items()]
        notes += [
            f"atom {old} of {count} {name} read as {new}"
            for (name, old, new), count in atoms.items()
        ]
        return tuple(notes)

    @cached_property
    def _rows_of_name(self) -> dict[str, Int[np.ndarray, " row"]]:
        names, index = np.unique(self.atom_names, return_inverse=True)
        order = np.argsort(index, kind="stable")
        edges = np.searchsorted(index[order], np.arange(len(names) + 1))
        return {
            str(name): order[low:high]
            for name, low, high in zip(names, edges[:-1], edges[1:], strict=True)
        }

    def rows(self, atom_name: str) -> Int[np.ndarray, " residue"]:
        """Give the row of each residue's atom of that name, -1 where it has none."""
        found = self._rows_of_name.get(atom_name, np.zeros(0, dtype=np.int64))[::-1]
        result = np.full(len(self), -1, dtype=np.int64)
        result[self.of_atom[found]] = found
        return result

    def positions(self, atom_name: str) -> Float[np.ndarray, "residue 3"]:
        """Give the position of each residue's atom of that name, NaN where it has none."""
        rows = self.rows(atom_name)
        result = np.full((len(self), 3), np.nan)
        result[rows >= 0] = self.atoms.coord[rows[rows >= 0]]
        return result

    def label(self, index: int) -> str:
        """Name a residue as a reader of the file would: chain, number with insertion code, name."""
        number = f"{self.numbers[index]}{self.insertion_codes[index]}"
        return f"{self.chain_ids[index]}:{number} {self.names[index]}"

    @cached_property
    def peptide_distances(self) -> Float[np.ndarray, " gap"]:
        """Distance from C of each residue to N of the next, in angstrom; NaN between chains."""
        carbon, nitrogen = self.positions("C"), self.positions("N")
        return self._between_neighbours(carbon, nitrogen)

    @cached_property
    def linked_to_next(self) -> Bool[np.ndarray, " residue"]:
        """Whether a backbone bond joins each residue to the next of its chain."""
        result = np.zeros(len(self), dtype=bool)
        if len(self) > 1:
            backbone = self._between_neighbours(self.positions("O3'"), self.positions("P"))
            result[:-1] = (self.peptide_distances < PEPTIDE_BOND_LIMIT_ANGSTROM) | (
                backbone < _PHOSPHODIESTER_LIMIT_ANGSTROM
            )
        return result

    @cached_property
    def polymer_mask(self) -> Bool[np.ndarray, " residue"]:
        """Whether each residue is part of a polymer.

        An amino acid or nucleotide is, unless it stands as HETATM without a backbone bond to a
        neighbour; anything else is, if a backbone bond holds it, as with a terminal cap.
        """
        hetero = self.atoms.hetero[self.starts]
        linked = self.linked_to_next.copy()
        linked[1:] |= self.linked_to_next[:-1]
        carbon_alpha = self.rows("CA") >= 0
        result = np.zeros(len(self), dtype=bool)
        for index, what in enumerate(self.components):
            unknown_peptide = not what.link_type and bool(carbon_alpha[index]) and not hetero[index]
            polymeric = what.kind in ("peptide", "rna", "dna") or unknown_peptide
            result[index] = what.kind != "water" and (
                bool(linked[index]) or (polymeric and not hetero[index])
            )
        return result

    @cached_property
    def peptide_mask(self) -> Bool[np.ndarray, " residue"]:
        """Whether each residue is an amino acid of a polymer, standard or modified."""
        kinds = np.array(
            [what.kind == "peptide" or not what.link_type for what in self.components], dtype=bool
        )
        # Whatever else its name stands for, what peptide bonds hold in a chain is an amino acid.
        bonded = self.peptide_distances < PEPTIDE_BOND_LIMIT_ANGSTROM
        kinds[:-1] |= bonded & (self.rows("N") >= 0)[:-1]
        kinds[1:] |= bonded & (self.rows("C") >= 0)[1:]
        return np.asarray(self.polymer_mask & kinds & (self.rows("CA") >= 0))

    def _between_neighbours(
        self, behind: Float[np.ndarray, "residue 3"], ahead: Float[np.ndarray, "residue 3"]
    ) -> Float[np.ndarray, " gap"]:
        distance = np.linalg.norm(behind[:-1] - ahead[1:], axis=-1)
        chains = np.asarray(self.atoms.chain_id[self.starts])
        return np.where(chains[:-1] == chains[1:], distance, np.nan)
