"""Tables of mmCIF, and their encoding as text or BinaryCIF.

A table is a mapping from item to column. In a column None stands for `?` (not known) and "." for
not applicable. Equal tables give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from biotite.structure import AtomArray, unitcell_from_vectors
from jaxtyping import Float, Int

from itda.structure.components import Component
from itda.structure.labels import Entity, Layout, lay_out
from itda.structure.residues import Residues

_RESERVED_WORDS = ("data_", "save_", "loop_", "stop_", "global_")
_UNSAFE_FIRST_CHARACTERS = "#$'\";[]_"
_SEQUENCE_LINE = 80


class Decimals(NamedTuple):
    """A column of numbers with a fixed count of decimal places."""

    values: Float[np.ndarray, " row"]
    places: int


Column = Sequence[str | None] | Int[np.ndarray, " row"] | Decimals
Table = Mapping[str, Column]
Tables = dict[str, Table]


def safe_word(text: str) -> str:
    """Give a name that can stand in CIF without quotes: other characters become `_`.

    >>> safe_word("my protein #2"), safe_word("loop_")
    ('my_protein_2', 'x_loop_')
    """
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text)
    word = "_".join(part for part in kept.split("_") if part)
    if text.lower().startswith(_RESERVED_WORDS) or not word:
        return f"x_{word}_" if word else "x"
    return word


def structure_tables(layout: Layout) -> Tables:
    """Describe molecules and atoms: what every mmCIF file of coordinates holds.

    Args:
        layout: The structure with its label ids.

    Returns:
        Tables from `chem_comp` to `atom_site`. The sequence of a polymer is told only where its
        residues are known without a gap.
    """
    polymers = [entity for entity in layout.entities if entity.kind == "polymer"]
    known = [entity for entity in polymers if entity.complete]
    strands = _author_chains(layout)
    tables: Tables = {
        "chem_comp": _chem_comp_table(layout),
        "entity": {
            "id": [entity.id for entity in layout.entities],
            "type": [entity.kind for entity in layout.entities],
            "src_method": ["man" if one.kind == "polymer" else "syn" for one in layout.entities],
            "pdbx_description": [entity.description for entity in layout.entities],
            "pdbx_number_of_molecules": [str(len(one.asym_ids)) for one in layout.entities],
        },
        "struct_asym": {
            "id": [asym for entity in layout.entities for asym in entity.asym_ids],
            "entity_id": [entity.id for entity in layout.entities for _ in entity.asym_ids],
            "details": [None for entity in layout.entities for _ in entity.asym_ids],
        },
    }
    if polymers:
        tables["entity_poly"] = _entity_poly_table(
            polymers, strands, layout.residues.component_of_name
        )
    if known:
        places = [
            (one.id, str(n), code) for one in known for n, code in enumerate(one.components, 1)
        ]
        tables["entity_poly_seq"] = {
            "entity_id": [entity for entity, _, _ in places],
            "num": [place for _, place, _ in places],
            "mon_id": [code for _, _, code in places],
            "hetero": ["n"] * len(places),
        }
        tables["pdbx_poly_seq_scheme"] = _scheme_table(
            layout, {one.id for one in known}, polymer=True
        )
    others = {entity.id for entity in layout.entities if entity.kind != "polymer"}
    if others:
        tables["pdbx_entity_nonpoly"] = {
            "entity_id": [one.id for one in layout.entities if one.id in others],
            "name": [one.description for one in layout.entities if one.id in others],
            "comp_id": [one.components[0] for one in layout.entities if one.id in others],
        }
        tables["pdbx_nonpoly_scheme"] = _scheme_table(layout, others, polymer=False)
    atoms = layout.residues.atoms
    if atoms.box is not None:
        tables["cell"] = _cell_table(atoms)
    tables["atom_type"] = {"symbol": sorted({str(symbol) for symbol in atoms.element})}
    tables["atom_site"] = _atom_site_table(layout)
    return tables


def lay_out_atoms(atoms: AtomArray) -> Layout:
    """Find residues and label ids of a structure."""
    return lay_out(Residues.from_atoms(atoms))


def encode(tables: Tables, block_name: str, *, binary: bool = False) -> bytes:
    """Write tables as one data block.

    Args:
        tables: The tables in the order wanted.
        block_name: Name of the data block, without blanks.
        binary: BinaryCIF instead of text.
    """
    if not binary:
        lines = [f"data_{block_name}", "#"]
        for name, table in tables.items():
            lines += [*_text_table(name, table), "#"]
        return ("\n".join(lines) + "\n").encode("utf-8")
    from biotite.structure.io import pdbx

    binary_file = pdbx.BinaryCIFFile({block_name: pdbx.BinaryCIFBlock()})
    for name, table in tables.items():
        binary_file[block_name][name] = pdbx.BinaryCIFCategory(
            {item: _binary_column(column) for item, column in table.items()}
        )
    packed = BytesIO()
    pdbx.compress(binary_file, rtol=0.0, atol=5e-4).write(packed)
    return packed.getvalue()


def _text_table(name: str, table: Table) -> list[str]:
    columns = [_words(column) for column in table.values()]
    heads = [f"_{name}.{item}" for item in table]
    if len(columns[0]) == 1:
        width = max(map(len, heads)) + 2
        return [head.ljust(width) + column[0] for head, column in zip(heads, columns, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return [
        "loop_",
        *heads,
        *(
            " ".join(map(str.ljust, row, widths)).rstrip()
            if "\n" not in "".join(row)
            else " ".join(row)
            for row in rows
        ),
    ]


def _words(column: Column) -> list[str]:
    if isinstance(column, Decimals):
        return [f"{value:.{column.places}f}" for value in column.values.tolist()]
    if isinstance(column, np.ndarray):
        return [str(value) for value in column.tolist()]
    quoted = {value: "?" if value is None else _quoted(value) for value in set(column)}
    return [quoted[value] for value in column]


def _quoted(value: str) -> str:
    """Write a value so that any CIF 1.1 reader gets it back."""
    plain = value and not any(letter.isspace() for letter in value)
    reserved = value.lower().startswith(_RESERVED_WORDS)
    if plain and not reserved and value[0] not in _UNSAFE_FIRST_CHARACTERS:
        return value
    if "\n" not in value:
        for quote in ("'", '"'):
            if quote not in value:
                return f"{quote}{value}{quote}"
    text = value.replace("\n;", "\n ;")
    return f"\n;{text}\n;\n"


def _binary_column(column: Column) -> object:
    from biotite.structure.io.pdbx import BinaryCIFColumn, MaskValue

    if isinstance(column, Decimals):
        return BinaryCIFColumn(np.round(column.values.astype(np.float64), column.places))
    if isinstance(column, np.ndarray):
        return BinaryCIFColumn(column.astype(np.int32))
    mask = np.array(
        [
            MaskValue.MISSING
            if value is None
            else MaskValue.INAPPLICABLE
            if value == "."
            else MaskValue.PRESENT
            for value in column
        ],
        dtype=np.uint8,
    )
    values = np.array(["" if value in (None, ".") else value for value in column], dtype=str)
    return BinaryCIFColumn(values, mask if mask.any() else None)


def _chem_comp_table(layout: Layout) -> Table:
    known = layout.residues.component_of_name
    found = {code: known[code] for code in sorted(known)}
    return {
        "id": list(found),
        "type": [what.link_type or "other" for what in found.values()],
        "mon_nstd_flag": ["y" if what.is_standard else "n" for what in found.values()],
        "name": [what.name for what in found.values()],
    }


def _author_chains(layout: Layout) -> dict[str, str]:
    """Give the author's chain of each label chain."""
    return dict(zip(layout.asym_ids, layout.residues.chain_ids, strict=True))


