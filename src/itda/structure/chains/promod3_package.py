"""The structure database inside Debian's promod3-data package: fetched, unpacked, found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itda.debian import fetch_package, unpack
from itda.errors import DataError
from itda.language import Message

PACKAGE = "promod3-data"
MEMBER = "usr/share/promod3/loop_data/structure_db.dat"
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
        DependencyError: `apt-get` is needed and not there.
    """
    for path in (deb, file):
        if path is not None and not path.is_file():
            raise DataError(Message("{path} does not exist", path=path), hint=_HINT)
    if file is not None:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="itda-promod3-") as name:
        folder = Path(name)
        package = deb if deb is not None else fetch_package(PACKAGE, folder, hint=_HINT)
        (found,) = unpack(package, folder / "unpacked", [MEMBER], hint=_HINT)
        yield found
