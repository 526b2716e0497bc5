"""CLUSTAL files, as Clustal, MUSCLE, MAFFT, PROBCONS and T-Coffee write them.

Blocks of rows, a name and residues each, some with a count of residues behind; a line of `*:.`
below each block marks conserved columns and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from itda.errors import InputError
from itda.language import Message
from itda.search.alignments.blocks import Blocks

_FIRST_LINE = re.compile(
    r"CLUSTAL|MUSCLE \(|PROBCONS|T-COFFEE|KALIGN|MSAPROBS|MAFFT", re.IGNORECASE
)
_CONSERVATION = re.compile(r"[*:. ]+")


def is_clustal(lines: Sequence[str]) -> bool:
    """Tell whether the first line that is not blank is that of a CLUSTAL file."""
    first = next((line for line in lines if line.strip()), "")
    return _FIRST_LINE.match(first.strip()) is not None


def read_clustal(lines: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    """Read the rows of a CLUSTAL file: their names and residues.

    Raises:
        InputError: It holds no sequence, a line is not a name and a row, a name stands twice in a
            block, or blocks have different names.
    """
    blocks = Blocks("CLUSTAL")
    first = next(number for number, line in enumerate(lines) if line.strip())
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if not line.strip() or (line[0].isspace() and _CONSERVATION.fullmatch(line)):
            blocks.end_block()
            continue
        fields = line.split()
        if len(fields) == 3 and fields[2].isdecimal():
            fields.pop()
        if len(fields) != 2:
            raise InputError(
                Message(
                    "{where}: line {number} is no row of an alignment: {line!r}",
                    where=where,
                    number=number,
                    line=line[:40],
                ),
                hint=Message("a row is a name, blanks, and residues"),
            )
        blocks.add(f"{where}: line {number}", *fields)
    rows = blocks.joined(where)
    return list(rows), list(rows.values())
