"""What is layout in a sequence as people write it: blanks, blocks, residue numbers, quotes.

What is left are the letters, line by line, so that a message can still name the line of each.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from itda.errors import InputError
from itda.language import Message

Line = tuple[int, str]
"""Number of a line, counted from 1, and what stands in it."""

LONGEST_BLOCK = 20
"""Letters of a word that is taken for a block of a sequence, and not for a sequence."""

WRAPS = range(30, 130, 10)
"""Lengths at which programs wrap lines; a page that joins lines leaves words of this length."""

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_BLANKS = dict.fromkeys(
    [*map(ord, "\u00a0\u1680\u202f\u205f\u3000\t\v\f"), *range(0x2000, 0x200B)], " "
)
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"), "-")
_TYPOGRAPHY = {**_INVISIBLE, **_BLANKS, **_WIDE, **_DASHES}
_QUOTES = "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb`"
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+[.)]?")
_NUMBER_BEFORE = re.compile(r"(\d+)(?=\D)")
_NUMBER_AFTER = re.compile(r"(?<=\D)(\d+)$")


@dataclass
class Laid:
    """The letters of a sequence, and what was taken out.

    Attributes:
        lines: As they came, without layout.
        changes: What was taken out, for people.
    """

    lines: list[Line]
    changes: list[str] = field(default_factory=list)


def plain(text: str) -> str:
    """Read what word processors write as what was typed.

    Blanks of every width become spaces, invisible characters go, letters of East Asian width and
    typographic dashes become those of ASCII.

    >>> plain("MQI\\u00a0F\\u200bV\\u2013\\uff2b")
    'MQI FV-K'
    """
    return text if text.isascii() else text.translate(_TYPOGRAPHY)


def without_layout(lines: Iterable[Line]) -> Laid:
    """Take out of a sequence what only lays it out.

    Blanks between blocks, numbers that stand by themselves at the ends of a line (as in GenPept,
    EMBL and UniProt) or that count the residues before them, and quotes around the whole.

    Args:
        lines: Each with its number, as they stand in the file.

    Raises:
        InputError: A line holds words that rather are sequences of their own.
    """
    laid = Laid([])
    numbered = blanks = typographic = quoted = False
    count = 0
    written = _unquoted(list(lines))
    for number, raw in written.lines:
        text = plain(raw)
        typographic = typographic or text != raw
        words = text.split()
        letters, removed = _without_numbers(words, count)
        _refuse_two_sequences(number, letters)
        numbered = numbered or removed
        blanks = blanks or len(letters) > 1
        joined = "".join(letters)
        if joined or not words:
            laid.lines.append((number, joined))
        count += len(joined.replace(":", ""))
    quoted = bool(written.changes)
    for changed, said in (
        (quoted, Message("quotes around the sequence removed")),
        (typographic, Message("characters of a word processor read as plain ones")),
        (numbered, Message("residue numbers removed")),
        (blanks, Message("spaces inside the sequence removed")),
    ):
        laid.changes += [said] if changed else []
    return laid


def is_numbered(text: str, count: int) -> bool:
    """Whether a line begins with the number of its first residue.

    Args:
        text: The line.
        count: Residues on the lines before it.

    >>> is_numbered("  61 yniqkestlh lvlrlrgg", 60)
    True
    """
    found = re.match(r"\s*(\d+)", plain(text))
    return found is not None and int(found[1]) == count + 1


def _unquoted(lines: Sequence[Line]) -> Laid:
    filled = [place for place, (_, text) in enumerate(lines) if text.strip()]
    if not filled:
        return Laid(list(lines))
    first, last = filled[0], filled[-1]
    start, end = lines[first][1].strip(), lines[last][1].strip()
    is_quoted = start[0] in _QUOTES and end[-1] in _QUOTES and (first != last or len(start) > 1)
    if not is_quoted:
        return Laid(list(lines))
    changed = list(lines)
    changed[first] = (lines[first][0], start[1:])
    changed[last] = (lines[last][0], changed[last][1].strip()[:-1])
    return Laid(changed, ["quotes"])


def _without_numbers(words: Sequence[str], count: int) -> tuple[list[str], bool]:
    """Return the words that are no residue numbers, and whether there were any."""
    kept = list(words)
    if not any(map(_DIGIT.search, words)):
        return kept, False
    while kept and _NUMBER.fullmatch(kept[0]):
        kept.pop(0)
    while kept and _NUMBER.fullmatch(kept[-1]):
        kept.pop()
    if kept and (found := _NUMBER_BEFORE.match(kept[0])) and int(found[1]) == count + 1:
        kept[0] = kept[0][found.end() :]
    inside: list[str] = []
    so_far = count
    for word in kept:
        if word.isdecimal() and int(word) in (so_far, so_far + 1):
            continue
        if (after := _NUMBER_AFTER.search(word)) and int(after[1]) == so_far + after.start():
            word = word[: after.start()]
        inside.append(word)
        so_far += len(word.replace(":", ""))
    return inside, inside != list(words)


def _refuse_two_sequences(number: int, words: Sequence[str]) -> None:
    pieces = [piece for word in words for piece in word.split(":") if piece]
    if len(words) < 2 or max(map(len, pieces), default=0) <= LONGEST_BLOCK:
        return
    if ":" in "".join(words):
        # `A : B`, or lines of a complex that a page joined: the colon parts what belongs apart.
        return
    *before, last = map(len, words)
    if len(set(before)) == 1 and before[0] in WRAPS and last <= before[0]:
        return
    listed = ", ".join(str(len(word)) for word in words[:4]) + (", …" if len(words) > 4 else "")
    raise InputError(
        Message(
            "line {number} holds {count} words of {listed} letters: one chain, or several?",
            number=number,
            count=len(words),
            listed=listed,
        ),
        hint=Message(
            "remove the spaces for one chain, put ':' between the chains of a complex, or "
            "give each sequence a line with '>' and a name above it"
        ),
    )


def refuse_blank_lines(lines: Sequence[Line]) -> bool:
    """Refuse a sequence in which a blank line may part two.

    A blank line after every line is double spacing; one before a line that begins with the number
    of its first residue parts nothing.

    Args:
        lines: Those that are not blank, with their numbers.

    Returns:
        Whether the lines are double spaced.

    Raises:
        InputError: It could be one sequence or two.
    """
    steps = [after[0] - before[0] for before, after in itertools.pairwise(lines)]
    if not any(step > 1 for step in steps):
        return False
    if len(steps) > 1 and len(set(steps)) == 1 and _is_wrapped([text for _, text in lines]):
        return True
    count = 0
    for (_, text), step, (following, after) in zip(lines, steps, lines[1:], strict=False):
        count += sum(character.isalpha() for character in text)
        if step > 1 and not is_numbered(after, count):
            raise InputError(
                Message(
                    "line {following} is blank, with {count} residues before it: does one "
                    "sequence go on after it, or does another begin?",
                    following=following - 1,
                    count=count,
                ),
                hint=Message(
                    "remove the blank line, or put '>' and a name above the second sequence; "
                    "the chains of a complex have ':' between them"
                ),
            )
    return False


def _is_wrapped(texts: Sequence[str]) -> bool:
    *before, last = [len(text.strip()) for text in texts]
    return len(set(before)) == 1 and last <= before[0]


def character_name(letter: str) -> str:
    """Name a character that may look like another one: its code and its Unicode name.

    >>> character_name("\\u0410")
    'U+0410 CYRILLIC CAPITAL LETTER A'
    """
    name = unicodedata.name(letter, "")
    return f"U+{ord(letter):04X} {name}".strip()
