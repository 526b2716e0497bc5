"""The Chemical Component Dictionary, read once and by its columns.

Looked into through biotite's own functions the dictionary takes half a gigabyte: as an array of
text each column is as wide as its longest word. Here a column stays as the file has it, one long
text and where each word of it begins. The names of atoms are read apart: most uses need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from itda.chem.component_file import components_path
from itda.errors import DataError
from itda.language import Message

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int


@dataclass(frozen=True)
class DictionaryEntry:
    """What the dictionary says of a code.

    Attributes:
        name: Chemical name.
        link_type: How it links to its neighbours, in capitals, such as "L-PEPTIDE LINKING".
        parent: One-letter code of the residue that it is or derives from, of several letters where
            it was made from several residues; "" where it has none.
        replaced_by: The code to use instead where this one is obsolete; "" where it is current.
    """

    name: str
    link_type: str
    parent: str
    replaced_by: str


def dictionary_entry(code: str) -> DictionaryEntry | None:
    """Look up a component; None where the dictionary lacks it.

    Example:
        >>> dictionary_entry("MSE").parent, dictionary_entry("NONE OF THESE")
        ('M', None)
    """
    rows, columns = _components()
    row = rows.get(code)
    if row is None:
        return None
    name, link_type, parent, replaced_by = (column[row] for column in columns)
    # Some types are written in small letters.
    return DictionaryEntry(name, link_type.upper(), parent, replaced_by)


def dictionary_atoms(code: str) -> tuple[str, ...]:
    """Give the names of a component's atoms, in the dictionary's order; none where it lacks it."""
    spans, names = _atom_names()
    return tuple(names[row] for row in spans.get(code, ()))


def heavy_atoms(code: str) -> tuple[str, ...]:
    """Give the names of a component's atoms but for its hydrogens; none where it is not there.

    Example:
        >>> heavy_atoms("ZN"), heavy_atoms("HG"), len(heavy_atoms("ATP"))
        (('ZN',), ('HG',), 31)
    """
    spans, names = _atom_names()
    elements = _elements()
    return tuple(names[row] for row in spans.get(code, ()) if elements[row] not in ("H", "D"))


@dataclass(frozen=True, eq=False)
class _Words:
    """A column of words.

    Attributes:
        text: Every word of the column, each once, in one.
        starts: Where each word begins in it, and where the last ends.
        places: The word of each row; -1 where it has none.
    """

    text: str
    starts: Int[np.ndarray, " word_and_end"]
    places: Int[np.ndarray, " row"]

    def __getitem__(self, row: int) -> str:
        place = self.places[row]
        return self.text[self.starts[place] : self.starts[place + 1]] if place >= 0 else ""

    def __len__(self) -> int:
        return len(self.places)


@cache
def _components() -> tuple[dict[str, int], tuple[_Words, ...]]:
    """Return the row of each code, and the columns of what is told of it."""
    codes, *columns = _columns(
        "chem_comp", "id", "name", "type", "one_letter_code", "pdbx_replaced_by"
    )
    return {codes[row]: row for row in range(len(codes))}, tuple(columns)


@cache
def _atom_names() -> tuple[dict[str, range], _Words]:
    """Return the rows of each code's atoms, and the names of all atoms."""
    import numpy as np

    codes, names = _columns("chem_comp_atom", "comp_id", "atom_id")
    edges = np.flatnonzero(np.diff(codes.places, prepend=-2, append=-2)).tolist()
    spans = {codes[start]: range(start, stop) for start, stop in pairwise(edges)}
    return spans, names


@cache
def _elements() -> _Words:
    """Return the element of each atom."""
    (elements,) = _columns("chem_comp_atom", "type_symbol")
    return elements


def _columns(category: str, *items: str) -> list[_Words]:
    """Read columns of words; BinaryCIF's specification names the fields."""
    import msgpack

    path = components_path()
    try:
        (block,) = msgpack.unpackb(path.read_bytes())["dataBlocks"]
        (columns,) = (
            {column["name"]: column for column in one["columns"]}
            for one in block["categories"]
            if one["name"].lstrip("_") == category
        )
        return [_words(columns[item]) for item in items]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            Message(
                "the component dictionary {path} is damaged: {error!r}", path=path, error=error
            ),
            hint=Message("`itda db get ccd` fetches it again; `itda db remove ccd` removes it"),
        ) from error


def _words(column: dict[str, Any]) -> _Words:
    import numpy as np
    from biotite.structure.io.pdbx.encoding import decode_stepwise, deserialize_encoding

    def decoded(data: bytes, encodings: list[Any]) -> Any:
        return np.asarray(decode_stepwise(data, [deserialize_encoding(one) for one in encodings]))

    (strings,) = column["data"]["encoding"]
    places = decoded(column["data"]["data"], strings["dataEncoding"]).astype(np.int64)
    if column.get("mask") is not None:
        places[decoded(column["mask"]["data"], column["mask"]["encoding"]) != 0] = -1
    starts = decoded(strings["offsets"], strings["offsetEncoding"]).astype(np.int64)
    return _Words(strings["stringData"], starts, places)
