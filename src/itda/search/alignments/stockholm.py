"""Stockholm files: wrapped blocks of rows, with annotation lines between them.

See https://sonnhammer.sbc.su.se/Stockholm.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from itda.errors import InputError

_FIRST_LINE = "# STOCKHOLM"
_DESCRIPTION = re.compile(r"#=GS\s+(\S+)\s+DE\s+(.*\S)")


def is_stockholm(lines: Sequence[str]) -> bool:
    """Tell whether the first line that is not blank is that of a Stockholm file."""
    first = next((line for line in lines if line.strip()), "")
    return first.strip().upper().startswith(_FIRST_LINE)


def read_stockholm(lines: Sequence[str], where: str) -> tuple[list[str], list[str]]:
    """Read the rows of a Stockholm file.

    Args:
        lines: Its lines; wrapped rows are put together, `#=GF`, `#=GC` and `#=GR` are left out.
        where: What to call it in an error.

    Returns:
        Headers, each the name and, where there is one, the description; and the rows as they stand.

    Raises:
        InputError: It holds no sequence or a second alignment, a line is not a name and a row, a
            name stands twice in a block, or blocks have different names.
    """
    descriptions: dict[str, str] = {}
    rows: dict[str, list[str]] = {}
    block: set[str] = set()
    blocks, ended = 0, False
    for number, line in enumerate(lines, start=1):
        place = f"{where}: line {number}"
        if not line.strip():
            block = set()
        elif line.startswith("#"):
            if ended and line.upper().startswith(_FIRST_LINE):
                raise InputError(
                    f"{place} begins a second alignment", hint="make a file of each alignment"
                )
            if found := _DESCRIPTION.match(line):
                descriptions[found[1]] = found[2]
        elif line.strip() == "//":
            ended = True
        else:
            fields = line.split()
            if len(fields) != 2 or ended:
                raise InputError(
                    f"{place} is no row of an alignment: {line[:40]!r}",
                    hint="a row is a name, blanks, and residues; // ends the alignment",
                )
            name, residues = fields
            if name in block:
                raise InputError(
                    f"{place} has the name {name} a second time in one block",
                    hint="names are unique in Stockholm; write A3M, where they may repeat",
                )
            blocks += not block
            block.add(name)
            parts = rows.setdefault(name, [])
            if len(parts) != blocks - 1:
                raise InputError(
                    f"{place}: the row {name} stands in {len(parts)} of the {blocks - 1} blocks "
                    "before",
                    hint="each block holds a part of every row",
                )
            parts.append(residues)
    if not rows:
        raise InputError(f"{where}: holds no sequence", hint="the Stockholm file has no rows")
    headers = [f"{name} {descriptions[name]}" if name in descriptions else name for name in rows]
    return headers, ["".join(parts) for parts in rows.values()]
