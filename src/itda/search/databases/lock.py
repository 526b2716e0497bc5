"""One build of a name at a time, over all processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from itda.errors import OutputError
from itda.language import Message
from itda.storage import locked


@contextmanager
def build_lock(path: Path, name: str) -> Iterator[None]:
    """Hold a lock that goes with the process, however it ends.

    Args:
        path: The lock's file; removed at the end.
        name: Of the database, for the message.

    Raises:
        OutputError: Another process or thread holds it, or the folder cannot hold locks.
    """

    def refuse(holder: str) -> None:
        raise OutputError(
            Message(
                "database {name} is being built or removed by process {holder}",
                name=name,
                holder=holder,
            ),
            hint=Message("wait until it is done, or choose another name"),
        )

    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, on_busy=refuse))
        except OSError as error:
            raise OutputError(
                Message(
                    "{parent} cannot be written or locked: {strerror}",
                    parent=path.parent,
                    strerror=error.strerror,
                ),
                hint=Message(
                    "set $ITDA_DATABASES to a folder on a local disk that you may write to"
                ),
            ) from error
        yield