def _entity_poly_table(
    polymers: Sequence[Entity], strands: Mapping[str, str], known: Mapping[str, Component]
) -> Table:
    def sequence(entity: Entity, *, canonical: bool) -> str | None:
        if not entity.complete:
            return None
        letters = [
            what.one_letter if canonical or what.is_standard else f"({what.code})"
            for what in map(known.__getitem__, entity.components)
        ]
        if not canonical and entity.polymer_type == "polydeoxyribonucleotide":
            letters = [f"({code})" for code in entity.components]
        text = "".join(letters)
        lines = [text[at : at + _SEQUENCE_LINE] for at in range(0, len(text), _SEQUENCE_LINE)]
        return "\n".join(lines)

    return {
        "entity_id": [entity.id for entity in polymers],
        "type": [entity.polymer_type for entity in polymers],
        "nstd_linkage": ["no"] * len(polymers),
        "nstd_monomer": [
            "no" if all(known[code].is_standard for code in entity.components) else "yes"
            for entity in polymers
        ],
        "pdbx_seq_one_letter_code": [sequence(one, canonical=False) for one in polymers],
        "pdbx_seq_one_letter_code_can": [sequence(one, canonical=True) for one in polymers],
        "pdbx_strand_id": [
            ",".join(dict.fromkeys(strands[asym] or asym for asym in one.asym_ids))
            for one in polymers
        ],
    }


