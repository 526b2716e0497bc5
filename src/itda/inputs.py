"""From what a user names, files, folders and patterns, to the files to read, in order."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from itda.errors import InputError, ItdaError
from itda.language import Message, counted

STANDARD_INPUT = "-"

_MOST_NAMED = 5
_SEQUENCE = re.compile(r"[A-Za-z:*]{10,}")


@dataclass(frozen=True)
class Kind:
    """Files of one kind, as folders are looked through for them.

    Attributes:
        what: For messages: "FASTA, YAML or JSON".
        suffixes: How their names end, in lower case, compressed or not.
        why_not: Says of a file whose name ends so why it is none all the same; "" where it is one.
        alone: Leaves out of files those that are no input of their own beside the others.
        belongs: What is said of those.
    """

    what: str
    suffixes: tuple[str, ...]
    why_not: Callable[[Path], str] = lambda path: ""
    alone: Callable[[Iterable[Path]], list[Path]] = list
    belongs: str = "part of another"


@dataclass(frozen=True)
class Refused:
    """Something named that gives no file.

    Attributes:
        named: As the user wrote it.
        error: What is wrong with it.
    """

    named: str
    error: ItdaError


@dataclass(frozen=True)
class Inputs:
    """What was named.

    Attributes:
        sources: In order: a path, `-` for standard input, or what gives no file.
        notes: What a folder holds that is not taken, and what was named twice.
        name: What the inputs are called together: the file's or the folder's name without its
            ending, `stdin`, or `results` for several.
    """

    sources: tuple[str | Refused, ...]
    notes: tuple[str, ...]
    name: str


def expand(named: Sequence[str], kind: Kind) -> Inputs:
    """Find the files that are meant.

    A folder stands for the files of the kind in it, not in folders below it; a pattern (`*.fasta`,
    `run?/*`, `**/*.fa`) for all that it matches, which matters where no shell has done so before. A
    path that exists is never a pattern. A file that is named twice is taken once.

    Args:
        named: Paths, patterns, and `-`.
        kind: What is looked for in folders.
    """
    found = _Found(kind)
    for text in named:
        found.add(text)
    found.leave_companions()
    return Inputs(tuple(found.sources), tuple(found.notes), _common_name(named, found, kind))


def stem(path: str | Path, kind: Kind | None = None) -> str:
    """Return the name of a file without `.gz` and without its ending.

    Args:
        path: Of the file.
        kind: Only an ending of this kind is taken away; any unless told.

    >>> stem("data/kinase.v2.A3M.gz"), stem("data/kinase.v2", Kind("FASTA", (".fasta",)))
    ('kinase.v2', 'kinase.v2')
    """
    name = Path(path).name
    if name.lower().endswith(".gz") and len(name) > len(".gz"):
        name = name[: -len(".gz")]
    named = Path(name)
    return named.stem if kind is None or named.suffix.lower() in kind.suffixes else name


def looks_like_sequence(text: str) -> bool:
    """Whether text that should be a path is rather a sequence.

    >>> looks_like_sequence("MKTAYIAKQRQISFVK*"), looks_like_sequence("my.fasta")
    (True, False)
    """
    return _SEQUENCE.fullmatch(text) is not None


def in_order(paths: Iterable[str]) -> list[str]:
    """Sort as people count: `a2` before `a10`.

    >>> in_order(["a10", "a2", "A1"])
    ['A1', 'a2', 'a10']
    """
    return sorted(paths, key=lambda path: (_counted(path), path))


def _counted(path: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", path.casefold())
    return [(1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts if part]


class _Found:
    """Collects files; each is taken once, however it is named."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.sources: list[str | Refused] = []
        self.notes: list[str] = []
        self._seen: dict[object, str] = {}

    def add(self, text: str) -> None:
        """Take what a user named."""
        if text == STANDARD_INPUT or not glob.has_magic(text) or os.path.lexists(text):
            self._add_path(text)
            return
        matches = in_order(glob.glob(text, recursive=True))  # noqa: PTH207, as the pattern is
        if not matches and looks_like_sequence(text):
            self.sources.append(text)
        elif not matches:
            self._refuse(text, f"no file matches {text}", _near(text))
        for match in matches:
            self._add_path(match)

    def leave_companions(self) -> None:
        """Leave out what is no input of its own beside what else was named."""
        paths = [Path(one) for one in self.sources if isinstance(one, str)]
        kept = set(self.kind.alone(paths))
        left = [str(path) for path in paths if path not in kept]
        self.sources = [
            one for one in self.sources if isinstance(one, Refused) or Path(one) in kept
        ]
        if left:
            self.notes.append(
                Message(
                    "left out: {left} ({belongs})", left=_listed(left), belongs=self.kind.belongs
                )
            )

    def _refuse(self, named: str, problem: str, hint: str) -> None:
        self.sources.append(Refused(named, InputError(problem, hint=hint)))

    def _add_path(self, text: str) -> None:
        if text != STANDARD_INPUT and Path(text).is_dir():
            self._add_folder(text)
        else:
            self._add_file(text)

    def _add_file(self, text: str) -> None:
        key = _identity(text)
        if key is None or key not in self._seen:
            self._seen[key] = text
            self.sources.append(text)
        elif self._seen[key] == text:
            self.notes.append(Message("{text} is named twice and taken once", text=_shown(text)))
        else:
            self.notes.append(
                Message(
                    "{seen} and {text} are one file, which is taken once",
                    seen=self._seen[key],
                    text=text,
                )
            )

    def _add_folder(self, folder: str) -> None:
        try:
            names = [path.name for path in Path(folder).iterdir() if path.name[0] != "."]
        except OSError as error:
            self._refuse(folder, f"cannot look into {folder}: {error.strerror}", "name its files")
            return
        taken: list[Path] = []
        left: dict[str, list[str]] = {}
        for name in in_order(names):
            path = Path(folder, name)
            if reason := self._why_not(path):
                left.setdefault(reason, []).append(name + ("/" if path.is_dir() else ""))
            else:
                taken.append(path)
        kept = self.kind.alone(taken)
        for path in taken:
            if path not in kept:
                left.setdefault(self.kind.belongs, []).append(path.name)
        told = "; ".join(f"{_listed(some)} ({reason})" for reason, some in left.items())
        if not taken:
            rest = f"; it holds {told}" if told else "; it is empty"
            hint = f"give a folder that holds {self.kind.what}, or name files"
            if any(path.is_dir() for path in Path(folder).iterdir()):
                hint += f"; folders below it are taken by '{Path(folder, '*')}'"
            self._refuse(folder, f"the folder {folder} holds no {self.kind.what}{rest}", hint)
            return
        if told:
            count = counted("{count} file", "{count} files", len(kept))
            self.notes.append(
                Message(
                    "{folder}: {count} taken; left out: {told}",
                    folder=folder,
                    count=count,
                    told=told,
                )
            )
        for path in kept:
            self._add_file(str(path))

    def _why_not(self, path: Path) -> str:
        """Say why a file in a folder is not taken; "" where it is."""
        if path.is_dir():
            return "a folder"
        if not path.is_file():
            return "no file"
        name = path.name.lower().removesuffix(".gz")
        if not name.endswith(self.kind.suffixes):
            return f"no {self.kind.what}"
        return self.kind.why_not(path)


def _identity(text: str) -> object:
    """Return what is equal for two names of one file; None where there is no file."""
    if text == STANDARD_INPUT:
        return STANDARD_INPUT
    try:
        status = Path(text).stat()
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino)


def _near(pattern: str) -> str:
    """Say what there is where a pattern looked in vain."""
    folder = Path(pattern).parent
    if not glob.has_magic(str(folder)):
        if not folder.is_dir():
            return f"there is no folder {folder}"
        endings = Counter(
            "*" + path.suffix
            for path in folder.iterdir()
            if path.is_file() and not path.name.startswith(".")
        )
        if endings:
            told = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
            return f"{'this folder' if folder == Path() else folder} holds {told}"
    return "give files, a folder, or a pattern"


def _common_name(named: Sequence[str], found: _Found, kind: Kind) -> str:
    if len(named) == 1 and Path(named[0]).is_dir():
        return Path(named[0]).resolve().name or "results"
    if len(found.sources) != 1 or isinstance(found.sources[0], Refused):
        return "results"
    source = found.sources[0]
    return "stdin" if source == STANDARD_INPUT else stem(source, kind)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(text: str) -> str:
    return "standard input" if text == STANDARD_INPUT else text
