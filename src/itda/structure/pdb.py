"""PDB by its columns, also as programs other than the PDB's own write it.

gemmi and biotite read PDB too. biotite refuses a file for a field that nobody asks for; gemmi takes
a coordinate that is no number for 0 and stops at the first END, both without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from biotite.structure import AtomArray
from jaxtyping import Bool, Int

from itda.chem.residues import RESTYPE_3_TO_1
from itda.errors import InputError
from itda.language import Message
from itda.structure.elements import polymer_rows, resolve_elements
from itda.structure.numbers import hybrid_36, number_the_rest, read_charges, read_numbers
from itda.structure.parsed import Metadata, Parsed, check_model, default_note
from itda.structure.segments import name_chains

_WIDTH = 80
_ATOM = re.compile(r"ATOM[ \d]|HETATM", re.IGNORECASE)
# Three letters of which a fourth in the next column makes another name, not a chain of two letters.
_LONG_NAMES = re.compile(r"(HIS[ABDEHP12]|LYS[HN]|ARGN|ASPH|GLUH|CYS[HN12]|TRPH?[NOU]?)\Z")
_STANDARD = frozenset({*RESTYPE_3_TO_1, "HOH", "A", "C", "G", "U", "DA", "DC", "DG", "DT"})


@dataclass(frozen=True, eq=False)
class _Records:
    """The atom records of one model.

    Attributes:
        lines: The records, of one width.
        numbers: 1-based line of each in the file.
        segments: Count of TER records before each.
    """

    lines: np.ndarray
    numbers: Int[np.ndarray, " atom"]
    segments: Int[np.ndarray, " atom"]

    def columns(self, first: int, last: int) -> np.ndarray:
        """Give columns as text; both 1-based, both included."""
        characters = self.lines.view("U1").reshape(len(self.lines), _WIDTH)
        width = last - first + 1
        return np.ascontiguousarray(characters[:, first - 1 : last]).view(f"U{width}")[:, 0]

    def words(self, first: int, last: int) -> np.ndarray:
        """Give columns without the blanks around."""
        return np.char.strip(self.columns(first, last))


def parse_pdb(text: str, path: Path, model: int) -> Parsed:
    """Read one model of a PDB file.

    Args:
        text: The file.
        path: Its name, for errors.
        model: 1-based place of the model in the file.

    Raises:
        InputError: If it has no atom, no such model, or a coordinate is no number.
    """
    lines = text.split("\n")
    records, model_count, notes = _find_records(lines, path, model)
    coordinates = _coordinates(records, path)
    atoms = AtomArray(len(coordinates))
    atoms.coord = coordinates.astype(np.float32)
    residue_names, chain_ids = _names_and_chains(records)
    padded_names = records.columns(13, 16)
    numbers, insertion_codes, said = _residue_numbers(records, chain_ids, residue_names)
    notes += said
    columns: dict[str, np.ndarray] = {
        "chain_id": chain_ids,
        "res_id": numbers,
        "ins_code": insertion_codes,
        "res_name": residue_names,
        "atom_name": np.char.strip(padded_names),
        "hetero": np.char.upper(records.columns(1, 6)) == "HETATM",
    }
    columns["element"], said = resolve_elements(
        records.words(77, 78), columns["atom_name"], residue_names, padded_names
    )
    notes += said
    for name, what, first, last, default in (
        ("occupancy", "the occupancy", 55, 60, 1.0),
        ("b_factor", "the B-factor", 61, 66, 0.0),
    ):
        columns[name], said = _optional(records, what, first, last, default)
        notes += said
    columns["atom_id"], said = _serials(records)
    notes += said
    # Where no element is told, the last columns are of the old format, which had no charges.
    columns["charge"], said = _charges(records, records.words(77, 78) == columns["element"])
    notes += said
    for name, values in columns.items():
        atoms.set_annotation(name, values)
    altlocs = records.words(17, 17)
    polymeric = polymer_rows(residue_names, columns["atom_name"], columns["hetero"])
    atoms.chain_id, said = name_chains(
        atoms, records.segments, records.words(73, 76), altlocs, polymeric
    )
    return Parsed(atoms, altlocs, model_count, _metadata(lines), notes + said)


def _find_records(
    lines: list[str], path: Path, model: int
) -> tuple[_Records, int, tuple[str, ...]]:
    """Find the atoms of a model: of a part between MODEL records, or END where all are alike."""
    numbers: list[int] = []
    frames: list[int] = []
    ends: list[int] = []
    parts: list[int] = []
    frame = end = part = 0
    for number, line in enumerate(lines, 1):
        if _ATOM.match(line):
            numbers.append(number)
            frames.append(frame)
            ends.append(end)
            parts.append(part)
            continue
        record = line[:6].rstrip().upper()
        if record in ("MODEL", "ENDMDL"):
            frame += 1
        elif record == "END":
            end += 1
        if record in ("TER", "END"):
            part += 1
    if not numbers:
        raise InputError(
            Message("{path}: has no ATOM or HETATM record, so it holds no coordinates", path=path),
            hint=Message("structure factors and sequences have none; give the file of the model"),
        )
    notes: tuple[str, ...] = ()
    models = np.array(frames)
    if len(set(ends)) > 1 and len(set(frames)) == 1:
        if _are_alike(lines, numbers, ends):
            models = np.array(ends)
        else:
            notes = (f"{len(set(ends))} parts, parted by END, read as one structure",)
    kept = np.unique(models)
    check_model(model, len(kept), path)
    rows = np.flatnonzero(models == kept[model - 1])
    found, said = _even_lines([lines[numbers[row] - 1] for row in rows])
    return (
        _Records(np.array(found, f"U{_WIDTH}"), np.array(numbers)[rows], np.array(parts)[rows]),
        len(kept),
        notes + said,
    )


def _are_alike(lines: list[str], numbers: list[int], parts: list[int]) -> bool:
    """Tell whether parts name the same atoms of the same residues, as frames of one molecule do."""
    named: dict[int, list[str]] = {}
    for number, part in zip(numbers, parts, strict=True):
        named.setdefault(part, []).append(lines[number - 1][12:27])
    first, *others = named.values()
    return all(other == first for other in others)


def _even_lines(lines: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Bring back into its columns what an atom number of six digits or more has moved right."""
    moved = 0
    for index, line in enumerate(lines):
        if line[11:12].isdigit():
            extra = len(re.match(r"\d*", line[6:])[0]) - 5  # type: ignore[index]
            if all(line[place + extra : place + extra + 1] == "." for place in (34, 42, 50)):
                lines[index] = line[:6] + line[6 + extra :]
                moved += 1
    if not moved:
        return lines, ()
    return lines, (f"{moved} lines with long atom numbers stand too far right: moved back",)


