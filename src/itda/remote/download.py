"""From a server's files to a folder: checked by digest, and whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path

from itda.errors import InputError, OutputError
from itda.job.names import check_file_name
from itda.language import Message
from itda.remote.errors import UnreachableError
from itda.remote.transport import TRIES, Transport
from itda.storage import file_digest
from itda.wire import FileView

_CHUNK_BYTES = 2**18


def save(transport: Transport, file: FileView, folder: Path, *, overwrite: bool) -> Path:
    """Write a file of a server; one that is there already is not fetched again.

    Raises:
        OutputError: It cannot be written, or there is another file of its name.
        UnreachableError: It breaks off, or is not what the server said, again and again.
    """
    try:
        # A server's word is no reason to write elsewhere.
        path = folder / check_file_name(file.name)
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.is_file() and file_digest(path) == file.sha256:
                return path
            if not overwrite:
                raise OutputError(
                    Message("{path}: holds something else", path=path),
                    hint=Message("choose another folder, or allow it to be replaced (overwrite)"),
                )
        _fetch(transport, file, path)
    except OSError as error:
        raise OutputError(
            Message(
                "{folder}: cannot be written: {strerror}",
                folder=folder,
                strerror=error.strerror or error,
            )
        ) from error
    except InputError as error:
        raise OutputError(
            Message("file name {problem}", problem=error.problem),
            hint=Message("the server should not say it"),
        ) from error
    return path


def _fetch(transport: Transport, file: FileView, path: Path) -> None:
    for attempt in range(TRIES):
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".itda-", delete=False) as target:
            temporary = Path(target.name)
            try:
                digest = hashlib.sha256()
                with contextlib.suppress(UnreachableError), transport.stream(file.url) as answer:
                    for chunk in answer.iter_bytes(_CHUNK_BYTES):
                        digest.update(chunk)
                        target.write(chunk)
                target.flush()
                if digest.hexdigest() == file.sha256:
                    temporary.chmod(0o644)
                    temporary.replace(path)
                    return
            finally:
                temporary.unlink(missing_ok=True)
        transport.wait(attempt)
    raise UnreachableError(
        Message("{file}: breaks off, or is not what the server said it was", file=file.name),
        hint=Message("try again; what stands between may change it"),
    )
