"""A database on disk, as a search sees it: shards of FASTA and MMseqs2 files, and a manifest.

A database is a folder:

| path | what |
| --- | --- |
| `database.json` | format, version, kind, source files, parameters, counts, digests, shards |
| `shards/0001/sequences.fasta` | one line a header, one line a sequence, capital letters |
| `shards/0001/mmseqs/sequences*` | the same records, by `mmseqs createdb` |
| `chains/` | structures alone: a `ChainDataset`, in the order of the FASTA records |
| `rejected.tsv` | every record, chain or file that was left out, with its reason |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.dataset import ChainDataset
from itda.structure.chains.known import KnownChains
from itda.structure.chains.writer import MANIFEST as CHAINS_MANIFEST

FORMAT = "itda-database"
FORMAT_VERSION = 1
MANIFEST = "database.json"
SHARDS = "shards"
CHAINS = "chains"
FASTA = "sequences.fasta"
MMSEQS = "mmseqs/sequences"

Kind = Literal["sequences", "structures"]


@dataclass(frozen=True)
class Shard:
    """A part of a database that is searched at one time.

    Attributes:
        fasta: Its records.
        mmseqs: Its MMseqs2 database, the name without a suffix; there only where the database
            `has_mmseqs`.
        sequences: Number of records.
        residues: Their letters together.
    """

    fasta: Path
    mmseqs: Path
    sequences: int
    residues: int


@dataclass(frozen=True)
class Database:
    """A finished database.

    Attributes:
        name: What the user calls it.
        kind: `sequences`, or `structures` where templates can be taken from it.
        folder: Where it is.
        manifest: What `database.json` says.
        digest: `sha256:` and 64 digits over the records, how they are cut into shards, and the
            structures: two databases of one digest give one search the same hits.
        shards: In the order of the source.
    """

    name: str
    kind: Kind
    folder: Path
    manifest: Mapping[str, Any] = field(repr=False)
    digest: str
    shards: tuple[Shard, ...] = field(repr=False)

    @property
    def sequences(self) -> int:
        """Number of records in all shards."""
        return sum(shard.sequences for shard in self.shards)

    @property
    def residues(self) -> int:
        """Letters of all records."""
        return sum(shard.residues for shard in self.shards)

    @property
    def has_mmseqs(self) -> bool:
        """Whether the shards can be searched with MMseqs2."""
        return self.manifest["mmseqs"] is not None

    @property
    def has_index(self) -> bool:
        """Whether the shards have MMseqs2's precomputed index beside them."""
        return self.has_mmseqs and bool(self.manifest["mmseqs"]["index"])

    @property
    def size_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(facts["bytes"] for facts in self.manifest["files"].values())

    @property
    def added(self) -> str:
        """The day on which it was made, ISO 8601."""
        return str(self.manifest["created"])[:10]

    def reopened(self) -> Database:
        """Open it again, as it is now.

        Raises:
            DataError: It is gone or damaged.
        """
        return open_database(self.folder)

    def require_mmseqs(self) -> None:
        """Check that MMseqs2 can search the shards.

        Raises:
            DataError: The database was built without MMseqs2.
        """
        if not self.has_mmseqs:
            raise DataError(
                Message("database {name} was built without MMseqs2 files", name=self.name),
                hint=Message(
                    "search it with hmmer, or `itda db remove {name}` and add it again "
                    "without {--no-mmseqs}",
                    name=self.name,
                ),
            )

    def chains(self) -> KnownChains:
        """Open the structures to search for templates.

        Raises:
            DataError: The database holds sequences alone, or its structures were altered.
        """
        return self.dataset()

    def dataset(self) -> ChainDataset:
        """Open the structures; chain i is record i of the shards taken one after another.

        Raises:
            DataError: The database holds sequences alone, or its structures were altered.
        """
        if self.kind != "structures":
            raise DataError(
                Message("database {name} holds sequences, no structures", name=self.name),
                hint=Message("make a template database with `itda db add-structures`"),
            )
        return ChainDataset.open(self.folder / CHAINS)


def open_database(folder: Path) -> Database:
    """Open a database; every file must be there with the size that the manifest says.

    Raises:
        DataError: There is none, it is of another version, or a file is missing or altered.
    """
    manifest = read_manifest(folder)
    hint = _mend(folder.name)
    try:
        for name, facts in manifest["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != facts["bytes"]:
                raise DataError(
                    Message(
                        "database {folder}: {path} is missing or is not {facts:,} bytes, as "
                        "its manifest says",
                        folder=folder.name,
                        path=path,
                        facts=facts["bytes"],
                    ),
                    hint=hint,
                )
        return Database(
            name=folder.name,
            kind=manifest["kind"],
            folder=folder,
            manifest=manifest,
            digest=manifest["digest"],
            shards=tuple(
                Shard(
                    fasta=folder / shard["folder"] / FASTA,
                    mmseqs=folder / shard["folder"] / MMSEQS,
                    sequences=shard["sequences"],
                    residues=shard["residues"],
                )
                for shard in manifest["shards"]
            ),
        )
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            Message(
                "database {folder}: {folder_2} cannot be read: {error}",
                folder=folder.name,
                folder_2=folder / MANIFEST,
                error=repr(error),
            ),
            hint=hint,
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read `database.json` without looking at the other files.

    Raises:
        DataError: It is missing, damaged, or of another format or version.
    """
    path = folder / MANIFEST
    hint = _mend(folder.name)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            Message(
                "database {folder}: {path} cannot be read: {error}",
                folder=folder.name,
                path=path,
                error=error,
            ),
            hint=hint,
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(
            Message("{path} does not describe a database of Itda", path=path), hint=hint
        )
    if manifest.get("version") != FORMAT_VERSION:
        raise DataError(
            Message(
                "database {folder} has version {get}, this Itda reads version {format_version}",
                folder=folder.name,
                get=manifest.get("version"),
                format_version=FORMAT_VERSION,
            ),
            hint=hint,
        )
    return manifest


def content_digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest of what a database holds, from the digests of its files.

    Args:
        manifest: Its kind, shards and files; dates, names and MMseqs2's files do not take part.
    """
    files = manifest["files"]
    chains = {
        name: facts["sha256"]
        for name, facts in files.items()
        # The dataset's own manifest tells when it was made.
        if name.startswith(f"{CHAINS}/") and name != f"{CHAINS}/{CHAINS_MANIFEST}"
    }
    content = {
        "format": FORMAT_VERSION,
        "kind": manifest["kind"],
        "shards": [files[f"{shard['folder']}/{FASTA}"]["sha256"] for shard in manifest["shards"]],
        "chains": chains,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _mend(name: str) -> str:
    return f"`itda db check {name}` says what differs; `itda db remove {name}` and add it again"
