"""What evolution puts at each position: the frequencies of the twenty residues in an alignment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from itda.chem.residues import RESTYPES
from itda.errors import InputError
from itda.features.group import Group, padding
from itda.job.letters import stands_for
from itda.language import Message


@dataclass(frozen=True)
class ProfileFeatures(Group):
    """A sequence profile, or the statement that there is none.

    Attributes:
        frequency: Residue frequencies in `RESTYPES` order; rows sum to 1, or are 0 where unknown.
        present: Whether the chain comes with a profile at all.
    """

    frequency: Float[Tensor, "batch token 20"] = field(metadata=padding(0.0))
    present: Bool[Tensor, "batch"] = field(metadata=padding(False))

    @staticmethod
    def absent(batch: int, tokens: int) -> ProfileFeatures:
        """Say that no chain of the batch has a profile."""
        return ProfileFeatures(torch.zeros(batch, tokens, 20), torch.zeros(batch, dtype=torch.bool))

    @staticmethod
    def from_array(frequency: Float[np.ndarray, "token 20"]) -> ProfileFeatures:
        """Make a batch of one."""
        return ProfileFeatures(torch.from_numpy(frequency).float()[None], torch.ones(1).bool())


def _is(written: str, letter: str) -> bool:
    """Whether a residue of a table is that of the sequence, as for alignments."""
    return len(written) == 1 and stands_for(written.upper(), letter)


def read_profile(path: Path, *, query: str) -> Float[np.ndarray, "token 20"]:
    """Read a profile table: a header that names the twenty residues, then one row a residue.

    Columns are parted by tabs, commas or blanks and may come in any order; a first column called
    `residue` must spell the query, rare letters as in alignments. Rows may be frequencies,
    percentages or counts and are brought to a sum of 1; a row of zeros means that nothing is known
    there.

    Args:
        path: The table.
        query: The sequence that it belongs to.

    Raises:
        InputError: The table cannot be read, a column or row is missing, or a value is no number
            or below 0.
    """
    try:
        lines = [
            line.replace(",", " ").split()
            for line in path.read_text(encoding="utf-8-sig").splitlines()
            if line.strip() and not line.startswith("#")
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            Message("{path}: cannot be read as a profile: {error}", path=path, error=error),
            hint=Message("give a text table"),
        ) from error
    header = lines[0] if lines else []
    missing = [letter for letter in RESTYPES if letter not in header]
    if missing:
        raise InputError(
            Message("{path}: the header has no column {missing}", path=path, missing=missing[0]),
            hint=Message(
                "the first line names the columns: {restypes}", restypes=" ".join(RESTYPES)
            ),
        )
    rows = lines[1:]
    if len(rows) != len(query):
        raise InputError(
            Message(
                "{path}: has {count} rows, the sequence {number_of_query} residues",
                path=path,
                count=len(rows),
                number_of_query=len(query),
            ),
            hint=Message("give one row a residue"),
        )
    columns = [header.index(letter) for letter in RESTYPES]
    table = np.zeros((len(query), 20), np.float32)
    for number, (row, letter) in enumerate(zip(rows, query, strict=True), start=1):
        where = Message("{path}: row {number}", path=path, number=number)
        if len(row) != len(header):
            raise InputError(
                Message(
                    "{where} has {count} columns, the header {number_of_header}",
                    where=where,
                    count=len(row),
                    number_of_header=len(header),
                )
            )
        if "residue" in header and not _is(row[header.index("residue")], letter):
            raise InputError(
                Message(
                    "{where} is for {row}, the sequence has {letter}",
                    where=where,
                    row=row[header.index("residue")],
                    letter=letter,
                ),
                hint=Message("give the profile of this sequence"),
            )
        try:
            table[number - 1] = [float(row[column]) for column in columns]
        except ValueError as error:
            raise InputError(Message("{where}: {error}", where=where, error=error)) from error
        if not np.isfinite(table[number - 1]).all() or (table[number - 1] < 0).any():
            raise InputError(
                Message("{where} holds a value below 0 or not finite", where=where),
                hint=Message("give frequencies; log-odds scores (PSSM) cannot be read as such"),
            )
    total = table.sum(1, keepdims=True)
    return table / np.where(total > 0, total, 1.0)
