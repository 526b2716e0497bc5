"""Alignments as values: relatives of a query laid over its residues, as A3M keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, UInt8

from itda.chem.residues import RESTYPE_INDEX, RESTYPES, UNKNOWN_INDEX
from itda.errors import InputError
from itda.language import Message
from itda.search.alignments.taxonomy import species_of

GAP_INDEX = 21
ROW_LETTERS = RESTYPES + "X-AGCUACGTN"
"""Letter of each row value: amino acids, unknown, gap; bases of RNA and of DNA, unknown."""

Molecule = Literal["protein", "rna"]
RNA_BASES = "AGCU"
FIRST_RNA_INDEX = 22
UNKNOWN_BASE_INDEX = 30
"""Rows of RNA go on behind the gap, in the numbers of AlphaFold 3: 26 to 29 are those of DNA."""

LOWER_CASE = "abcdefghijklmnopqrstuvwxyz"
_NO_INSERTIONS = str.maketrans("", "", LOWER_CASE)
_NO_RESIDUE = 255
_CODES = np.full(256, _NO_RESIDUE, np.uint8)
for _letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ*":
    _CODES[ord(_letter)] = RESTYPE_INDEX.get(_letter, UNKNOWN_INDEX)
_CODES[ord("-")] = GAP_INDEX
_RNA_CODES = np.full(256, _NO_RESIDUE, np.uint8)
for _letter in "RYSWKMBDHVNX*":
    _RNA_CODES[ord(_letter)] = UNKNOWN_BASE_INDEX
for _index, _letter in enumerate(RNA_BASES):
    _RNA_CODES[ord(_letter)] = FIRST_RNA_INDEX + _index
_RNA_CODES[ord("T")] = _RNA_CODES[ord("U")]
_RNA_CODES[ord("-")] = GAP_INDEX
_CODES_OF: Mapping[Molecule, UInt8[np.ndarray, "256"]] = {"protein": _CODES, "rna": _RNA_CODES}


@dataclass(frozen=True, eq=False)
class Alignment:
    """Sequences aligned to a query, which is row 0.

    What is left out of the constructor is made from the rest: `texts` from `rows`, `species` from
    `names`, `source` empty. Two alignments are equal where names, texts, source and species are.

    Attributes:
        names: Header of each row, without `>`; names may repeat.
        rows: Residue types 0..19, 20 for unknown or ambiguous letters (B J O U X Z *), 21 for a
            gap; of RNA A, G, C, U as 22..25 and 30 for other letters.
        texts: Each row as A3M writes it: upper case and `-` fill columns, lower case stands for
            residues inserted before the next column. Keeps the letters that `rows` cannot tell
            apart.
        source: Database or file of each row; empty where unknown.
        species: Taxonomy id or UniProt mnemonic of each row, see the module `taxonomy`; empty where
            unknown.
        notes: What was changed or left out when it was read, for people.
        molecule: What is aligned.
    """

    names: tuple[str, ...]
    rows: Int[np.ndarray, "row column"]
    texts: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    species: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    molecule: Molecule = "protein"

    def __post_init__(self) -> None:
        count = len(self.names)
        rows = np.asarray(self.rows, np.uint8)
        object.__setattr__(self, "rows", rows)
        if not self.texts:
            letters = np.frombuffer(ROW_LETTERS.encode(), np.uint8)
            object.__setattr__(
                self, "texts", tuple(letters[row].tobytes().decode() for row in rows)
            )
        if not self.source:
            object.__setattr__(self, "source", ("",) * count)
        if not self.species:
            object.__setattr__(self, "species", tuple(species_of(name) for name in self.names))
        assert count == len(rows) == len(self.texts) == len(self.source) == len(self.species)

    @classmethod
    def from_aligned(
        cls,
        query: str,
        names: Sequence[str] = (),
        a3m_rows: Sequence[str] = (),
        source: str = "",
        *,
        query_name: str = "query",
        where: str = "the alignment",
    ) -> Alignment:
        """Make an alignment of a query and what was aligned to it.

        Args:
            query: One-letter sequence; it becomes row 0 under `query_name`, unless the first of
                `a3m_rows` is the query itself.
            names: Header of each further row.
            a3m_rows: Each row in A3M; dots are left out.
            source: Database or file that they come from; the query has none.
            query_name: Header of row 0.
            where: What to call the alignment in an error.

        Raises:
            InputError: A row has another number of columns than the query, or holds a character
                that is no residue.
        """
        texts = [row.replace(".", "") for row in a3m_rows]
        headers = list(names)
        sources = [source] * len(texts)
        if not texts or texts[0] != query:
            texts.insert(0, query)
            headers.insert(0, query_name)
            sources.insert(0, "")
        else:
            sources[0] = ""
        rows = encode_rows(texts, headers, length=len(query), where=where)
        return cls(tuple(headers), rows, tuple(texts), tuple(sources))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Alignment)
            and self.molecule == other.molecule
            and self._content() == other._content()
        )

    def __hash__(self) -> int:
        return hash(self._content())

    @property
    def length(self) -> int:
        """Number of columns, which is the number of residues of the query."""
        return int(self.rows.shape[1])

    @property
    def query(self) -> str:
        """The residues of row 0 that fill columns, one letter each."""
        return self.texts[0].translate(_NO_INSERTIONS)

    @cached_property
    def deletions(self) -> Int32[np.ndarray, "row column"]:
        """How many residues each row has between a column and the one before it.

        AlphaFold's deletion matrix; residues after the last column are not counted.
        """
        counts = np.zeros(self.rows.shape, np.int32)
        for number, text in enumerate(self.texts):
            if len(text) == self.length:
                continue
            letters = np.frombuffer(text.encode("ascii"), np.uint8)
            places = np.flatnonzero(letters < ord("a"))
            counts[number] = np.diff(places, prepend=-1) - 1
        return counts

    @property
    def is_residue(self) -> Bool[np.ndarray, "row column"]:
        """True where a row has a residue, of known type or not."""
        return np.asarray(self.rows != GAP_INDEX)

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the SHA-256 of `to_a3m()`, so that of the file it is written to."""
        return f"sha256:{hashlib.sha256(self.to_a3m().encode()).hexdigest()}"

    def to_a3m(self) -> str:
        """Return the alignment as A3M, one line a row, with all insertions."""
        return "".join(
            f">{name}\n{text}\n" for name, text in zip(self.names, self.texts, strict=True)
        )

    def select(self, rows: Iterable[int]) -> Alignment:
        """Return the rows of the given indices, in the given order; the first is the new query."""
        kept = [int(row) for row in rows]
        names, texts, source, species = (
            tuple(field[row] for row in kept) for field in self._content()
        )
        return Alignment(names, self.rows[kept], texts, source, species, molecule=self.molecule)

    def with_source(self, source: str) -> Alignment:
        """Return the alignment with all rows but the query said to come from `source`."""
        sources = ("", *(source,) * (len(self) - 1))
        return replace(self, source=sources, notes=())

    def profile(self) -> Float[np.ndarray, "column 20"]:
        """Give residue frequencies with position-based weights (Henikoff and Henikoff 1994).

        A row's weight is the mean over its columns of 1 / (kinds of residue there x rows that
        share its residue). Gaps and unknown residues do not count; columns without any residue
        are 0. Of proteins; bases are no residues to it.
        """
        length = self.length
        counts = np.stack([(self.rows == kind).sum(0) for kind in range(20)], axis=1)
        kinds = (counts > 0).sum(1)
        is_residue = self.rows < UNKNOWN_INDEX
        column = np.broadcast_to(np.arange(length), self.rows.shape)
        shared = counts[column, np.where(is_residue, self.rows, 0)]
        share = np.where(is_residue, 1.0 / np.maximum(kinds[None] * shared, 1), 0.0)
        weights = share.sum(1) / np.maximum(is_residue.sum(1), 1)
        weighted = np.stack(
            [((self.rows == kind) * weights[:, None]).sum(0) for kind in range(20)], axis=1
        )
        total = weighted.sum(1, keepdims=True)
        return (weighted / np.where(total > 0, total, 1.0)).astype(np.float32)

    def _content(self) -> tuple[tuple[str, ...], ...]:
        return self.names, self.texts, self.source, self.species


