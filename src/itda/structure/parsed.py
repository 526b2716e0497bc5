"""What each format is read into, before conformers are chosen and hydrogens left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Shaped

from itda.errors import InputError
from itda.language import Message


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself; empty or None where it says nothing.

    Attributes:
        entry_id: Entry name, such as `1UBQ`.
        title: Title.
        method: Experiment, as the PDB names it.
        resolution_angstrom: Highest resolution.
        release_date: ISO 8601.
    """

    entry_id: str = ""
    title: str = ""
    method: str = ""
    resolution_angstrom: float | None = None
    release_date: str = ""


@dataclass(frozen=True, eq=False)
class Parsed:
    """One model of a file, whole.

    Attributes:
        atoms: All its atoms.
        altlocs: Alternate location of each, '' for none.
        model_count: Models in the file.
        metadata: What the file says of itself.
        notes: What was chosen, or taken where the file tells nothing.
    """

    atoms: AtomArray
    altlocs: Shaped[np.ndarray, " atom"]
    model_count: int
    metadata: Metadata
    notes: tuple[str, ...]


def check_model(model: int, model_count: int, path: Path) -> None:
    """Refuse a model that the file does not have.

    Raises:
        InputError: If it has no such model.
    """
    if not 1 <= model <= model_count:
        raise InputError(
            Message(
                "{path}: has {model_count} models, no model {model}",
                path=path,
                model_count=model_count,
                model=model,
            ),
            hint=Message("models count from 1"),
        )


def default_note(
    what: str,
    default: str,
    blank: Bool[np.ndarray, " atom"],
    bad: Bool[np.ndarray, " atom"],
    example: str = "",
) -> tuple[str, ...]:
    """Say where a default stands, if it does."""
    notes = []
    for rows, why in ((blank, "is not told"), (bad, f"is no number{example}")):
        if rows.any():
            count = int(rows.sum())
            share = (
                Message("all atoms")
                if rows.all()
                else Message("{count} atom{value}", count=count, value="s" * (count > 1))
            )
            notes.append(
                Message(
                    "{what} of {share} {why}: {default} taken",
                    what=what,
                    share=share,
                    why=why,
                    default=default,
                )
            )
    return tuple(notes)
