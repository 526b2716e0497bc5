"""The databases of this user, by name."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from itda.errors import DataError, InputError, OutputError
from itda.language import Message
from itda.progress import Progress, ignore_progress
from itda.search.databases.build import BuildSettings, build_sequences, build_structures
from itda.search.databases.check import CheckReport, check_database, check_library
from itda.search.databases.database import MANIFEST, Database, open_database
from itda.search.databases.known_folds import FILE_VARIABLE as LIBRARY_VARIABLE
from itda.search.databases.known_folds import NAME as LIBRARY
from itda.search.databases.known_folds import has_known_folds, known_folds
from itda.search.databases.lock import build_lock
from itda.search.databases.shards import finished_shards
from itda.search.databases.sources import FastaFiles, FastaSource
from itda.search.databases.structures import StructureSource
from itda.search.databases.writing import folder_bytes, writing
from itda.storage import user_data_folder

FOLDER_VARIABLE = "ITDA_DATABASES"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# `--templates none` means no templates, and the library comes with Itda.
_RESERVED = ("none", LIBRARY)
_BUILDING = ".building"
_FETCHED = ".fetched"
_REMOVING = ".removing"


def databases_folder() -> Path:
    """Return `$ITDA_DATABASES`, else `databases` in the user's data folder of Itda."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else user_data_folder() / "databases"