def merge(alignments: Sequence[Alignment], *, deduplicate: bool = True) -> Alignment:
    """Put the rows of alignments of one query under each other, the query once.

    Args:
        alignments: At least one; their queries are the same.
        deduplicate: Whether rows that agree in every column are kept only where they come first;
            insertions are not compared (as AlphaFold 3 does when it merges searches).

    Raises:
        InputError: The queries differ.
    """
    first = alignments[0]
    for number, other in enumerate(alignments[1:], start=2):
        if other.query != first.query:
            raise InputError(
                Message(
                    "alignment {number} is of another query than alignment 1: {length} "
                    "residues beside {first_length}{query}",
                    number=number,
                    length=other.length,
                    first_length=first.length,
                    query=first_difference(other.query, first.query),
                ),
                hint=Message("merge only what was searched with one query"),
            )
    seen = {first.query}
    names, texts, source, species = ([*field[:1]] for field in first._content())
    rows = [first.rows[:1]]
    for alignment in alignments:
        kept = list(_unseen(alignment, seen)) if deduplicate else list(range(1, len(alignment)))
        rows.append(alignment.rows[kept])
        for into, field in zip((names, texts, source, species), alignment._content(), strict=True):
            into.extend(field[row] for row in kept)
    return Alignment(
        tuple(names),
        np.concatenate(rows),
        tuple(texts),
        tuple(source),
        tuple(species),
        molecule=first.molecule,
    )


