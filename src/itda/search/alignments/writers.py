"""Alignments as aligned FASTA and Stockholm: rows of one length, room for every insertion."""

from __future__ import annotations

import re
from collections import Counter

from itda.errors import InputError
from itda.language import Message
from itda.search.alignments.alignment import LOWER_CASE, Alignment

_COLUMN = re.compile(f"([{LOWER_CASE}]*)([^{LOWER_CASE}])")


def to_fasta(alignment: Alignment) -> str:
    """Return aligned FASTA.

    What is inserted at one place is set out from the left, padded with `-`; `read_alignment` gives
    the same alignment back.
    """
    return "".join(
        f">{name}\n{row}\n" for name, row in zip(alignment.names, _padded(alignment), strict=True)
    )


def to_stockholm(alignment: Alignment) -> str:
    """Return Stockholm, each row on one line, descriptions as `#=GS … DE`.

    Raises:
        InputError: A name stands twice or is empty, which Stockholm has no way to write.
    """
    names, descriptions = [], []
    for header in alignment.names:
        name, *description = header.split(maxsplit=1)[:2] or [""]
        names.append(name)
        descriptions += [f"#=GS {name} DE {text}" for text in description]
    name, times = Counter(names).most_common(1)[0]
    if times > 1 or "" in names:
        raise InputError(
            Message("{times} rows are called {name!r}", times=times, name=name)
            if times > 1
            else Message("a row has no name"),
            hint=Message(
                "names are unique in Stockholm; write A3M or FASTA, where they may repeat"
            ),
        )
    width = max(len(name) for name in names)
    rows = [f"{name:{width}} {row}" for name, row in zip(names, _padded(alignment), strict=True)]
    return "\n".join(["# STOCKHOLM 1.0", *descriptions, "", *rows, "//", ""])


def _padded(alignment: Alignment) -> list[str]:
    insertions: list[list[str]] = []
    columns: list[str] = []
    for text in alignment.texts:
        found = _COLUMN.findall(text)
        tail = text[sum(len(before) + 1 for before, _ in found) :]
        insertions.append([*(before for before, _ in found), tail])
        columns.append("".join(column for _, column in found) + " ")
    widths = [max(map(len, place)) for place in zip(*insertions, strict=True)]
    return [
        "".join(
            f"{before.upper():-<{width}}{column}" if width else column
            for before, width, column in zip(row, widths, filled, strict=True)
        ).rstrip(" ")
        for row, filled in zip(insertions, columns, strict=True)
    ]
