"""Sequences without a FASTA header: bare letters, blocks of ten with numbers, GenPept, UniProt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from itda.errors import InputError
from itda.job.fasta import FastaRecord
from itda.job.layout import LONGEST_BLOCK, WRAPS, Line, plain, refuse_blank_lines
from itda.job.three_letters import from_three_letters
from itda.language import Message

_FEWEST_LETTERS = 10
_LINES_SEEN = 200
_WORD = re.compile(r"[A-Za-z*:.\u2010-\u2015-]+")
_NUMBER = re.compile(r"\d+[.)]?")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_ORIGIN = "ORIGIN"
_END = "//"
FLAT_FILE = re.compile(r"(LOCUS {2,}|ID {3})\S")


def looks_like_sequences(head: str) -> bool:
    """Whether a text without a header is sequences, not prose or another format.

    Each line has one word of letters, or blocks of one length, and numbers at most beside them.

    >>> looks_like_sequences("        1 mqifvktltg ktitlevep"), looks_like_sequences("Dear reader,")
    (True, False)
    """
    lines = [line for line in map(plain, head.splitlines()[:_LINES_SEEN]) if line.strip()]
    if lines and lines[0].split()[0] == _ORIGIN:
        lines = lines[1:]
    lines = [line for line in lines if line.strip() != _END]
    letters = sum(character.isalpha() for line in lines for character in line)
    return letters >= _FEWEST_LETTERS and all(map(_is_sequence_line, lines))


def _is_sequence_line(line: str) -> bool:
    words = [word for word in line.strip(_QUOTES + " ").split() if not _NUMBER.fullmatch(word)]
    if not words:
        return True
    if from_three_letters(line) is not None:
        return True
    words[0] = words[0].lstrip("0123456789")
    words[-1] = words[-1].rstrip("0123456789")
    if not all(map(_WORD.fullmatch, words)):
        return False
    *before, last = map(len, words)
    return len(set(before)) <= 1 and (not before or (before[0] >= 5 and last <= before[0]))


def plain_records(
    lines: Iterable[str], stem: str, *, prefix: str | None = None
) -> Iterator[FastaRecord]:
    """Read sequences that have no header; a blank line parts two of them.

    Args:
        lines: Of the text.
        stem: One record is called so, several STEM_1, STEM_2, ….
        prefix: Where it is given, records are called PREFIX_1, PREFIX_2, … in any case.

    Raises:
        InputError: Lines could be one sequence or several.
    """
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if numbered and numbered[0][1].split()[0] == _ORIGIN:
        numbered = numbered[1:]
    numbered = [(number, line) for number, line in numbered if line.strip() != _END]
    groups = _sequences(numbered)
    for index, group in enumerate(groups, 1):
        _refuse_list(group)
        name = stem if len(groups) == 1 and prefix is None else f"{prefix or stem}_{index}"
        said: list[str] = [Message("a sequence without a header, called {name}", name=name)]
        if len(groups) > 1:
            said.append(
                Message(
                    "one of {count} sequences parted by blank lines; chains of one complex "
                    "have ':' between them",
                    count=len(groups),
                )
            )
        yield FastaRecord(index, group[0][0], "", group, label=name, notes=said)


def _sequences(lines: list[Line]) -> list[list[Line]]:
    try:
        refuse_blank_lines(lines)
    except InputError:
        groups = [[lines[0]]]
        for line in lines[1:]:
            if line[0] - groups[-1][-1][0] > 1:
                groups.append([])
            groups[-1].append(line)
        # Whole lines before the blank one may go on after it: a question, when the record is read.
        return [lines] if all(map(_ends_full, groups[:-1])) else groups
    return [lines]


def _ends_full(group: Sequence[Line]) -> bool:
    widths = {len(text.strip()) for _, text in group}
    return len(widths) == 1 and widths.pop() in WRAPS


def _refuse_list(lines: Sequence[Line]) -> None:
    """Refuse lines that are rather sequences of their own, one a line."""
    widths = [len(text.strip()) for _, text in lines]
    if len(lines) < 2 or max(widths) <= LONGEST_BLOCK:
        return
    if any(character.isdecimal() or character in " \t:" for _, text in lines for character in text):
        return
    *before, last = widths
    if len(set(before)) == 1 and before[0] in WRAPS and last <= before[0]:
        return
    listed = ", ".join(map(str, widths[:4])) + (", …" if len(widths) > 4 else "")
    raise InputError(
        Message(
            "{count} lines of {listed} letters from line {lines} on: one sequence, or one a line?",
            count=len(lines),
            listed=listed,
            lines=lines[0][0],
        ),
        hint=Message("put a line with '>' and a name above each sequence"),
    )


def flat_records(lines: Iterable[str]) -> Iterator[FastaRecord]:
    """Read entries of GenBank, GenPept, EMBL or UniProt text: name, description, sequence.

    Feature tables, references and comments are no part of the sequence and are left out.
    """
    record: FastaRecord | None = None
    index, inside = 0, False
    for number, line in enumerate(lines, 1):
        if FLAT_FILE.match(line) and not inside:
            index += 1
            name = line.split()[1].rstrip(";")
            record = FastaRecord(
                index, number, name, label=name, notes=[Message("an entry of a flat file")]
            )
        elif record is None:
            if line.strip():
                raise InputError(
                    Message("line {number} stands before the first entry", number=number),
                    hint=Message("begin with LOCUS or ID"),
                )
        elif line.startswith(_END):
            yield record
            record, inside = None, False
        elif inside:
            if line.strip():
                record.parts.append((number, line))
        elif line.startswith((_ORIGIN, "SQ   ")):
            inside = True
        elif line.startswith(("DEFINITION ", "DE   ")) and record.header == record.label:
            record.header += " " + line.split(maxsplit=1)[1].strip()
    if record is not None:
        yield record
