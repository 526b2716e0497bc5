"""The Chemical Component Dictionary of today, laid out so that it is read fast."""

from __future__ import annotations

import datetime
import json
import shutil
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itda.chem.component_file import (
    FACTS,
    FILE,
    ComponentFile,
    components_folder,
    fetched_components,
)
from itda.chem.residues import RESTYPE_1_TO_3
from itda.errors import DataError, ItdaError, OutputError
from itda.hub.fetch import OnTransfer
from itda.language import Message
from itda.progress import Progress
from itda.published.bring import Brought, bring
from itda.published.plan import Plan
from itda.search.databases.compression import BlockReader
from itda.search.databases.writing import folder_bytes, writing
from itda.storage import file_digest, locked, replacing, write_whole

if TYPE_CHECKING:
    from biotite.structure.io.pdbx import BinaryCIFBlock, BinaryCIFColumn

CATEGORIES = {"chem_comp": "id", "chem_comp_atom": "comp_id", "chem_comp_bond": "comp_id"}
"""Those that are kept, with the column that names the component."""

NUMBERS = {
    "formula_weight": float,
    "pdbx_formal_charge": int,
    "charge": int,
    "pdbx_align": int,
    "pdbx_ordinal": int,
    **{f"model_Cartn_{axis}": float for axis in "xyz"},
    **{f"pdbx_model_Cartn_{axis}_ideal": float for axis in "xyz"},
}
"""Columns of numbers; a code such as `001` is none."""

_DATE = "pdbx_modified_date"
_FETCHES = "fetched"
_PRESENT, _INAPPLICABLE, _MISSING = 0, 1, 2


def fetch_folder() -> Path:
    """Return where the dictionary as published is while it is fetched; it may not exist."""
    return components_folder() / _FETCHES


def get_components(plan: Plan, *, on_transfer: OnTransfer, progress: Progress) -> ComponentFile:
    """Fetch the dictionary and put it where the next process reads it first.

    Raises:
        DownloadError: It cannot be fetched, or is not as published.
        OutputError: Another process fetches it, or the disk is full.
        DataError: What came is no component dictionary.
    """
    folder = components_folder()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", on_busy=_refuse):
            brought = bring(plan, fetch_folder(), on_transfer, progress)
            try:
                columns = read_components(brought.path, progress)
            except ItdaError:
                # No digest could tell: the next fetch is to begin anew.
                brought.path.unlink(missing_ok=True)
                raise
            progress(0.6, "packing")
            _write(folder, columns, plan, brought)
            shutil.rmtree(fetch_folder(), ignore_errors=True)
    progress(1.0, "done")
    found = fetched_components()
    assert found is not None, "it was written a moment ago"
    return found


def remove_components() -> int:
    """Remove a fetched dictionary, or half of one; biotite's is read again.

    Returns:
        The bytes that were freed; 0 where there was none.

    Raises:
        OutputError: It is being fetched, or cannot be removed.
    """
    folder = components_folder()
    if not folder.is_dir():
        return 0
    with writing(folder), locked(folder / ".lock", on_busy=_refuse):
        freed = folder_bytes(fetch_folder())
        # The facts first: without them the rest counts nothing.
        for path in (folder / FACTS, folder / FILE):
            if path.is_file():
                freed += path.stat().st_size
                path.unlink()
        shutil.rmtree(fetch_folder(), ignore_errors=True)
    return freed


@dataclass
class Column:
    """A column of text over all components.

    Attributes:
        words: Each text once, with its number.
        places: The number of each row's text.
        masks: 0 for a value, 1 for one that does not apply (`.`), 2 for one that is unknown (`?`).
    """

    words: dict[str, int] = field(default_factory=dict)
    places: array[int] = field(default_factory=lambda: array("i"))
    masks: bytearray = field(default_factory=bytearray)

    def add(self, text: str, mask: int) -> None:
        """Add a row."""
        self.places.append(self.words.setdefault(text, len(self.words)))
        self.masks.append(mask)

    def fill(self, rows: int) -> None:
        """Let rows up to a number be unknown."""
        for _ in range(rows - len(self.places)):
            self.add("", _MISSING)


Columns = dict[str, dict[str, Column]]
"""By category and name."""


