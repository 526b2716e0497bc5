"""Whole clusters to training, validation and test, and nothing alike across the borders."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from itda.errors import DataError
from itda.language import Message
from itda.storage import atomic_folder, file_digest

FORMAT = "itda-split"
FORMAT_VERSION = 1
MANIFEST = "split.json"
TABLE = "split.tsv"

Part = Literal["train", "validation", "test", "excluded"]
PARTS: tuple[Part, ...] = get_args(Part)

_COLUMNS = ("id", "cluster", "part", "representative")


@dataclass(frozen=True)
class Split:
    """Which cluster and which part each chain belongs to.

    Attributes:
        members: Chain id to its cluster's name and its part. `excluded` are chains that belong to
            no part because they resemble a chain of another part.
        representatives: The chain of each validation or test cluster that evaluation uses.
        manifest: Settings, counts and the digests of the datasets that were split.
    """

    members: Mapping[str, tuple[str, Part]]
    representatives: frozenset[str] = frozenset()
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | str) -> Split:
        """Read a split folder.

        Raises:
            DataError: It is missing, of another version, or its table was altered.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                Message(
                    "{folder} is not a split: {manifest} cannot be read ({error})",
                    folder=folder,
                    manifest=MANIFEST,
                    error=error,
                ),
                hint=Message("make one with `itda data split`"),
            ) from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DataError(Message("{folder} does not describe a split", folder=folder / MANIFEST))
        if manifest.get("version") != FORMAT_VERSION:
            raise DataError(
                Message(
                    "{folder} has split version {get}, this Itda reads version {format_version}",
                    folder=folder,
                    get=manifest.get("version"),
                    format_version=FORMAT_VERSION,
                ),
                hint=Message("split the datasets again"),
            )
        table = folder / TABLE
        if not table.is_file() or file_digest(table) != manifest["table_sha256"]:
            raise DataError(
                Message("{table} is missing or was altered after it was written", table=table),
                hint=Message("split the datasets again"),
            )
        members: dict[str, tuple[str, Part]] = {}
        representatives = set()
        with table.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                part = row["part"]
                if part not in PARTS:
                    raise DataError(
                        Message(
                            "{table}: chain {row} has the unknown part {part!r}",
                            table=table,
                            row=row["id"],
                            part=part,
                        )
                    )
                members[row["id"]] = (row["cluster"], part)
                if row["representative"] == "1":
                    representatives.add(row["id"])
        return cls(members, frozenset(representatives), manifest)

    def write(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write a split folder, whole or not at all.

        Raises:
            OutputError: The folder cannot be written.
        """
        with atomic_folder(Path(folder), overwrite=overwrite) as work:
            with (work / TABLE).open("w", encoding="utf-8", newline="") as stream:
                table = csv.writer(stream, delimiter="\t", lineterminator="\n")
                table.writerow(_COLUMNS)
                for chain_id, (cluster, part) in self.members.items():
                    table.writerow([chain_id, cluster, part, int(chain_id in self.representatives)])
            manifest = {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                **self.manifest,
                "counts": self.counts(),
                "table_sha256": file_digest(work / TABLE),
            }
            text = json.dumps(manifest, indent=1, ensure_ascii=False)
            (work / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @property
    def datasets(self) -> list[str]:
        """Names of the folders that were split.

        Raises:
            DataError: The split is of an older Itda and does not say.
        """
        told = self.manifest.get("datasets", ())
        if not told or any("folder" not in dataset for dataset in told):
            raise DataError(
                Message("the split does not say which datasets it was made of"),
                hint=Message("name them with {--datasets}, or split them again"),
            )
        return [dataset["folder"] for dataset in told]

    def part(self, chain_id: str) -> Part:
        """Return the part of a chain.

        Raises:
            DataError: The split does not know the chain.
        """
        return self._member(chain_id)[1]

    def cluster(self, chain_id: str) -> str:
        """Return the name of a chain's cluster.

        Raises:
            DataError: The split does not know the chain.
        """
        return self._member(chain_id)[0]

    def ids(self, part: Part) -> list[str]:
        """Return the chains of a part, in the order of the datasets."""
        return [chain_id for chain_id, (_, own) in self.members.items() if own == part]

    def clusters(self, part: Part) -> dict[str, list[str]]:
        """Return the clusters of a part, each with its chains."""
        result: dict[str, list[str]] = {}
        for chain_id, (cluster, own) in self.members.items():
            if own == part:
                result.setdefault(cluster, []).append(chain_id)
        return result

    def evaluation_ids(self, part: Part) -> list[str]:
        """Return one chain a cluster of validation or test: those that evaluation uses."""
        return [chain_id for chain_id in self.ids(part) if chain_id in self.representatives]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count chains, clusters and evaluation chains of each part."""
        return {
            part: {
                "chains": len(self.ids(part)),
                "clusters": len(self.clusters(part)),
                "evaluation": len(self.evaluation_ids(part)),
            }
            for part in PARTS
        }

    def _member(self, chain_id: str) -> tuple[str, Part]:
        try:
            return self.members[chain_id]
        except KeyError:
            raise DataError(
                Message("the split does not know chain {chain_id}", chain_id=chain_id),
                hint=Message("split all datasets that are used together"),
            ) from None


def cluster_names(ids: Sequence[str], representatives: Sequence[int]) -> list[str]:
    """Name the cluster of each chain, joining clusters that share a chain id.

    One chain may stand in two datasets, whole in one and a stretch of it in the other, so that
    their sequences do not cluster; they must not part.

    Args:
        ids: Chain ids, with repeats where datasets share a chain.
        representatives: Index of the representative of each chain's cluster.

    Returns:
        The id of a representative chain, one for each entry of `ids`.
    """
    parent = list(range(len(ids)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, representative in enumerate(representatives):
        for other in (int(representative), first.setdefault(ids[index], index)):
            low, high = sorted((root(index), root(other)))
            parent[high] = low
    # The root is the lowest index of a joined cluster; name it after that chain's representative.
    return [ids[int(representatives[root(index)])] for index in range(len(ids))]
