"""The shipped ubiquitin as text of each format, to be changed as programs and people change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from biotite.structure import AtomArray

from itda.structure.files import write_structure

Change = Callable[[str], str]


def text_of(atoms: AtomArray, folder: Path, suffix: str) -> str:
    path = folder / f"plain{suffix}"
    write_structure(path, atoms)
    return path.read_text()


def each_atom(change: Change) -> Change:
    """Change each atom record of a PDB file, which is 80 columns wide."""

    def changed(text: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            change(line.ljust(80)).rstrip() if line.startswith(("ATOM", "HETATM")) else line
            for line in lines
        )

    return changed


def columns(first: int, last: int, word: str) -> Change:
    """Put a word into columns of each atom record."""
    return each_atom(lambda line: line[: first - 1] + word.ljust(last - first + 1) + line[last:])


def atom_rows(change: Callable[[list[str]], list[str]]) -> Change:
    """Change the words of each row of atom_site."""

    def changed(text: str) -> str:
        return "\n".join(
            " ".join(change(line.split())) if line.startswith(("ATOM", "HETATM")) else line
            for line in text.splitlines()
        )

    return changed


def site_items(text: str) -> list[str]:
    """Give the items of atom_site, in order."""
    return [line[11:] for line in text.splitlines() if line.startswith("_atom_site.")]


def cells(text: str, values: dict[str, str], *, only: str = "") -> str:
    """Put values into the rows of atom_site that hold a word; into all by default."""
    items = site_items(text)

    def changed(words: list[str]) -> list[str]:
        if only and only not in words:
            return words
        return [values.get(item, word) for item, word in zip(items, words, strict=True)]

    return atom_rows(changed)(text)
