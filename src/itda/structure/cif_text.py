"""Text CIF: the whole grammar through gemmi, and where in the file a value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gemmi import cif

_WORD = re.compile(r"\S+")
_CLOSING_QUOTE = {"'": re.compile(r"'(?=\s|\Z)"), '"': re.compile(r'"(?=\s|\Z)')}
_RESERVED = re.compile(r"_|data_|save_|loop_\Z|stop_\Z|global_\Z", re.IGNORECASE)
_GEMMI_PLACE = re.compile(r"string:(\d+)(?::(\d+)\(\d+\))?:?\s*(.*)", re.DOTALL)


class CifSyntaxError(ValueError):
    """Text that is no CIF; the message names line and column."""


def read_document(text: str) -> cif.Document:
    """Read CIF; items and blocks of one name, and items without a value, do not matter.

    Raises:
        CifSyntaxError: If it is not CIF.
    """
    try:
        return cif.read_string(text, 0)
    except (RuntimeError, ValueError) as error:
        raise CifSyntaxError(_with_place(str(error))) from error


def values(block: cif.Block, tag: str) -> list[str]:
    """Give the values of an item, unquoted, as text; '' where it is null or not there."""
    return [
        "" if cif.is_null(value) else str(cif.as_string(value)) for value in block.find_values(tag)
    ]


def cut_table(text: str, category: str) -> str | None:
    """Cut the first loop of a category out of text whose rest is no CIF.

    Args:
        text: The file.
        category: With its underscore and dot, such as `_atom_site.`.

    Returns:
        A block of this loop alone, on the lines where it stood; None where there is no such loop.

    Raises:
        CifSyntaxError: If a row of it is not whole.
    """
    start = _loop_start(text, 0, category)
    if start is None:
        return None
    tags, cells = _loop(text, start)
    if not cells:
        return None
    if len(cells) % len(tags):
        line, count = _odd_line(text, cells, len(tags))
        raise CifSyntaxError(
            f"line {line}: {count} values stand there, and {category.rstrip('.')} has "
            f"{len(tags)} columns"
        )
    # The line breaks keep the numbers of the lines.
    return "\n" * text.count("\n", 0, start) + "data_cut " + text[start : cells[-1].end] + "\n"


def place_of(text: str, item: cif.Item, tag: str, row: int) -> tuple[int, int]:
    """Tell where a value stands.

    Args:
        text: The file.
        item: The item, or the loop that it is in.
        tag: Name of the item.
        row: 0-based row.

    Returns:
        Line and column, 1-based.
    """
    start = 0
    for _ in range(item.line_number - 1):
        start = text.index("\n", start) + 1
    if item.loop is None:
        tokens = _tokens(text, start)
        while next(tokens).word(text).lower() != tag.lower():
            pass
        found = next(tokens)
    else:
        tags, cells = _loop(text, _loop_start(text, start, tag.partition(".")[0] + ".") or 0)
        found = cells[row * len(tags) + tags.index(tag.lower())]
    return _line_of(text, found.start), found.start - text.rfind("\n", 0, found.start)


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    quoted: bool

    def word(self, text: str) -> str:
        """Give what may be a name; '' if it is quoted."""
        return "" if self.quoted else text[self.start : self.end]


def _tokens(text: str, start: int) -> Iterator[_Token]:
    """Split text as CIF does; a quote or field that never ends is read as words."""
    place, line_end = start, -1
    unclosed_until = {"'": 0, '"': 0}
    field_may_close = True
    while found := _WORD.search(text, place):
        at, place = found.span()
        first = text[at]
        quoted = False
        if at > line_end:
            line_end = text.find("\n", at)
            line_end = len(text) if line_end < 0 else line_end
        if first == "#":
            place = line_end
            continue
        if first == ";" and field_may_close and text[at - 1 : at] in ("", "\n"):
            close = text.find("\n;", at)
            field_may_close = quoted = close >= 0
            place = close + 2 if quoted else place
        elif first in unclosed_until and at >= unclosed_until[first]:
            # Where one quote is not closed, no other of its kind on that line is: a second look
            # would take the square of the line's length.
            closing = _CLOSING_QUOTE[first].search(text, at + 1, line_end)
            quoted = closing is not None
            unclosed_until[first] = line_end
            if closing is not None:
                unclosed_until[first], place = 0, closing.end()
        yield _Token(at, place, quoted)


def _loop(text: str, start: int) -> tuple[list[str], list[_Token]]:
    """Give the tags of the loop that starts there, in lower case, and its values."""
    tags: list[str] = []
    cells: list[_Token] = []
    tokens = _tokens(text, start)
    next(tokens)
    for token in tokens:
        word = token.word(text)
        if not cells and word.startswith("_"):
            tags.append(word.lower())
        elif _RESERVED.match(word):
            break
        else:
            cells.append(token)
    return tags, cells


def _odd_line(text: str, cells: list[_Token], width: int) -> tuple[int, int]:
    """Find the first line whose values are no whole rows, and how many values it has."""
    line, before, count = _line_of(text, cells[0].start), cells[0], 0
    for cell in cells:
        if breaks := text.count("\n", before.start, cell.start):
            if count % width:
                return line, count
            line, count = line + breaks, 0
        before, count = cell, count + 1
    return line, count


def _loop_start(text: str, start: int, category: str) -> int | None:
    pattern = re.compile(rf"(?<!\S)loop_\s+(?:#[^\n]*\n\s*)*(?={re.escape(category)})", re.I)
    found = pattern.search(text, start)
    return None if found is None else found.start()


def _line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _with_place(message: str) -> str:
    found = _GEMMI_PLACE.match(message)
    if found is None:
        return message
    column = f", column {int(found[2]) + 1}" if found[2] else ""
    return f"line {found[1]}{column}: {found[3]}"
