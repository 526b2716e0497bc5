"""The summary of a run: one record for each input, whatever became of it.

`summary.json` holds `format`, `version`, `itda_version`, `started`, `updated`, `settings`, `status`
(`running`, `finished`, `interrupted`, `stopped`, `lost`), `counts` and `records`. A record has
`name`, `position` (from 1, as in the input), `source` (the file), `status` (`done`, `failed`,
`refused`, `waiting`, `lost`), and where they apply `residues`, `mean_plddt`, `ptm`, `verdict`
(`level`, `right`, `of`, `text`), `samples`, `cached`, `seconds`, `warnings`, `templates`, `error`
(`kind`, `problem`, `hint`), `files`, `request_digest`.
`summary.tsv` is the same as a table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itda.atomic import write_bytes, write_json

FORMAT = "itda-summary"
VERSION = 1
JSON_NAME = "summary.json"
TSV_NAME = "summary.tsv"

DONE, FAILED, REFUSED, WAITING = "done", "failed", "refused", "waiting"
LOST = "lost"
"""A record that a run forgot by a fault of its own, and such a run; counted only where it is."""

_COLUMNS = (
    "position", "name", "status", "residues", "mean_plddt", "ptm", "verdict", "samples", "cached",
    "seconds", "error", "files", "source",
)  # fmt: skip


@dataclass
class Record:
    """What became of one input.

    Attributes:
        name: The record's name.
        position: Its place in the input, from 1.
        status: `done`, `failed` while it ran, `refused` before it ran, `waiting`, or `lost`.
        request_digest: Hash of what was asked for; empty for what was refused.
        files: Names of its files in the folder.
        details: The other fields, as they stand in the summary.
        source: The file of the input that it stands in.
    """

    name: str
    position: int
    status: str = WAITING
    request_digest: str = ""
    files: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in the summary."""
        return {
            "name": self.name,
            "position": self.position,
            "source": self.source,
            "status": self.status,
            **self.details,
            "files": self.files,
            "request_digest": self.request_digest,
        }


def write_summary(
    folder: Path, records: Iterable[Record], *, status: str, header: Mapping[str, Any]
) -> None:
    """Write both summaries.

    Raises:
        OutputError: They cannot be written.
    """
    rows = [record.to_dict() for record in sorted(records, key=lambda record: record.position)]
    counts = Counter(row["status"] for row in rows)
    write_json(
        folder / JSON_NAME,
        {
            "format": FORMAT,
            "version": VERSION,
            **header,
            "status": status,
            "counts": {
                kind: counts[kind]
                for kind in (DONE, FAILED, REFUSED, WAITING, LOST)
                if kind != LOST or counts[LOST]
            },
            "records": rows,
        },
    )
    lines = ["\t".join(_COLUMNS), *("\t".join(_cells(row)) for row in rows)]
    write_bytes(folder / TSV_NAME, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))


def read_records(folder: Path) -> list[Record]:
    """Return the records of the run that a folder holds; none where it holds no summary.

    A record whose files are named like paths out of the folder is not trusted with them.
    """
    try:
        found = json.loads((folder / JSON_NAME).read_bytes())
        if found["format"] != FORMAT:
            return []
        return [
            Record(
                name=str(row["name"]),
                position=int(row["position"]),
                status=str(row["status"]),
                request_digest=str(row["request_digest"]),
                files=[str(name) for name in row["files"] if Path(name).name == name],
                details={key: row[key] for key in row if key in _DETAILS},
            )
            for row in found["records"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


_DETAILS = frozenset(
    (
        "residues",
        "mean_plddt",
        "ptm",
        "verdict",
        "samples",
        "cached",
        "seconds",
        "warnings",
        "templates",
        "error",
    )
)


def _cells(row: Mapping[str, Any]) -> list[str]:
    shown = {
        **row,
        "error": (row.get("error") or {}).get("problem", ""),
        "verdict": (row.get("verdict") or {}).get("level", ""),
        "files": " ".join(row["files"]),
    }
    return [_cell(shown.get(column)) for column in _COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())
