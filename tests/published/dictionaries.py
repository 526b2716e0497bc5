"""A part of the dictionary of biotite as the wwPDB publishes it: a block a component."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gemmi
import numpy as np
from biotite.structure import info

CATEGORIES = ("chem_comp", "chem_comp_atom", "chem_comp_bond")


def texts(column: Any) -> list[str]:
    """Give a column's values as CIF writes them, unknown ones as `?` and `.`."""
    values = column.as_array(str)
    masks = np.zeros(len(values), int) if column.mask is None else column.mask.array
    return [
        "?" if mask == 2 else "." if mask == 1 else gemmi.cif.quote(str(value))
        for value, mask in zip(values, masks, strict=True)
    ]


def component_texts(codes: Iterable[str]) -> Iterator[str]:
    """Yield the block of each component."""
    for code in codes:
        document = gemmi.cif.Document()
        block = document.add_new_block(code)
        for name in CATEGORIES:
            rows = info.get_from_ccd(name, code)
            if rows is not None:
                table = {key: texts(column) for key, column in rows.items()}
                block.set_mmcif_category(f"_{name}.", table, raw=True)
        yield document.as_string()
