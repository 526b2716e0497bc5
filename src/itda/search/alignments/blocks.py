"""Rows that stand in blocks, as Stockholm and CLUSTAL write long ones."""

from __future__ import annotations

from itda.errors import InputError
from itda.language import Message


class Blocks:
    """Puts the parts of rows together.

    Args:
        form: Name of the format, for the errors.
    """

    def __init__(self, form: str) -> None:
        self.rows: dict[str, list[str]] = {}
        self._form = form
        self._block: set[str] = set()
        self._count = 0

    def end_block(self) -> None:
        """Begin a new block with the next row."""
        self._block = set()

    def add(self, place: str, name: str, residues: str) -> None:
        """Take a row's part.

        Raises:
            InputError: The name stands twice in a block, or not in each block before.
        """
        if name in self._block:
            raise InputError(
                Message(
                    "{place} has the name {name} a second time in one block", place=place, name=name
                ),
                hint=Message(
                    "names are unique in {form}; write A3M, where they may repeat", form=self._form
                ),
            )
        self._count += not self._block
        self._block.add(name)
        parts = self.rows.setdefault(name, [])
        if len(parts) != self._count - 1:
            raise InputError(
                Message(
                    "{place}: the row {name} stands in {count} of the {count_2} blocks before",
                    place=place,
                    name=name,
                    count=len(parts),
                    count_2=self._count - 1,
                ),
                hint=Message("each block holds a part of every row"),
            )
        parts.append(residues)

    def joined(self, where: str) -> dict[str, str]:
        """Return the rows by name.

        Raises:
            InputError: There is none.
        """
        if not self.rows:
            raise InputError(
                Message("{where}: holds no sequence", where=where),
                hint=Message("the {form} file has no rows", form=self._form),
            )
        return {name: "".join(parts) for name, parts in self.rows.items()}
