"""Alignments as the archive of a ticket holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from itda.errors import DataError, InputError
from itda.language import Message
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.pairing import ABSENT, pair
from itda.search.protocol import (
    ENVIRONMENT_FILE,
    MAIN_FILE,
    PAIR_FILE,
    TEMPLATE_FILE,
    Mode,
    join_blocks,
)

MADE_BY_FILE = "made_by.txt"
# As MMseqs2 names a row of gaps.
NO_PARTNER = "DUMMY"


def archive_files(
    mode: Mode, names: Sequence[str], alignments: Sequence[Alignment], *, made_by: str
) -> dict[str, str]:
    """Return the files of a ticket's archive.

    All rows stand in `uniref.a3m`; where the environmental databases are asked for, their file
    holds the queries alone, since clients want it to be there. The table of templates is empty for
    the same reason.

    Rows are paired by `itda.search.alignments.pairing`: several of a species; MMseqs2 takes one.

    Args:
        mode: What was asked for.
        names: Name of each record of the query, as the client sent it.
        alignments: Of each record.
        made_by: Title of the source, which goes into a file of its own.

    Raises:
        InputError: Rows are to be paired and carry no species.
    """
    if mode.kind == "pair":
        files = {PAIR_FILE: join_blocks(_paired_blocks(mode, names, alignments))}
    else:
        files = {MAIN_FILE: join_blocks([_block(*one) for one in _zip(names, alignments)])}
        if mode.environment:
            alone = [alignment.select([0]) for alignment in alignments]
            files[ENVIRONMENT_FILE] = join_blocks([_block(*one) for one in _zip(names, alone)])
        if mode.templates:
            files[TEMPLATE_FILE] = ""
    return {**files, MADE_BY_FILE: f"{made_by}\n"}


def _zip(names: Sequence[str], alignments: Sequence[Alignment]) -> list[tuple[str, Alignment]]:
    return list(zip(names, alignments, strict=True))


def _block(name: str, alignment: Alignment) -> str:
    """Return an alignment as A3M whose query has the name that the client gave it."""
    head = f">{name}\n{alignment.texts[0]}\n"
    return head + "".join(
        f">{row_name}\n{text}\n"
        for row_name, text in zip(alignment.names[1:], alignment.texts[1:], strict=True)
    )


def _paired_blocks(mode: Mode, names: Sequence[str], alignments: Sequence[Alignment]) -> list[str]:
    """Return one block a sequence, all of one length, in which rows of one number are paired."""
    try:
        found = pair(dict(_zip(names, alignments)))
    except DataError as error:
        # A client is told what an InputError says; this is about its request, not about a folder.
        raise InputError(
            Message("pairing: {problem}", problem=error.problem), hint=error.hint
        ) from error
    kept = [
        row
        for row, partners in enumerate(found.rows)
        if not mode.complete or (partners != ABSENT).all()
    ]
    blocks = []
    for column, name in enumerate(names):
        alignment = found.paired[name].select(kept)
        absent = found.rows[kept, column] == ABSENT
        row_names = tuple(
            NO_PARTNER if gap else row_name
            for gap, row_name in zip(absent, alignment.names, strict=True)
        )
        blocks.append(_block(name, replace(alignment, names=row_names)))
    return blocks
