"""The structure database inside Debian's promod3-data package: fetched, unpacked, found."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.errors import DataError, DependencyError
from itda.language import Message

PACKAGE = "promod3-data"
MEMBER = Path("usr/share/promod3/loop_data/structure_db.dat")
_HINT = Message(
    "fetch the package from https://packages.debian.org/promod3-data and give it with "
    "{--deb}, or its structure_db.dat with {--file}"
)


@contextmanager
def structure_database(*, deb: Path | None = None, file: Path | None = None) -> Iterator[Path]:
    """Give the path of `structure_db.dat`; what was fetched or unpacked is removed at the end.

    Args:
        deb: The package file; fetched with `apt-get download` where neither is given.
        file: The database itself.

    Raises:
        DataError: A file is missing, or the package holds no database.
        DependencyError: `apt-get` or `dpkg-deb` is needed and not there.
    """
    for path in (deb, file):
        if path is not None and not path.is_file():
            raise DataError(Message("{path} does not exist", path=path), hint=_HINT)
    if file is not None:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="itda-promod3-") as name:
        folder = Path(name)
        package = deb.absolute() if deb is not None else _download(folder)
        _run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], folder)
        found = folder / "unpacked" / MEMBER
        if not found.is_file():
            raise DataError(
                Message("{package} holds no {member}", package=package, member=MEMBER), hint=_HINT
            )
        yield found


def _download(folder: Path) -> Path:
    _run(["apt-get", "download", PACKAGE], folder)
    packages = sorted(folder.glob(f"{PACKAGE}_*.deb"))
    if not packages:
        raise DataError(
            Message("apt-get download {package} left no file", package=PACKAGE), hint=_HINT
        )
    return packages[0]


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise DependencyError(Message("{command} is not installed", command=command[0]), hint=_HINT)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()[-30:])
        raise DataError(
            Message("{command} failed: {said}", command=" ".join(command[:2]), said=said),
            hint=_HINT,
        )
