"""Alignments in A3M: the query first, upper case and gaps in columns, lower case for insertions."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from itda.chem.residues import RESTYPE_INDEX, UNKNOWN_INDEX
from itda.errors import InputError

GAP_INDEX = 21
_GZIP_MAGIC = b"\x1f\x8b"
_INSERTION_LETTERS = str.maketrans("", "", "abcdefghijklmnopqrstuvwxyz.")


@dataclass(frozen=True)
class Alignment:
    """Sequences aligned to a query, which is row 0.

    Attributes:
        names: Header of each row, without `>`.
        rows: Residue types 0..19, 20 for unknown or ambiguous letters, 21 for a gap.
    """

    names: tuple[str, ...]
    rows: Int[np.ndarray, "row column"]

    def profile(self) -> Float[np.ndarray, "column 20"]:
        """Give residue frequencies with position-based weights (Henikoff and Henikoff 1994).

        A row's weight is the mean over its columns of 1 / (kinds of residue there x rows that
        share its residue). Gaps and unknown residues do not count; columns without any residue
        are 0.
        """
        length = self.rows.shape[1]
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


def read_a3m(path: Path, *, query: str) -> Alignment:
    """Read an A3M file, plain or gzip, and check it against the query.

    Args:
        path: The file; lines that begin with `#` are left out.
        query: The sequence that row 0 must be.

    Raises:
        InputError: The file cannot be read, is empty, holds a null byte or another character that
            is no residue, a row has another length, or row 0 is not the query.
    """
    names, sequences = _records(path)
    aligned = [sequence.translate(_INSERTION_LETTERS) for sequence in sequences]
    if aligned[0].replace("-", "") != query:
        raise InputError(
            f"{path}: row 1 ({names[0]}) is not the query: it has "
            f"{len(aligned[0].replace('-', ''))} residues, the query {len(query)}"
            f"{_first_difference(aligned[0], query)}",
            hint="the first sequence of an A3M file must be the one to fold, without gaps",
        )
    codes = np.full(256, 255, np.uint8)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        codes[ord(letter)] = RESTYPE_INDEX.get(letter, UNKNOWN_INDEX)
    codes[ord("-")] = GAP_INDEX
    rows = np.empty((len(aligned), len(query)), np.uint8)
    for number, (name, sequence) in enumerate(zip(names, aligned, strict=True), start=1):
        where = f"{path}: row {number} ({name[:40]})"
        if len(sequence) != len(query):
            raise InputError(
                f"{where} has {len(sequence)} columns, the query {len(query)}",
                hint="upper case and - fill columns, lower case is an insertion; aligned FASTA "
                "with gaps in the query must be turned into A3M first",
            )
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)
        rows[number - 1] = codes[letters]
        if (rows[number - 1] == 255).any():
            column = int(np.flatnonzero(rows[number - 1] == 255)[0])
            raise InputError(
                f"{where} has {sequence[column]!r} in column {column + 1}",
                hint="residues are letters, gaps are -",
            )
    return Alignment(tuple(names), rows)


def _records(path: Path) -> tuple[list[str], list[str]]:
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as an alignment: {error}", hint="give an A3M file"
        ) from error
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise InputError(
            f"{path}: line {number} holds a null byte",
            hint="some servers end each alignment with one; remove it",
        )
    names: list[str] = []
    parts: list[list[str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(">"):
            names.append(line[1:].strip())
            parts.append([])
        elif line.strip() and not line.startswith("#"):
            if not names:
                raise InputError(
                    f"{path}: line {number} stands before the first '>'",
                    hint="give an A3M file",
                )
            parts[-1].append(line.strip())
    if not names:
        raise InputError(f"{path}: holds no sequence", hint="give an A3M file")
    return names, ["".join(part) for part in parts]


def _first_difference(row: str, query: str) -> str:
    for position, (found, wanted) in enumerate(zip(row.replace("-", ""), query, strict=False), 1):
        if found != wanted:
            return f"; position {position} is {found}, not {wanted}"
    return ""