def read_components(path: Path, progress: Progress) -> Columns:
    """Read `components.cif`, a block a component, one at a time.

    Args:
        path: The file, plain or compressed.
        progress: Told the fraction of the whole work, up to 0.6, which this is the longest part of.

    Raises:
        DataError: It is no component dictionary.
        InputError: It is cut or damaged.
    """
    from gemmi import cif

    columns: Columns = {category: {} for category in CATEGORIES}
    reader = BlockReader(path)
    for number, text in enumerate(blocks_of(reader.blocks()), start=1):
        try:
            (block,) = cif.read_string(text)
        except (ValueError, RuntimeError) as error:
            raise _no_dictionary(path, str(error).splitlines()[0]) from error
        for category, kept in columns.items():
            _add(block.get_mmcif_category(f"_{category}.", raw=True), kept)
        if number % 100 == 0:
            progress(0.6 * reader.bytes_read / reader.size, f"{number:,} components read")
    known = columns["chem_comp"].get("id", Column()).words
    lacking = [code for code in RESTYPE_1_TO_3.values() if code not in known]
    if lacking or _DATE not in columns["chem_comp"]:
        what = f"it has no {lacking[0]}" if lacking else f"its components have no {_DATE}"
        raise _no_dictionary(path, what)
    return columns


def blocks_of(pieces: Iterator[bytes]) -> Iterator[str]:
    """Cut a CIF file before each `data_` that begins a line outside of a text field."""
    lines: list[bytes] = []
    within_text = False
    for line in _lines(pieces):
        if line.startswith(b";"):
            within_text = not within_text
        elif not within_text and line[:5].lower() == b"data_" and lines:
            if any(one.strip() and not one.startswith(b"#") for one in lines):
                yield b"".join(lines).decode("utf-8", "replace")
            lines = []
        lines.append(line)
    if lines:
        yield b"".join(lines).decode("utf-8", "replace")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest + b"\n"


def _add(table: dict[str, list[str]], kept: dict[str, Column]) -> None:
    from gemmi import cif

    if not table:
        return
    before = len(next(iter(kept.values())).places) if kept else 0
    for name, values in table.items():
        column = kept.get(name)
        if column is None:
            column = kept[name] = Column()
            column.fill(before)
        for value in values:
            if cif.is_null(value):
                column.add("", _INAPPLICABLE if value == "." else _MISSING)
            else:
                column.add(cif.as_string(value), _PRESENT)
    rows = before + len(next(iter(table.values())))
    for column in kept.values():
        column.fill(rows)


def _write(folder: Path, columns: Columns, plan: Plan, brought: Brought) -> None:
    from biotite.structure.io.pdbx import BinaryCIFBlock, BinaryCIFCategory, BinaryCIFFile, compress

    block: BinaryCIFBlock = BinaryCIFBlock()
    for category, kept in columns.items():
        block[category] = compress(
            BinaryCIFCategory({name: _encoded(name, column) for name, column in kept.items()})
        )
    dates = columns["chem_comp"][_DATE].words
    assert plan.remote is not None
    (folder / FACTS).unlink(missing_ok=True)
    with replacing(folder / FILE) as waiting:
        BinaryCIFFile({"components": block}).write(waiting)
    content = {
        "date": max(dates),
        "components": len(columns["chem_comp"]["id"].words),
        "bytes": (folder / FILE).stat().st_size,
        "sha256": file_digest(folder / FILE),
        "fetched": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": plan.remote.shown,
        "source_sha256": brought.sha256,
        "licence": plan.entry.licence,
    }
    write_whole(folder / FACTS, f"{json.dumps(content, indent=1)}\n".encode())


def _encoded(name: str, column: Column) -> BinaryCIFColumn:
    import numpy as np
    from biotite.structure.io.pdbx import BinaryCIFColumn

    masks = np.frombuffer(column.masks, np.uint8)
    places = np.frombuffer(column.places, np.intc)
    values: Any = np.array(list(column.words), dtype=str)
    if name in NUMBERS:
        used = np.zeros(len(values), bool)
        used[places[masks == _PRESENT]] = True
        numbers: Any = np.zeros(len(values), NUMBERS[name])
        # What is unknown has no number, and is masked.
        numbers[used] = values[used].astype(NUMBERS[name])
        values = numbers
    return BinaryCIFColumn(values[places], masks if masks.any() else None)


def _refuse(holder: str) -> None:
    raise OutputError(
        Message("the component dictionary is being fetched by process {holder}", holder=holder),
        hint=Message("wait until it is done"),
    )


def _no_dictionary(path: Path, what: str) -> DataError:
    return DataError(
        Message("{path} is no component dictionary: {what}", path=path, what=what),
        hint=Message("fetch it again; if it comes to the same, try another {--mirror}"),
    )
