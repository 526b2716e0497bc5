"""Which known structures each chain of a data folder can be folded after.

The folder holds `manifest.json` (how the search was made, and the SHA-256 of the rest) and
`templates.npz`:

| array | rows | what |
| --- | --- | --- |
| `query` | chains | id and the start of its sequence's SHA-256 |
| `first_hit` | chains + 1 | where the hits of a chain begin |
| `target` | hits, best first in a chain | id of the template |
| `identity`, `e_value`, `bits` | hits | over paired residues; of the search |
| `first_segment` | hits + 1 | where the segments of a hit begin |
| `segment` | segments | 0-based start in the query, in the template, and length |
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Int64

from itda.errors import DataError
from itda.language import Message
from itda.search.templates.find import make_template
from itda.search.templates.hits import TemplateHit
from itda.search.templates.template import Template
from itda.storage import atomic_folder, file_digest
from itda.structure.chains.dataset import ChainDataset

FORMAT = "itda-templates"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ARRAYS = "templates.npz"


class TemplateTable:
    """Hits of every chain, in the order of trust."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], database: ChainDataset, manifest: Mapping[str, Any]
    ) -> None:
        self.database = database
        self.manifest = manifest
        self._row = {name: row for row, name in enumerate(arrays["query"].tolist())}
        self._first_hit: Int64[np.ndarray, " chain_plus_one"] = arrays["first_hit"]
        self._target: np.ndarray = arrays["target"]
        self._identity: Float32[np.ndarray, " hit"] = arrays["identity"]
        self._e_value: Float32[np.ndarray, " hit"] = arrays["e_value"]
        self._bits: Float32[np.ndarray, " hit"] = arrays["bits"]
        self._first_segment: Int64[np.ndarray, " hit_plus_one"] = arrays["first_segment"]
        self._segment: Int32[np.ndarray, "segment 3"] = arrays["segment"]

    @staticmethod
    def open(folder: Path, database: ChainDataset) -> TemplateTable:
        """Open a folder.

        Args:
            folder: That `write` made.
            database: The chains that the templates are taken from.

        Raises:
            DataError: It is missing, of another version or altered, or belongs to other chains.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                Message(
                    "{folder} is not a table of templates: {error}", folder=folder, error=error
                ),
                hint=Message("make one with `itda data templates`"),
            ) from error
        if manifest.get("format") != FORMAT or manifest.get("version") != FORMAT_VERSION:
            raise DataError(
                Message(
                    "{folder} is not a table of templates of version {format_version}",
                    folder=folder,
                    format_version=FORMAT_VERSION,
                ),
                hint=Message("make it again with `itda data templates`"),
            )
        if file_digest(folder / ARRAYS) != manifest["sha256"]:
            raise DataError(
                Message("{folder} was altered after it was written", folder=folder / ARRAYS),
                hint=Message("make it again with `itda data templates`"),
            )
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        for target in {str(name) for name in arrays["target"]}:
            database.index_of(target)
        return TemplateTable(arrays, database, manifest)

    @staticmethod
    def write(
        folder: Path,
        hits: Iterable[tuple[tuple[str, str], Sequence[TemplateHit]]],
        *,
        search: Mapping[str, Any],
        overwrite: bool = False,
    ) -> None:
        """Write a folder, whole or not at all.

        Args:
            folder: Where to.
            hits: Of each chain, given by id and sequence; best first.
            search: How they were found.
            overwrite: Whether a table that stands there is replaced.

        Raises:
            OutputError: The folder cannot be written.
        """
        query: list[str] = []
        first_hit, first_segment = [0], [0]
        target: list[str] = []
        identity: list[float] = []
        e_value: list[float] = []
        bits: list[float] = []
        segments: list[tuple[int, int, int]] = []
        for (name, sequence), own in hits:
            query.append(_key(name, sequence))
            for hit in own:
                if hit.name == name:
                    continue
                target.append(hit.name)
                identity.append(hit.identity)
                e_value.append(hit.e_value)
                bits.append(hit.bits)
                segments.extend(_segments(hit))
                first_segment.append(len(segments))
            first_hit.append(len(target))
        with atomic_folder(folder, overwrite=overwrite) as work:
            np.savez_compressed(
                work / ARRAYS,
                query=np.array(query, str),
                first_hit=np.array(first_hit, np.int64),
                target=np.array(target, str),
                identity=np.array(identity, np.float32),
                e_value=np.array(e_value, np.float32),
                bits=np.array(bits, np.float32),
                first_segment=np.array(first_segment, np.int64),
                segment=np.array(segments, np.int32).reshape(-1, 3),
            )
            manifest = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "search": dict(search),
                "counts": {
                    "chains": len(query),
                    "chains_with_hits": int((np.diff(first_hit) > 0).sum()),
                    "hits": len(target),
                },
                "sha256": file_digest(work / ARRAYS),
            }
            (work / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

    def hits(
        self,
        chain_id: str,
        sequence: str,
        *,
        accept: Callable[[str, float], bool] = lambda _id, _identity: True,
    ) -> list[TemplateHit]:
        """Give the hits of a chain, best first, never the chain itself.

        Two datasets may hold different stretches of one chain, so its sequence is asked for too.

        Args:
            chain_id: A chain of the table; one that it does not know has no hits.
            sequence: The chain's residues, to which the alignments belong.
            accept: Asked for each hit with its id and identity, before it is unpacked.
        """
        row = self._row.get(_key(chain_id, sequence))
        if row is None:
            return []
        found = []
        for hit in range(int(self._first_hit[row]), int(self._first_hit[row + 1])):
            target, identity = str(self._target[hit]), float(self._identity[hit])
            if target != chain_id and accept(target, identity):
                found.append(self._unpack(hit, target, identity))
        return found

    def template(self, hit: TemplateHit) -> Template:
        """Read the structure of a hit."""
        return make_template(hit, self.database, self.database.folder.name)

    def _unpack(self, row: int, target: str, identity: float) -> TemplateHit:
        segments = self._segment[self._first_segment[row] : self._first_segment[row + 1]]
        query_index, template_index = (
            np.concatenate([np.arange(one[axis], one[axis] + one[2]) for one in segments])
            for axis in (0, 1)
        )
        return TemplateHit(
            chain=self.database.index_of(target),
            name=target,
            e_value=float(self._e_value[row]),
            bits=float(self._bits[row]),
            identity=identity,
            query_index=query_index.astype(np.int32),
            template_index=template_index.astype(np.int32),
        )


def distinct_queries(datasets: Iterable[ChainDataset]) -> list[tuple[str, str]]:
    """Give id and sequence of each chain; a pair that two datasets share stands once."""
    pairs = (
        (name, dataset.sequence(index))
        for dataset in datasets
        for index, name in enumerate(dataset.ids)
    )
    return list(dict.fromkeys(pairs))


def _key(chain_id: str, sequence: str) -> str:
    return f"{chain_id} {hashlib.sha256(sequence.encode()).hexdigest()[:16]}"


def _segments(hit: TemplateHit) -> list[tuple[int, int, int]]:
    """Cut an alignment into stretches without gaps."""
    query, template = hit.query_index.astype(int), hit.template_index.astype(int)
    breaks = np.flatnonzero((np.diff(query) != 1) | (np.diff(template) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [len(query)]])
    return [
        (int(query[a]), int(template[a]), int(b - a)) for a, b in zip(starts, ends, strict=True)
    ]
