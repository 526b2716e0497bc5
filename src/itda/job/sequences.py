"""From one text to the chains it stands for: `A:B` is two chains, `A:A` two copies of one."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from itda.errors import InputError
from itda.job.entities import Dna, Polymer, Protein, Rna
from itda.job.layout import Line, plain, refuse_blank_lines, without_layout
from itda.job.letters import ALPHABETS, Ambiguous, clean_sequence, looks_like_path
from itda.job.names import automatic_chain_ids
from itda.job.three_letters import from_three_letters
from itda.language import Message

MoleculeOption = Literal["auto", "protein", "dna", "rna"]
"""What sequences without a label are; "auto" is protein, and refuses what looks like DNA or RNA."""

_POLYMERS: dict[str, type[Protein] | type[Dna] | type[Rna]] = {
    "protein": Protein,
    "dna": Dna,
    "rna": Rna,
}


def entities_from_text(
    text: str,
    molecule: MoleculeOption = "auto",
    *,
    ambiguous: Ambiguous = "refuse",
) -> tuple[tuple[Polymer, ...], list[str]]:
    """Read chains from one text, which may span lines; see `entities_from_lines`."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return entities_from_lines(lines, molecule, ambiguous=ambiguous)


def entities_from_lines(
    lines: Sequence[Line],
    molecule: MoleculeOption = "auto",
    *,
    ambiguous: Ambiguous = "refuse",
    name_lines: bool = False,
) -> tuple[tuple[Polymer, ...], list[str]]:
    """Read chains separated by `:` as AlphaFold and ColabFold users write them.

    Neighbouring chains of one sequence become copies of one entity; ids are A, B, … in the order
    given. Layout (blocks, residue numbers, quotes) is taken out, three-letter code is read.

    Args:
        lines: The sequences as they stand, each line with its number; none is blank.
        molecule: What they are.
        ambiguous: "x" reads ambiguous and rare letters as unknown.
        name_lines: Whether a wrong letter is named with its line.

    Returns:
        The entities and what was changed.

    Raises:
        InputError: A chain is empty or holds what is not a residue.
    """
    kind = "protein" if molecule == "auto" else molecule
    lines, changes = _letters(lines, kind)
    starts = list(itertools.accumulate((len(part) for _, part in lines), initial=0))

    def locate(index: int) -> str:
        place = bisect.bisect_right(starts[:-1], index) - 1
        return Message(" (line {lines})", lines=lines[place][0]) if name_lines else ""

    text = "".join(part for _, part in lines)
    parts = text.split(":") if not _is_drive(text) else [text]
    sequences: list[str] = []
    start = 0
    for number, part in enumerate(parts, 1):
        chain = Message("chain {number}: ", number=number) if len(parts) > 1 else ""
        try:
            sequence, changed = clean_sequence(
                part,
                kind,
                ambiguous=ambiguous,
                guess=molecule == "auto",
                locate=_shifted(start, locate),
            )
        except InputError as error:
            raise InputError(
                Message("{chain}{problem}", chain=chain, problem=error.problem), hint=error.hint
            ) from error
        sequences.append(sequence)
        changes.extend(chain + change for change in changed)
        start += len(part) + 1
    ids = automatic_chain_ids()
    entities = tuple(
        _POLYMERS[kind](id=tuple(itertools.islice(ids, len(list(copies)))), sequence=sequence)
        for sequence, copies in itertools.groupby(sequences)
    )
    return entities, changes


def _letters(lines: Sequence[Line], kind: str) -> tuple[list[Line], list[str]]:
    """Return one letter for each residue, line by line, and what was changed to have it."""
    text = " ".join(line for _, line in lines)
    if looks_like_path(text):
        return list(lines), []
    if kind == "protein":
        chains = [from_three_letters(plain(chain)) for chain in text.split(":")]
        if all(chain is not None for chain in chains):
            joined = ":".join(chain or "" for chain in chains)
            return [(lines[0][0] if lines else 1, joined)], [Message("three-letter code read")]
    double_spaced = refuse_blank_lines(lines)
    laid = without_layout(lines)
    if double_spaced:
        laid.changes.insert(0, Message("blank lines inside the sequence removed"))
    return laid.lines, laid.changes


def clean_typed_sequences(
    data: Any, *, guess: bool = True, ambiguous: Ambiguous = "refuse"
) -> tuple[Any, list[str]]:
    """Clean the sequences of a job as YAML or JSON holds it, where they may span several lines.

    Args:
        data: The parsed file; anything that is not as it should be is left for `Job.from_dict`.
        guess: Refuse a protein that looks like DNA or RNA.
        ambiguous: "x" reads ambiguous and rare letters as unknown.

    Returns:
        A copy with clean sequences, and what was changed.

    Raises:
        InputError: A sequence holds what is not a residue.
    """
    changes: list[str] = []
    if not isinstance(data, Mapping) or not isinstance(data.get("entities"), list):
        return data, changes
    entities = []
    for number, entity in enumerate(data["entities"], 1):
        kind, body = _single_item(entity)
        typed = body.get("sequence") if isinstance(body, Mapping) else None
        if kind not in ALPHABETS or not isinstance(typed, str):
            entities.append(entity)
            continue
        where = Message("entity {number} ({kind}), sequence: ", number=number, kind=kind)
        try:
            lines, laid = _letters(
                [(at, line) for at, line in enumerate(typed.splitlines(), 1) if line.strip()], kind
            )
            text = "".join(line for _, line in lines)
            sequence, changed = clean_sequence(text, kind, ambiguous=ambiguous, guess=guess)
        except InputError as error:
            raise InputError(
                Message("{where}{problem}", where=where, problem=error.problem), hint=error.hint
            ) from error
        changes += [where + change for change in (*laid, *changed)]
        entities.append({kind: {**body, "sequence": sequence}})
    return {**data, "entities": entities}, changes


def _single_item(entity: Any) -> tuple[Any, Any]:
    if isinstance(entity, Mapping) and len(entity) == 1:
        return next(iter(entity.items()))
    return None, None


def _is_drive(text: str) -> bool:
    return text[1:3] == ":\\"


def _shifted(start: int, locate: Callable[[int], str]) -> Callable[[int], str]:
    return lambda index: locate(start + index)
