"""mmCIF: text through gemmi, BinaryCIF through biotite, and by the same rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from biotite.structure import AtomArray
from biotite.structure.io.pdbx import BinaryCIFFile
from gemmi import cif
from jaxtyping import Bool, Int

from itda.errors import InputError
from itda.language import Message
from itda.structure.cif_text import CifSyntaxError, cut_table, place_of, read_document, values
from itda.structure.elements import resolve_elements
from itda.structure.numbers import distinct, number_the_rest, read_charges, read_numbers
from itda.structure.parsed import Metadata, Parsed, check_model, default_note

_SITE = "_atom_site."
_NUMBER_WITH_CODE = re.compile(r"([+-]?\d+)([A-Za-z])")
_LONGEST_VALUE = 1024
_UNCERTAINTY = re.compile(r"\(\d+\)\Z")
_WITHOUT_ATOMS = {
    "_ihm_sphere_obj_site.": "a coarse model of spheres",
    "_refln.": "structure factors",
    "_diffrn_refln.": "structure factors",
    "_chem_comp_atom.": "a definition of a component",
}


_Rows = slice | Int[np.ndarray, " atom"]


class _Table(Protocol):
    """The categories of a data block."""

    def has(self, item: str) -> bool:
        """Tell whether atom_site has an item."""
        ...

    def column(self, item: str, rows: _Rows) -> np.ndarray:
        """Give rows of an item of atom_site as text, '' where it is null."""
        ...

    def numbers(self, item: str, rows: _Rows) -> np.ndarray | None:
        """Give rows of an item as numbers, NaN where it is null; None where some is no number."""
        ...

    def items(self, tag: str) -> list[str]:
        """Give the values of any item as text; none if it is not there."""
        ...

    def place(self, item: str, row: int) -> str:
        """Tell where a value of atom_site stands, for a reader."""
        ...


def parse_cif(text: str, path: Path, model: int) -> Parsed:
    """Read one model of an mmCIF file.

    Args:
        text: The file.
        path: Its name, for errors.
        model: 1-based place of the model in the file.

    Raises:
        InputError: If its atoms are not CIF, or there are none, or no such model, or a coordinate
            is no number.
    """
    notes: tuple[str, ...] = ()
    try:
        document = read_document(text)
    except CifSyntaxError as error:
        document, text = _atoms_alone(text, error, path)
        notes = (f"is not CIF throughout ({error}): atom_site read, and nothing else",)
    blocks = [block for block in document if block.find_values(f"{_SITE}Cartn_x")]
    if not blocks:
        blocks = [block for block in document if f"{_SITE}" in block.get_mmcif_category_names()]
    if not blocks:
        raise _no_atoms(
            path, [name for block in document for name in block.get_mmcif_category_names()]
        )
    return _parse(_Text(text, blocks[0], path), [one.name for one in blocks], path, model, notes)


def parse_binary_cif(content: bytes, path: Path, model: int) -> Parsed:
    """Read one model of a BinaryCIF file; see `parse_cif`."""
    file = BinaryCIFFile.read(BytesIO(content))
    names = [name for name in file if "atom_site" in file[name]]
    if not names:
        raise _no_atoms(path, [f"_{name}." for block in file.values() for name in block])
    return _parse(_Binary(file[names[0]]), names, path, model, ())


def _atoms_alone(text: str, error: CifSyntaxError, path: Path) -> tuple[cif.Document, str]:
    try:
        cut = cut_table(text, _SITE)
        if cut is None:
            raise error
        return read_document(cut), cut
    except CifSyntaxError as worse:
        raise InputError(
            Message("{path}: is broken mmcif: {worse}", path=path, worse=worse)
        ) from worse


def _no_atoms(path: Path, categories: list[str]) -> InputError:
    held = [what for category, what in _WITHOUT_ATOMS.items() if category in categories]
    hint = Message("structure factors and sequence files have none; give the coordinate file")
    if held:
        hint = Message("it holds {held}; give a file with the atoms of a model", held=held[0])
    return InputError(
        Message("{path}: has no atom_site, so it holds no coordinates", path=path), hint=hint
    )


@dataclass(frozen=True, eq=False)
class _Text:
    text: str
    block: cif.Block
    path: Path

    def has(self, item: str) -> bool:
        return bool(self.block.find_values(_SITE + item))

    def column(self, item: str, rows: _Rows) -> np.ndarray:
        raw, codes = distinct(self._raw(item, rows))
        longest = max(map(len, raw), default=0)
        if longest > _LONGEST_VALUE:
            # An array of text is as wide in each row as in its widest.
            raise InputError(
                Message(
                    "{path}: a value of atom_site.{item} has {longest} characters",
                    path=self.path,
                    item=item,
                    longest=longest,
                )
            )
        words = ["" if cif.is_null(value) else str(cif.as_string(value)) for value in raw]
        return np.asarray(np.array(words)[codes])

    def numbers(self, item: str, rows: _Rows) -> np.ndarray | None:
        try:
            found = np.array(self._raw(item, rows), dtype=np.float64)
        except ValueError:
            return None
        return found if np.isfinite(found).all() else None

    def _raw(self, item: str, rows: _Rows) -> list[str]:
        raw = list(self.block.find_values(_SITE + item))
        return raw[rows] if isinstance(rows, slice) else [raw[row] for row in rows]

    def items(self, tag: str) -> list[str]:
        return values(self.block, tag)

    def place(self, item: str, row: int) -> str:
        tag = _SITE + item
        # These two compare with the name in lower case.
        found = self.block.find_loop_item(tag.lower()) or self.block.find_pair_item(tag.lower())
        line, column = place_of(self.text, found, tag, row)
        return f"line {line}, column {column}"


@dataclass(frozen=True, eq=False)
class _Binary:
    block: Any

    def has(self, item: str) -> bool:
        return item in self.block["atom_site"]

    def column(self, item: str, rows: _Rows) -> np.ndarray:
        return np.asarray(self.block["atom_site"][item].as_array(str, ""))[rows]

    def numbers(self, item: str, rows: _Rows) -> np.ndarray | None:
        column = self.block["atom_site"][item]
        if column.data.array.dtype.kind not in "iuf":
            return None
        found = np.asarray(column.as_array(float, np.nan))[rows]
        told = found if column.mask is None else found[column.mask.array[rows] == 0]
        return found if np.isfinite(told).all() else None

    def items(self, tag: str) -> list[str]:
        category, _, item = tag.removeprefix("_").partition(".")
        if category not in self.block or item not in self.block[category]:
            return []
        return [str(value) for value in self.block[category][item].as_array(str, "").tolist()]

    def place(self, item: str, row: int) -> str:
        return f"row {row + 1}"


class _Site:
    """Columns of `atom_site` in the rows of one model."""

    def __init__(self, table: _Table, path: Path, rows: Int[np.ndarray, " atom"]) -> None:
        self._table = table
        self._path = path
        self._every = rows
        self._rows: _Rows = rows
        if rows[-1] - rows[0] + 1 == len(rows):
            self._rows = slice(int(rows[0]), int(rows[-1]) + 1)
        self.count = len(rows)
        self.notes: tuple[str, ...] = ()

    def has(self, item: str) -> bool:
        return self._table.has(item)

    def words(self, *items: str, default: str | None = None) -> np.ndarray:
        """Give a column of words: in each row the first of the items that is not null."""
        found: np.ndarray | None = None
        for item in items:
            if self._table.has(item) and (found is None or (found == "").any()):
                column = self._table.column(item, self._rows)
                found = column if found is None else np.where(found == "", column, found)
        if found is None and default is None:
            raise self._lacking(items[-1])
        if found is None:
            return np.full(self.count, default)
        return np.where(found == "", default, found) if default else found

    def numbers(
        self, item: str, default: float
    ) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, " atom"]]:
        """Give an item as numbers, as words where some are none, and where those stand.

        Where all are numbers the words are only '' where nothing is told, and '0' elsewhere.
        """
        found = self._table.numbers(item, self._rows) if self._table.has(item) else None
        if found is not None:
            blank = np.isnan(found)
            words = np.where(blank, "", "0")
            return np.where(blank, default, found), words, np.zeros(self.count, dtype=bool)
        words = self.words(item, default="")
        values, bad = read_numbers(words, default, _without_uncertainty)
        return values, words, bad

    def coordinates(self) -> np.ndarray:
        result = np.empty((self.count, 3))
        for axis, item in enumerate(("Cartn_x", "Cartn_y", "Cartn_z")):
            if not self.has(item):
                raise self._lacking(item)
            result[:, axis], words, bad = self.numbers(item, np.nan)
            wrong = np.flatnonzero(bad | np.isnan(result[:, axis]))
            if len(wrong):
                row = int(wrong[0])
                word = repr(str(words[row])) if words[row] else "null"
                raise InputError(
                    Message(
                        "{path}: {item}: atom_site.{item_2} is {word}, not a number",
                        path=self._path,
                        item=self.place(item, row),
                        item_2=item,
                        word=word,
                    )
                )
        return result

    def floats(self, item: str, what: str, default: float) -> np.ndarray:
        """Give a column of numbers that nobody needs."""
        found, words, bad = self.numbers(item, default)
        self.notes += default_note(
            what, f"{default:.2f}", words == "", bad, self.example(item, words, bad)
        )
        return found

    def charges(self) -> np.ndarray:
        words = self.words("pdbx_formal_charge", default="")
        if not (words != "").any():
            return np.zeros(self.count, dtype=np.int64)
        charges, bad = read_charges(words)
        said = self.example("pdbx_formal_charge", words, bad)
        self.notes += default_note("the charge", "0", np.zeros_like(bad), bad, said)
        return charges

    def sequence_numbers(self) -> np.ndarray:
        numbers, words, bad = self.numbers("label_seq_id", 0)
        said = self.example("label_seq_id", words, bad)
        self.notes += default_note(
            "the place in the sequence", "none", np.zeros_like(bad), bad, said
        )
        return numbers.astype(np.int64)

    def serials(self) -> np.ndarray:
        numbers, words, bad = self.numbers("id", 0)
        if not bad.any() and (words != "").all():
            return numbers.astype(np.int64)
        if (words != "").any():
            self.notes += (
                f"some atoms have no whole number{self.example('id', words, bad)}: all counted "
                "from 1",
            )
        return np.arange(1, self.count + 1)

    def _lacking(self, item: str) -> InputError:
        return InputError(
            Message("{path}: atom_site has no {item}", path=self._path, item=item),
            hint=Message(
                "an atom needs Cartn_x, Cartn_y, Cartn_z, label_atom_id and label_comp_id"
            ),
        )

    def place(self, item: str, row: int) -> str:
        return self._table.place(item, int(self._every[row]))

    def example(self, item: str, words: np.ndarray, bad: Bool[np.ndarray, " atom"]) -> str:
        """Show the first bad value of an item, and where it stands."""
        if not bad.any():
            return ""
        row = int(np.flatnonzero(bad)[0])
        return f" ({self.place(item, row)}: {str(words[row])!r})"


def _parse(
    table: _Table, blocks: list[str], path: Path, model: int, notes: tuple[str, ...]
) -> Parsed:
    if len(blocks) > 1:
        notes += (f"data block {blocks[0]} read, {len(blocks) - 1} more left out",)
    rows, model_count = _rows_of_model(table, path, model)
    site = _Site(table, path, rows)
    coordinates = site.coordinates()
    atoms = AtomArray(site.count)
    atoms.coord = coordinates.astype(np.float32)
    columns: dict[str, np.ndarray] = {
        "chain_id": site.words("auth_asym_id", "label_asym_id", default=""),
        "res_name": site.words("auth_comp_id", "label_comp_id"),
        "atom_name": site.words("auth_atom_id", "label_atom_id"),
        "hetero": np.char.upper(site.words("group_PDB", default="ATOM")) == "HETATM",
        "b_factor": site.floats("B_iso_or_equiv", "the B-factor", 0.0),
        "occupancy": site.floats("occupancy", "the occupancy", 1.0),
        "charge": site.charges(),
        "atom_id": site.serials(),
    }
    columns["res_id"], columns["ins_code"] = _residue_numbers(site, columns)
    for item in ("label_asym_id", "label_entity_id"):
        if site.has(item):
            columns[item] = site.words(item)
    if site.has("label_seq_id"):
        columns["label_seq_id"] = site.sequence_numbers()
    columns["element"], said = resolve_elements(
        site.words("type_symbol", default=""), columns["atom_name"], columns["res_name"]
    )
    for name, column in columns.items():
        atoms.set_annotation(name, column)
    altlocs = site.words("label_alt_id", default="")
    return Parsed(atoms, altlocs, model_count, _metadata(table.items), notes + site.notes + said)


def _rows_of_model(table: _Table, path: Path, model: int) -> tuple[Int[np.ndarray, " atom"], int]:
    """Give the rows of a model, and how many models there are."""
    item = next((one for one in ("pdbx_PDB_model_num", "Cartn_x", "id") if table.has(one)), None)
    if item is None:
        raise InputError(Message("{path}: atom_site has no Cartn_x", path=path))
    numbers = table.column(item, slice(None))
    if item != "pdbx_PDB_model_num":
        numbers = np.zeros(len(numbers))
    found, starts = np.unique(numbers, return_index=True)
    check_model(model, len(found), path)
    return np.flatnonzero(numbers == numbers[np.sort(starts)[model - 1]]), len(found)


def _residue_numbers(site: _Site, columns: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Give the author's numbers, or those of the polymer with the rest counted on from them."""
    codes = site.words("pdbx_PDB_ins_code", default="")
    if site.has("auth_seq_id"):
        found, words, bad = site.numbers("auth_seq_id", 0)
        if (words != "").all() and not bad.any():
            return found.astype(np.int64), codes
    words = site.words("auth_seq_id", "label_seq_id", default="")
    found, bad = read_numbers(words, 0)
    if bad.any():
        # Some write the insertion code into the number.
        for row in np.flatnonzero(bad):
            joined = _NUMBER_WITH_CODE.fullmatch(str(words[row]))
            if joined is not None and codes[row] in ("", joined[2]):
                found[row], bad[row] = int(joined[1]), False
                codes[row] = joined[2]
    if bad.any():
        said = site.example("auth_seq_id", words, bad)
        site.notes += (
            f"the residue number of {int(bad.sum())} atoms is no number{said}: that of the "
            "polymer taken",
        )
        places, wrong = read_numbers(site.words("label_seq_id", default=""), 0)
        found = np.where(bad, places, found)
        words = np.where(bad, np.where(wrong | (places == 0), "", "1"), words)
    numbers, unknown = found.astype(np.int64), words == ""
    if unknown.any():
        label_chains = site.words("label_asym_id", "auth_asym_id", default="")
        labels = [label_chains, columns["res_name"]]
        number_the_rest(numbers, ~unknown, labels, columns["atom_name"])
    return numbers, codes


def _without_uncertainty(word: str) -> float:
    return float(_UNCERTAINTY.sub("", word))


def _metadata(items: Callable[[str], list[str]]) -> Metadata:
    def told(tag: str) -> list[str]:
        return [value.strip() for value in items(tag) if value.strip()]

    def number(tag: str) -> float | None:
        for value in told(tag):
            try:
                return float(value)
            except ValueError:
                continue
        return None

    resolution = number("_refine.ls_d_res_high")
    if resolution is None:
        resolution = number("_em_3d_reconstruction.resolution")
    return Metadata(
        entry_id=next(iter(told("_entry.id")), ""),
        title=next(iter(told("_struct.title")), ""),
        method=", ".join(told("_exptl.method")),
        resolution_angstrom=resolution,
        release_date=min(told("_pdbx_audit_revision_history.revision_date"), default=""),
    )
