"""The records that were left out of a database."""

from __future__ import annotations

import csv
from pathlib import Path

from itda.structure.chains.rejection import Rejection


class RejectedTable:
    """Writes `rejected.tsv` line by line, since there may be more than memory holds.

    Args:
        path: The file.

    Attributes:
        kinds: How many broke each rule.
    """

    def __init__(self, path: Path) -> None:
        self.kinds: dict[str, int] = {}
        self._stream = path.open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._stream, delimiter="\t", lineterminator="\n")
        self._table.writerow(("id", "source", "reason"))

    def __enter__(self) -> RejectedTable:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, rejection: Rejection) -> None:
        """Append one."""
        self.kinds[rejection.kind] = self.kinds.get(rejection.kind, 0) + 1
        texts = (rejection.id, rejection.source, rejection.reason)
        self._table.writerow([" ".join(text.split()) for text in texts])
