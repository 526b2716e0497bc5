"""A folder of alignments, one A3M file a sequence, that a stopped search goes on with.

`search.json` beside the files says what each was searched with, so that nothing of another query,
database or setting is taken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itda.errors import OutputError
from itda.language import Message
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import read_alignment
from itda.search.protocol import digest_of
from itda.search.sources.source import Source
from itda.storage import file_digest, write_whole

FORMAT = 1
MANIFEST = "search.json"
_WORK = ".searching"


@dataclass(frozen=True)
class Written:
    """An alignment that stands in the folder.

    Attributes:
        path: Its file.
        alignment: What is in it.
        found_again: Whether it stood there before.
    """

    path: Path
    alignment: Alignment
    found_again: bool


class AlignmentFolder:
    """Searches sequences into a folder.

    Args:
        folder: Made where it is not there.
        source: Where alignments come from.
        overwrite: Whether files of another search or query are replaced.

    Raises:
        OutputError: The folder cannot be written.
        DataError: As `Source.key`.
    """

    def __init__(self, folder: Path, source: Source, *, overwrite: bool = False) -> None:
        self.folder = folder
        self._source = source
        self._overwrite = overwrite
        self._key = digest_of({"format": FORMAT, "source": dict(source.key())})
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _output_error(folder, error) from error
        self._files = self._read_manifest()

    def write(self, name: str, query: str, progress: Progress) -> Written:
        """Search a sequence into `NAME.a3m`, unless it stands there from the same search.

        Args:
            name: Name of the file, without its ending.
            query: One-letter protein sequence.
            progress: As for `Source.search`.

        Raises:
            OutputError: The file is of another query, database or setting, or cannot be written.
            ItdaError: As `Source.search`.
        """
        path = self.folder / f"{name}.a3m"
        identity = digest_of([self._key, query])
        if self._stands(path, identity):
            return Written(path, read_alignment(path, query=query), found_again=True)
        if path.exists() and not self._overwrite:
            raise OutputError(
                Message(
                    "{path} exists already and is not from this search: another query, "
                    "database or setting, or changed by hand",
                    path=path,
                ),
                hint=Message("choose another {--out}, or pass {--overwrite}"),
            )
        alignment = self._same_query(identity, query)
        work = self.folder / _WORK / identity
        try:
            if alignment is None:
                work.mkdir(parents=True, exist_ok=True)
                alignment = self._source.search(query, work=work, progress=progress)
            self._keep(path, identity, alignment)
        except OSError as error:
            raise _output_error(path, error) from error
        shutil.rmtree(work, ignore_errors=True)
        with contextlib.suppress(OSError):
            work.parent.rmdir()
        return Written(path, alignment, found_again=False)

    def lacks(self, name: str, query: str) -> bool:
        """Whether `write` would search: nothing stands there, or what may be replaced."""
        path = self.folder / f"{name}.a3m"
        if not path.exists():
            return True
        return self._overwrite and not self._stands(path, digest_of([self._key, query]))

    def _stands(self, path: Path, identity: str) -> bool:
        entry = self._files.get(path.name)
        return (
            entry is not None
            and entry.get("identity") == identity
            and path.is_file()
            and file_digest(path) == entry.get("sha256")
        )

    def _same_query(self, identity: str, query: str) -> Alignment | None:
        """Return what another record of the same sequence found."""
        for name, entry in self._files.items():
            path = self.folder / name
            if entry.get("identity") == identity and self._stands(path, identity):
                return read_alignment(path, query=query)
        return None

    def _keep(self, path: Path, identity: str, alignment: Alignment) -> None:
        content = alignment.to_a3m().encode()
        write_whole(path, content)
        self._files[path.name] = {
            "identity": identity,
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": len(alignment),
            "source": self._source.title,
            "key": dict(self._source.key()),
        }
        text = json.dumps({"format": FORMAT, "files": self._files}, indent=1, ensure_ascii=False)
        write_whole(self.folder / MANIFEST, text.encode())

    def _read_manifest(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            return {}
        files = content.get("files")
        if not isinstance(files, Mapping):
            return {}
        return {str(name): dict(entry) for name, entry in files.items() if isinstance(entry, dict)}


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        Message(
            "{path}: cannot be written: {strerror}", path=path, strerror=error.strerror or error
        ),
        hint=Message("choose another {--out}"),
    )