def encode_rows(
    texts: Sequence[str],
    names: Sequence[str],
    *,
    length: int,
    where: str,
    molecule: Molecule = "protein",
) -> UInt8[np.ndarray, "row column"]:
    """Turn rows of A3M into residue types.

    Args:
        texts: Rows without dots.
        names: Their headers, for the errors.
        length: Columns that each must have.
        where: File or other source, for the errors.
        molecule: Whose letters they are.

    Raises:
        InputError: A row has another number of columns, or a character that is no residue.
    """
    rows = np.empty((len(texts), length), np.uint8)
    for number, (name, text) in enumerate(zip(names, texts, strict=True), start=1):
        row = Message("{where}: row {number} ({name})", where=where, number=number, name=name[:40])
        columns = text.translate(_NO_INSERTIONS)
        if len(columns) != length:
            raise InputError(
                Message(
                    "{row} has {count} columns, the query {length}{text}",
                    row=row,
                    count=len(columns),
                    length=length,
                    text=_said_of_case(text, columns, length),
                ),
                hint=Message(
                    "upper case and - fill columns, lower case is an insertion; an aligned "
                    "FASTA file must be upper case with rows of one length"
                ),
            )
        codes = _CODES_OF[molecule][np.frombuffer(columns.encode("latin-1", "replace"), np.uint8)]
        if (codes == _NO_RESIDUE).any():
            column = int(np.flatnonzero(codes == _NO_RESIDUE)[0])
            raise InputError(
                Message(
                    "{row} has {columns!r} in column {column}",
                    row=row,
                    columns=columns[column],
                    column=column + 1,
                ),
                hint=Message("residues are letters, gaps are -")
                if molecule == "protein"
                else Message(
                    "letters of RNA are A, C, G, U (or T), and those of several bases; gaps are -"
                ),
            )
        rows[number - 1] = codes
    return rows


def first_difference(found: str, wanted: str) -> str:
    """Say where two sequences begin to differ; nothing where one starts with the other."""
    for position, (one, other) in enumerate(zip(found, wanted, strict=False), start=1):
        if one != other:
            return f"; position {position} is {one}, not {other}"
    return ""


def _unseen(alignment: Alignment, seen: set[str]) -> Iterator[int]:
    for row, text in enumerate(alignment.texts):
        columns = text.translate(_NO_INSERTIONS)
        if row and columns not in seen:
            seen.add(columns)
            yield row


def _said_of_case(text: str, columns: str, length: int) -> str:
    lower = len(text) - len(columns)
    return f" (and {lower} lower-case letters)" if lower and len(text) >= length else ""