def _scheme_table(layout: Layout, entity_ids: set[str], *, polymer: bool) -> Table:
    residues = layout.residues
    rows = [row for row, entity in enumerate(layout.entity_ids) if entity in entity_ids]
    numbers = [str(residues.numbers[row]) for row in rows]
    names = [residues.names[row] for row in rows]
    asym_ids = [layout.asym_ids[row] for row in rows]
    head: dict[str, Column] = {
        "asym_id": asym_ids,
        "entity_id": [layout.entity_ids[row] for row in rows],
    }
    if polymer:
        head["seq_id"] = [str(layout.sequence_ids[row]) for row in rows]
    head["mon_id"] = names
    places: dict[str, int] = {}
    ordinals = []
    for asym in asym_ids:
        places[asym] = places.get(asym, 0) + 1
        ordinals.append(str(places[asym]))
    return {
        **head,
        "ndb_seq_num": [str(layout.sequence_ids[row]) for row in rows] if polymer else ordinals,
        "pdb_seq_num": numbers,
        "auth_seq_num": numbers,
        "pdb_mon_id": names,
        "auth_mon_id": names,
        "pdb_strand_id": [residues.chain_ids[row] or layout.asym_ids[row] for row in rows],
        "pdb_ins_code": [residues.insertion_codes[row] or "." for row in rows],
        **({"hetero": ["n"] * len(rows)} if polymer else {}),
    }


def _cell_table(atoms: AtomArray) -> Table:
    *lengths, alpha, beta, gamma = unitcell_from_vectors(atoms.box)
    items = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = [*lengths, *np.rad2deg([alpha, beta, gamma])]
    return {item: [f"{value:.3f}"] for item, value in zip(items, values, strict=True)}


def _atom_ids(atoms: AtomArray) -> np.ndarray:
    """Give the atoms' own numbers, or new ones where two have the same, as after `cat`."""
    if "atom_id" in atoms.get_annotation_categories():
        found = np.asarray(atoms.atom_id)
        if len(np.unique(found)) == len(found):
            return found
    return np.arange(1, atoms.array_length() + 1)


def _atom_site_table(layout: Layout) -> Table:
    residues = layout.residues
    atoms, of_atom = residues.atoms, residues.of_atom
    asym_ids, entity_ids = np.array(layout.asym_ids), np.array(layout.entity_ids)
    places = [str(place) if place else "." for place in layout.sequence_ids]
    categories = atoms.get_annotation_categories()
    ones, zeros = np.ones(len(of_atom)), np.zeros(len(of_atom))
    table: dict[str, Column] = {
        "group_PDB": ["HETATM" if hetero else "ATOM" for hetero in atoms.hetero],
        "id": _atom_ids(atoms),
        "type_symbol": atoms.element.tolist(),
        "label_atom_id": atoms.atom_name.tolist(),
        "label_alt_id": ["."] * len(of_atom),
        "label_comp_id": atoms.res_name.tolist(),
        "label_asym_id": asym_ids[of_atom].tolist(),
        "label_entity_id": entity_ids[of_atom].tolist(),
        "label_seq_id": [places[residue] for residue in of_atom],
        "pdbx_PDB_ins_code": [code or None for code in atoms.ins_code.tolist()],
        "Cartn_x": Decimals(atoms.coord[:, 0], 3),
        "Cartn_y": Decimals(atoms.coord[:, 1], 3),
        "Cartn_z": Decimals(atoms.coord[:, 2], 3),
        "occupancy": Decimals(atoms.occupancy if "occupancy" in categories else ones, 2),
        "B_iso_or_equiv": Decimals(atoms.b_factor if "b_factor" in categories else zeros, 2),
    }
    if "charge" in categories:
        table["pdbx_formal_charge"] = [str(charge) if charge else None for charge in atoms.charge]
    return {
        **table,
        "auth_seq_id": atoms.res_id,
        "auth_comp_id": atoms.res_name.tolist(),
        "auth_asym_id": [
            chain or asym_ids[residue]
            for chain, residue in zip(atoms.chain_id.tolist(), of_atom, strict=True)
        ],
        "auth_atom_id": atoms.atom_name.tolist(),
        "pdbx_PDB_model_num": np.ones(len(of_atom), dtype=np.int64),
    }
