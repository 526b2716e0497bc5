"""Stockholm files: wrapped blocks of rows, with annotation lines between them.

See https://sonnhammer.sbc.su.se/Stockholm.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from itda.errors import InputError
from itda.language import Message
from itda.search.alignments.blocks import Blocks

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
    blocks = Blocks("Stockholm")
    ended = False
    for number, line in enumerate(lines, start=1):
        place = Message("{where}: line {number}", where=where, number=number)
        if not line.strip():
            blocks.end_block()
        elif line.startswith("#"):
            if ended and line.upper().startswith(_FIRST_LINE):
                raise InputError(
                    Message("{place} begins a second alignment", place=place),
                    hint=Message("make a file of each alignment"),
                )
            if found := _DESCRIPTION.match(line):
                descriptions[found[1]] = found[2]
        elif line.strip() == "//":
            ended = True
        else:
            fields = line.split()
            if len(fields) != 2 or ended:
                raise InputError(
                    Message(
                        "{place} is no row of an alignment: {line!r}", place=place, line=line[:40]
                    ),
                    hint=Message("a row is a name, blanks, and residues; // ends the alignment"),
                )
            blocks.add(place, *fields)
    rows = blocks.joined(where)
    headers = [f"{name} {descriptions[name]}" if name in descriptions else name for name in rows]
    return headers, list(rows.values())