def _coordinates(records: _Records, path: Path) -> np.ndarray:
    axes = {"x": (31, 38), "y": (39, 46), "z": (47, 54)}
    result = np.empty((len(records.lines), 3))
    for axis, (name, (first, last)) in enumerate(axes.items()):
        words = records.columns(first, last)
        result[:, axis], bad = read_numbers(words, np.nan)
        wrong = np.flatnonzero(bad | np.isnan(result[:, axis]))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                Message(
                    "{path}: line {numbers}, columns {first} to {last}: {name} is {words!r}, "
                    "not a number",
                    path=path,
                    numbers=records.numbers[row],
                    first=first,
                    last=last,
                    name=name,
                    words=str(words[row]).strip(),
                ),
                hint=Message("PDB keeps coordinates in columns 31 to 54"),
            )
    return result


def _names_and_chains(records: _Records) -> tuple[np.ndarray, np.ndarray]:
    """Give residue names, of up to four letters, and chains, of up to two."""
    wide = records.columns(18, 21)
    chains = records.columns(22, 22)
    if not (records.columns(21, 21) != " ").any():
        return np.char.strip(wide), np.char.strip(chains)
    names, index = np.unique(wide, return_inverse=True)
    in_chain = [
        name[:3].strip() in _STANDARD and not _LONG_NAMES.match(name) for name in names.tolist()
    ]
    short = np.array(in_chain)[index]
    return (
        np.char.strip(np.where(short, records.columns(18, 20), wide)),
        np.char.strip(np.where(short, records.columns(21, 22), chains)),
    )


def _residue_numbers(
    records: _Records, chain_ids: np.ndarray, residue_names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    words, codes = records.words(23, 26), records.words(27, 27)
    # Where a number fills its columns, a digit behind it is its fifth.
    fifth = np.char.isdigit(codes) & (np.char.str_len(words) == 4)
    words = np.where(fifth, np.char.add(words, codes), words)
    codes = np.where(fifth, "", codes)
    values, bad = read_numbers(words, 0, lambda word: hybrid_36(word, 4))
    numbers, unknown = values.astype(np.int64), bad | (words == "")
    if not unknown.any():
        return numbers, codes, ()
    atom_names = records.words(13, 16)
    number_the_rest(numbers, ~unknown, [chain_ids, residue_names, words, codes], atom_names)
    note = f"{int(unknown.sum())} atoms have no residue number (line "
    note += f"{records.numbers[int(np.flatnonzero(unknown)[0])]}): counted on"
    return numbers, codes, (note,)


def _optional(
    records: _Records, what: str, first: int, last: int, default: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    words = records.words(first, last)
    values, bad = read_numbers(words, default)
    return values, default_note(
        what, f"{default:.2f}", words == "", bad, _example(records, words, bad, first, last)
    )


def _example(
    records: _Records, words: np.ndarray, bad: Bool[np.ndarray, " atom"], first: int, last: int
) -> str:
    if not bad.any():
        return ""
    row = int(np.flatnonzero(bad)[0])
    where = f"line {records.numbers[row]}, columns {first} to {last}"
    return f" ({where}: {str(words[row])!r})"


def _serials(records: _Records) -> tuple[np.ndarray, tuple[str, ...]]:
    words = records.words(7, 12)
    values, bad = read_numbers(words, 0, lambda word: hybrid_36(word, 5))
    if not bad.any() and (words != "").all():
        return values.astype(np.int64), ()
    counted = np.arange(1, len(words) + 1)
    return counted, ("some atoms have no number: all counted from 1",)


def _charges(
    records: _Records, told: Bool[np.ndarray, " atom"]
) -> tuple[np.ndarray, tuple[str, ...]]:
    words = np.where(told, records.words(79, 80), "")
    charges, bad = read_charges(words)
    return charges, default_note(
        "the charge", "0", np.zeros_like(bad), bad, _example(records, words, bad, 79, 80)
    )


def _metadata(lines: list[str]) -> Metadata:
    def joined(record: str) -> str:
        return " ".join(line[10:80].strip() for line in lines if line.startswith(record)).strip()

    resolution = None
    for line in lines:
        if line.startswith("REMARK   2 RESOLUTION."):
            try:
                resolution = float(line[23:30])
            except ValueError:
                continue
    header = next((line for line in lines if line.startswith("HEADER")), "")
    return Metadata(
        entry_id=header[62:66].strip(),
        title=joined("TITLE "),
        method=joined("EXPDTA"),
        resolution_angstrom=resolution,
    )
