"""Sequences in three-letter code: `Met-Gln-Ile`, `MET GLN ILE`, `MetGlnIle`."""

from __future__ import annotations

import re

from itda.chem.residues import RESTYPE_3_TO_1
from itda.errors import InputError
from itda.language import Message

_CODES = {**RESTYPE_3_TO_1, "XAA": "X", "ASX": "B", "GLX": "Z", "XLE": "J", "SEC": "U", "PYL": "O"}
_JOINED = re.compile(r"(?:[A-Z][a-z]{2})+")
_PARTED = re.compile(r"[A-Za-z]{3}(?:[\s,;.\u00b7-]+[A-Za-z]{3})+")
_PARTS = re.compile(r"[\s,;.\u00b7-]+")
_FEWEST_OF_ONE_CASE = 5
_FEWEST_KINDS = 4


def from_three_letters(text: str) -> str | None:
    """Read a sequence in three-letter code; None where it is none.

    It is known by capitals (`MetGln`), or by what parts the codes; one residue of four may be none
    of the standard ones, to be named.

    Args:
        text: One chain, lines joined by blanks, residue numbers allowed.

    Raises:
        InputError: A residue has no letter, and it is named.

    >>> from_three_letters("Met-Gln-Ile"), from_three_letters("METQIF")
    ('MQI', None)
    """
    bare = " ".join(word for word in text.split() if not word.isdecimal()).strip(" -")
    if _JOINED.fullmatch(bare.replace(" ", "")) and len(bare.replace(" ", "")) > 3:
        joined = bare.replace(" ", "")
        codes = [joined[place : place + 3] for place in range(0, len(joined), 3)]
    elif _PARTED.fullmatch(bare):
        codes = _PARTS.split(bare)
    else:
        return None
    known = [_CODES.get(code.upper()) for code in codes]
    if sum(letter is not None for letter in known) * 4 < len(codes) * 3:
        return None
    for place, (code, letter) in enumerate(zip(codes, known, strict=True), start=1):
        if letter is None:
            raise InputError(
                Message(
                    "{code} at residue {place} of a sequence in three-letter code is no "
                    "standard residue",
                    code=code,
                    place=place,
                ),
                hint=Message(
                    "give the residue that it derives from, and the modified one under "
                    "`modifications` in a YAML job"
                ),
            )
    return "".join(letter for letter in known if letter)


def looks_like_three_letters(sequence: str) -> bool:
    """Whether letters of one case are rather three-letter code than one-letter code.

    >>> looks_like_three_letters("METGLNILEPHEVAL"), looks_like_three_letters("ALAALAALAALAALA")
    (True, False)
    """
    codes = [sequence[place : place + 3] for place in range(0, len(sequence), 3)]
    return (
        len(codes) >= _FEWEST_OF_ONE_CASE
        and len(set(codes)) >= _FEWEST_KINDS
        and all(code in _CODES for code in codes)
    )