class Databases:
    """Databases in a folder, each whole or not there at all.

    Args:
        folder: Where they are; `databases_folder()` by default. Made when the first is added.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else databases_folder()

    def add_sequences(
        self,
        name: str,
        fasta: Path | Sequence[Path] | FastaSource,
        *,
        shards: int | None = None,
        shard_residues: int | None = None,
        index: bool = False,
        gpu: bool = False,
        mmseqs: bool = True,
        skip_bad: bool = False,
        threads: int = 1,
        progress: Progress = ignore_progress,
    ) -> Database:
        """Make a database of FASTA files.

        What a killed build of this name finished is taken up where it is what this one would make.

        Args:
            name: Letters, digits, `.`, `_` and `-`, first a letter or digit, up to 64.
            fasta: Protein sequences, plain or compressed with gzip or zstd; or a source of them.
            shards: How many parts of about equal size; takes one more reading.
            shard_residues: Residues from which on a new part begins; by default
                `DEFAULT_SHARD_RESIDUES`. Not together with `shards`.
            index: Whether MMseqs2's index is computed beforehand; it needs several times the room.
            gpu: Whether MMseqs2's files are laid out for a GPU; a processor reads them too.
            mmseqs: Whether MMseqs2 files are made; without them only hmmer searches the database.
            skip_bad: Whether a record that cannot be used is left out and listed in
                `rejected.tsv` instead of stopping the build.
            threads: Processor cores for MMseqs2.
            progress: Told the fraction done and what is being done; may raise to stop.

        Raises:
            InputError: The name breaks its rule, or a file or record cannot be used.
            OutputError: A database of that name is there or is being built, or cannot be written.
            DependencyError: MMseqs2 or a decompressor is not installed.
            DataError: MMseqs2 failed.
        """
        if isinstance(fasta, Path):
            fasta = [fasta]
        source = FastaFiles(list(fasta)) if isinstance(fasta, Sequence) else fasta
        settings = BuildSettings(
            shards=shards,
            shard_residues=shard_residues,
            index=index,
            gpu=gpu,
            mmseqs=mmseqs,
            skip_bad=skip_bad,
            threads=threads,
        )
        return self._build(
            name, lambda work: build_sequences(work, name, source, settings, progress)
        )

    def add_structures(
        self,
        name: str,
        source: StructureSource,
        *,
        shards: int | None = None,
        shard_residues: int | None = None,
        index: bool = False,
        gpu: bool = False,
        mmseqs: bool = True,
        threads: int = 1,
        progress: Progress = ignore_progress,
    ) -> Database:
        """Make a database of structures, which templates are taken from.

        Args:
            name: As for `add_sequences`.
            source: Of `structures_of_folder` or `structures_of_promod3`.
            shards: As for `add_sequences`.
            shard_residues: As for `add_sequences`.
            index: As for `add_sequences`.
            gpu: As for `add_sequences`.
            mmseqs: As for `add_sequences`.
            threads: Processor cores for MMseqs2.
            progress: As for `add_sequences`.

        Raises:
            InputError: The name breaks its rule, or the source cannot honour what is asked.
            OutputError: A database of that name is there or is being built, or cannot be written.
            DependencyError: MMseqs2 is not installed.
            DataError: No chain was accepted, or MMseqs2 failed.
        """
        settings = BuildSettings(
            shards=shards,
            shard_residues=shard_residues,
            index=index,
            gpu=gpu,
            mmseqs=mmseqs,
            threads=threads,
        )
        return self._build(
            name, lambda work: build_structures(work, name, source, settings, progress)
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all finished databases, in order, also of damaged ones.

        The library of known folds comes first, where it is not switched off.
        """
        own = tuple(path.name for path in self._entries() if (path / MANIFEST).is_file())
        return (LIBRARY, *own) if has_known_folds() else own

    def list(self) -> Sequence[Database]:
        """Open every database.

        Raises:
            DataError: One is damaged.
        """
        return [self.get(name) for name in self.names()]

    def unfinished(self) -> dict[str, int]:
        """Return the names of builds that run or were killed, with the bytes that they hold."""
        return self._hidden(_BUILDING)

    def half_fetched(self) -> dict[str, int]:
        """Return the names of fetches that run or were stopped, with the bytes that they hold."""
        return {name: size for name, size in self._hidden(_FETCHED).items() if size}

    def fetch_folder(self, name: str) -> Path:
        """Return where a database's source is while it is fetched and built; it may not exist."""
        return self.folder / f".{name}{_FETCHED}"

    def require_absent(self, name: str) -> None:
        """Check that a name can be given to a new database.

        Raises:
            InputError: The name breaks its rule.
            OutputError: There is a database of it.
        """
        _check_name(name)
        if (self.folder / name).exists():
            raise OutputError(
                Message(
                    "there is a database {name} already in {folder}",
                    name=name,
                    folder=self.folder,
                ),
                hint=Message("choose another name, or `itda db remove {name}` first", name=name),
            )

    def path(self, name: str) -> Path:
        """Return the folder of a database, whole or damaged.

        Raises:
            InputError: The name breaks its rule.
            DataError: There is none of this name.
        """
        if name == LIBRARY:
            return known_folds().folder
        _check_name(name)
        folder = self.folder / name
        if not folder.is_dir():
            raise self._missing(name)
        return folder

    def get(self, name: str) -> Database:
        """Open a database; looks at the size of each file, not at its content.

        Raises:
            InputError: The name breaks its rule.
            DataError: There is none of this name, or it is damaged.
        """
        return known_folds() if name == LIBRARY else open_database(self.path(name))

    def check(self, name: str, *, progress: Progress = ignore_progress) -> CheckReport:
        """Compare every byte of a database with its manifest.

        Raises:
            InputError: The name breaks its rule.
            DataError: There is none of this name.
        """
        if name == LIBRARY:
            return check_library(known_folds())
        return check_database(self.path(name), progress=progress)

    def remove(self, name: str) -> int:
        """Remove a database, or what a killed build or a stopped fetch of it left behind.

        Returns:
            The bytes that were freed.

        Raises:
            InputError: The name breaks its rule.
            DataError: There is none of this name.
            OutputError: It is being built, or cannot be removed.
        """
        if name == LIBRARY:
            raise InputError(
                Message("{name} comes with Itda and is no file of yours", name=name),
                hint=Message(
                    "`--templates none` folds without it; ${variable}=none does so for all",
                    variable=LIBRARY_VARIABLE,
                ),
            )
        _check_name(name)
        held = (self.folder / name, self._work(name), self.fetch_folder(name))
        if not any(path.is_dir() for path in held):
            raise self._missing(name)
        with self._lock(name), writing(self.folder):
            freed = 0
            for path in held:
                if not path.is_dir():
                    continue
                freed += folder_bytes(path)
                # Gone at once under its name, however long the removal takes.
                leaving = self.folder / f".{uuid.uuid4().hex}{_REMOVING}"
                path.rename(leaving)
                shutil.rmtree(leaving)
        return freed

    def _build(self, name: str, build: Callable[[Path], None]) -> Database:
        _check_name(name)
        folder, work = self.folder / name, self._work(name)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(name):
            self.require_absent(name)
            self._sweep()
            with writing(self.folder):
                work.mkdir(exist_ok=True)
            try:
                with writing(self.folder):
                    build(work)
                    work.rename(folder)
            finally:
                _leave_only_finished_shards(work)
        return open_database(folder)

    def _hidden(self, ending: str) -> dict[str, int]:
        return {
            path.name.removeprefix(".").removesuffix(ending): folder_bytes(path)
            for path in self._entries(hidden=True)
            if path.name.endswith(ending)
        }

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with build_lock(self.folder / f".{name}.lock", name):
            yield

    def _work(self, name: str) -> Path:
        return self.folder / f".{name}{_BUILDING}"

    def _entries(self, *, hidden: bool = False) -> Sequence[Path]:
        try:
            found = sorted(self.folder.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise DataError(
                Message(
                    "the folder of databases {folder} cannot be read: {strerror}",
                    folder=self.folder,
                    strerror=error.strerror,
                ),
                hint=Message(
                    "set ${folder_variable} to a folder that can", folder_variable=FOLDER_VARIABLE
                ),
            ) from error
        return [path for path in found if path.is_dir() and path.name.startswith(".") == hidden]

    def _sweep(self) -> None:
        for path in self._entries(hidden=True):
            if path.name.endswith(_REMOVING):
                shutil.rmtree(path, ignore_errors=True)

    def _missing(self, name: str) -> DataError:
        names = self.names()
        if name in self.unfinished():
            problem = Message(
                "database {name} is unfinished: it is being built, or its build was killed",
                name=name,
            )
            return DataError(problem, hint=Message("run the same `itda db add` again; it goes on"))
        if name in self.half_fetched():
            return DataError(
                Message(
                    "database {name} is unfinished: it is being fetched, or its fetch was stopped",
                    name=name,
                ),
                hint=Message("`itda db get {name}` goes on", name=name),
            )
        close = difflib.get_close_matches(name, names, n=1)
        hint = Message("make one with `itda db get`, `itda db add` or `itda db add-structures`")
        if close:
            hint = Message("did you mean {close}?", close=close[0])
        elif names:
            hint = Message("there are {names:,}", names=names)
        return DataError(
            Message("there is no database {name} in {folder}", name=name, folder=self.folder),
            hint=hint,
        )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            Message("{name!r} cannot be the name of a database", name=name),
            hint=Message("up to 64 letters a-z, digits, '.', '_' and '-', a letter or digit first"),
        )
    if name.lower() in _RESERVED:
        raise InputError(
            Message("a database cannot be called {name}", name=name),
            hint=Message("choose another name"),
        )


def _leave_only_finished_shards(work: Path) -> None:
    """Free what a failed build cannot take up again."""
    if work.is_dir() and not finished_shards(work):
        shutil.rmtree(work, ignore_errors=True)
