"""One-letter sequences: which letters are kept, which are refused, and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from itda.chem.residues import RESTYPES
from itda.errors import InputError
from itda.job.layout import character_name, plain
from itda.job.problems import shown
from itda.job.three_letters import looks_like_three_letters
from itda.language import Message, joined

Ambiguous = Literal["refuse", "x"]
"""Ambiguous and rare letters are refused, or read as unknown (X; N in DNA and RNA)."""

NUCLEOTIDE_GUESS_LENGTH = 10
"""A protein of at least so many letters that are all A, C, G, T, U or N is taken for DNA or RNA."""

CODED_GUESS_LENGTH = 15
"""The same with letters that stand for several bases."""

LEAST_SHARE_OF_BASES = 0.7
"""Of the letters of DNA or RNA in which some stand for several bases."""

_SHOWN_PLACES = 5


@dataclass(frozen=True)
class Alphabet:
    """The letters of one kind of polymer.

    Attributes:
        molecule: "protein", "dna" or "rna".
        standard: Letters that are kept as they are.
        unknown: The letter of a residue of unknown type; kept as it is.
        ambiguous: Letters refused unless they may be read as unknown; for each, what it is and what
            would work.
        foreign: Letters always refused, in the same way.
    """

    molecule: str
    standard: str
    unknown: str
    ambiguous: Mapping[str, tuple[str, str]]
    foreign: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def accepts(self, sequence: str) -> bool:
        """Whether every letter stands for a residue as it is."""
        return bool(re.fullmatch(f"[{self.standard}{self.unknown}]+", sequence))


_IUPAC_BASES = {
    letter: (Message("any of {meaning}", meaning=meaning), Message("write the base that is meant"))
    for letter, meaning in {
        "R": Message("A and G"),
        "Y": Message("C and T"),
        "S": Message("G and C"),
        "W": Message("A and T"),
        "K": Message("G and T"),
        "M": Message("A and C"),
        "B": Message("C, G and T"),
        "D": Message("A, G and T"),
        "H": Message("A, C and T"),
        "V": Message("A, C and G"),
    }.items()
}

PROTEIN = Alphabet(
    "protein",
    RESTYPES,
    "X",
    ambiguous={
        "B": (Message("aspartate or asparagine"), Message("write D or N")),
        "Z": (Message("glutamate or glutamine"), Message("write E or Q")),
        "J": (Message("leucine or isoleucine"), Message("write L or I")),
        "U": (
            Message("selenocysteine"),
            Message("in a YAML job write C there with the modification SEC"),
        ),
        "O": (
            Message("pyrrolysine"),
            Message("in a YAML job write K there with the modification PYL"),
        ),
    },
)
DNA = Alphabet(
    "dna",
    "ACGT",
    "N",
    ambiguous=_IUPAC_BASES,
    foreign={"U": (Message("uracil, which is RNA"), Message("give the chain as rna, or write T"))},
)
RNA = Alphabet(
    "rna",
    "ACGU",
    "N",
    ambiguous=_IUPAC_BASES,
    foreign={"T": (Message("thymine, which is DNA"), Message("give the chain as dna, or write U"))},
)
ALPHABETS: Mapping[str, Alphabet] = {a.molecule: a for a in (PROTEIN, DNA, RNA)}

RARE_FORMS = {"B": "DN", "Z": "EQ", "J": "LI", "U": "C", "O": "K", "*": ""}
"""What rare and ambiguous letters of proteins may stand for; U and O for what they derive from."""

_GAP = (
    Message("a gap"),
    Message(
        "remove gaps; an alignment is given with {--msa}, or as an input that ends with "
        ".a3m, .sto or .afa"
    ),
)
_SYMBOLS = {
    "-": _GAP,
    ".": _GAP,
    "~": _GAP,
    "_": _GAP,
    "*": (
        Message("a stop inside the sequence"),
        Message("fold the part before it, or each part by itself"),
    ),
    ":": (
        Message("a chain break"),
        Message("write chains as A:B in FASTA, or as one entity each in YAML"),
    ),
    "/": (
        Message("a chain break or a path"),
        Message("write chains as A:B in FASTA, or as one entity each in YAML"),
    ),
    "(": (
        Message("a bracket"),
        Message("list modified residues under `modifications` in a YAML job"),
    ),
    "[": (
        Message("a bracket"),
        Message("list modified residues under `modifications` in a YAML job"),
    ),
    ">": (Message("the mark of a header"), Message("begin each record on a line of its own")),
}
_DIGIT = (Message("a digit"), Message("remove residue numbers from the sequence"))
_OTHER = (Message("not a letter"), Message("write one letter for each residue"))

_PATH = re.compile(
    r"(~|\.{1,2})?/.*[\w.-]|[A-Za-z]:\\.*"
    r"|\S*\.(fa|faa|fas|fasta|fna|a3m|sto|pdb|cif|mmcif|bcif|ent|ya?ml|json|txt|gz|npz)",
    re.IGNORECASE,
)


def looks_like_path(text: str) -> bool:
    """Whether a text that should be a sequence is rather the name of a file.

    >>> looks_like_path("./ubiquitin.fasta"), looks_like_path("MQIFVK")
    (True, False)
    """
    return bool(_PATH.fullmatch(text.strip()))


def looks_like_nucleotides(sequence: str) -> bool:
    """Whether an upper-case sequence is rather DNA or RNA than protein.

    Letters of IUPAC for several bases may be among 15 or more, where all four bases are there and
    are seven of ten: proteins have two or three of ten.

    >>> looks_like_nucleotides("ACGTACGTAC"), looks_like_nucleotides("GAGA")
    (True, False)
    >>> looks_like_nucleotides("GTGCCAGCMGCCGCGGTAACRTACG"), looks_like_nucleotides("GAGAGSGAGAGS")
    (True, False)
    """
    if len(sequence) < NUCLEOTIDE_GUESS_LENGTH:
        return False
    if re.fullmatch("[ACGTUN]+", sequence):
        return True
    bases = sum(map(sequence.count, "ACGTUN"))
    return (
        len(sequence) >= CODED_GUESS_LENGTH
        and bool(re.fullmatch(f"[ACGTUN{''.join(_IUPAC_BASES)}]+", sequence))
        and all(base in sequence for base in "ACG")
        and ("T" in sequence or "U" in sequence)
        and bases >= LEAST_SHARE_OF_BASES * len(sequence)
    )


def stands_for(letter: str, other: str) -> bool:
    """Whether two letters of proteins may be one residue, written in two ways.

    X may be anything, B is D or N, U is C (from which selenocysteine derives), and so on.

    >>> stands_for("U", "X"), stands_for("U", "C"), stands_for("K", "R")
    (True, True, False)
    """
    return (
        letter == other
        or "X" in (letter, other)
        or other in RARE_FORMS.get(letter, "")
        or letter in RARE_FORMS.get(other, "")
    )


def without_end(sequence: str) -> str:
    """A sequence without the stop (`*`) at its end."""
    return sequence.rstrip("*")


def _nothing(index: int) -> str:
    return ""


def clean_sequence(
    text: str,
    molecule: str,
    *,
    ambiguous: Ambiguous = "refuse",
    guess: bool = True,
    locate: Callable[[int], str] = _nothing,
) -> tuple[str, list[str]]:
    """Read a sequence as it was typed; whatever changes is said, whatever cannot be is refused.

    Lower case becomes upper case and `*` at the end is removed, each with a warning. X (N in DNA
    and RNA) is kept. Ambiguous and rare letters are refused, or read as unknown with a warning
    where `ambiguous` is "x". Anything else is refused.

    Args:
        text: The sequence, without line breaks.
        molecule: "protein", "dna" or "rna".
        ambiguous: What happens to ambiguous and rare letters.
        guess: Refuse a protein that looks like DNA or RNA.
        locate: What to add to the position of a letter, such as " (line 3)", from its 0-based
            index.

    Returns:
        The sequence and what changed.

    Raises:
        InputError: A letter, or the whole, is not a sequence of this molecule.

    >>> clean_sequence("mqifvk*", "protein")[0]
    'MQIFVK'
    """
    alphabet = ALPHABETS[molecule]
    warnings: list[str] = []
    if looks_like_path(text):
        raise InputError(
            Message("{text} is a path where a sequence belongs", text=shown(text)),
            hint=Message("write the letters of the sequence, or give that file as the input"),
        )
    sequence = plain(text)
    if sequence.isascii() and sequence != sequence.upper():
        sequence = sequence.upper()
        warnings.append(Message("lower case read as upper case"))
    if sequence.endswith("*"):
        sequence = without_end(sequence)
        warnings.append(Message("'*' (stop) at the end removed"))
    if not sequence:
        raise InputError(
            Message("the sequence is empty"), hint=Message("give at least one residue")
        )
    if molecule == "protein" and guess and looks_like_nucleotides(sequence):
        kind = "rna" if "U" in sequence and "T" not in sequence else "dna"
        several = (
            Message(" with letters for several bases") if set(sequence) - set("ACGTUN") else ""
        )
        raise InputError(
            Message(
                "the sequence has only the letters {sequence:,}: it looks like "
                "{kind}{several}, not protein",
                sequence=sorted(set(sequence)),
                kind=kind.upper(),
                several=several,
            ),
            hint=Message(
                "give it as {kind} ({--molecule:{kind}}, or a `{kind}` entity in a YAML "
                "job); if it is protein, say {--molecule:protein}",
                kind=kind,
            ),
        )
    if molecule == "protein" and guess and looks_like_three_letters(sequence):
        raise InputError(
            Message(
                "the sequence ({sequence}…) looks like three-letter code", sequence=sequence[:15]
            ),
            hint=Message(
                "write {sequence}-{sequence_2}-…, or one letter for each residue; if each "
                "letter is a residue, say {--molecule:protein}",
                sequence=sequence[:3],
                sequence_2=sequence[3:6],
            ),
        )
    if not alphabet.accepts(sequence):
        sequence = _mend(sequence, alphabet, ambiguous, locate, warnings)
    return sequence, warnings


def _mend(
    sequence: str,
    alphabet: Alphabet,
    ambiguous: Ambiguous,
    locate: Callable[[int], str],
    warnings: list[str],
) -> str:
    places: dict[str, list[int]] = {}
    for match in re.finditer(f"[^{alphabet.standard}{alphabet.unknown}]", sequence):
        places.setdefault(match.group(), []).append(match.start())
    for letter, indices in places.items():
        if letter not in alphabet.ambiguous:
            meaning, remedy = alphabet.foreign.get(letter) or _symbol(letter)
            raise InputError(
                Message(
                    "{letter} at {indices} is {meaning}",
                    letter=_written(letter),
                    indices=_places(indices[:1], locate),
                    meaning=meaning,
                ),
                hint=remedy,
            )
    if ambiguous == "refuse":
        found, remedies = [], []
        for letter, indices in places.items():
            meaning, remedy = alphabet.ambiguous[letter]
            found.append(
                Message(
                    "{letter} at {indices} is {meaning}",
                    letter=letter,
                    indices=_places(indices, locate),
                    meaning=meaning,
                )
            )
            remedies.append(
                remedy
                if len(places) == 1
                else Message("{remedy} (for {letter})", remedy=remedy, letter=letter)
            )
        raise InputError(
            joined(found, ";"),
            hint=Message(
                "{remedies:,}; or pass {--ambiguous:x} to read such letters as unknown ({unknown})",
                remedies=remedies,
                unknown=alphabet.unknown,
            ),
        )
    for letter, indices in places.items():
        sequence = sequence.replace(letter, alphabet.unknown)
        warnings.append(
            Message(
                "{letter} read as {unknown} at {indices}",
                letter=letter,
                unknown=alphabet.unknown,
                indices=_places(indices, locate),
            )
        )
    return sequence


def _symbol(letter: str) -> tuple[str, str]:
    if letter in _SYMBOLS:
        return _SYMBOLS[letter]
    return _DIGIT if letter.isdigit() else _OTHER


def _written(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        return Message("byte 0x{code:02X}, not UTF-8,", code=code - 0xDC00)
    if letter.isascii() and letter.isprintable():
        return f"'{letter}'"
    return f"'{letter}' ({character_name(letter)})" if letter.isprintable() else f"U+{code:04X}"


def _places(indices: list[int], locate: Callable[[int], str]) -> str:
    listed = [
        Message("{place}{line}", place=index + 1, line=locate(index))
        for index in indices[:_SHOWN_PLACES]
    ]
    more = len(indices) - _SHOWN_PLACES
    noun = Message("position") if len(indices) == 1 else Message("positions")
    return (
        Message("{noun} {listed:,} and {more} more", noun=noun, listed=listed, more=more)
        if more > 0
        else Message("{noun} {listed:,}", noun=noun, listed=listed)
    )
