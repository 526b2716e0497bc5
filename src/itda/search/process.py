"""Programs that are run as a group of processes and never outlive the one that asked for them."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

# How often `on_output` is called while the program says nothing.
HEARTBEAT_SECONDS = 0.5
_KEPT_CHARACTERS = 100_000

# The program runs beside a watcher that reads from a pipe which nothing writes to. The pipe ends
# when this process does, however it does, and the watcher then kills the group: a signal to this
# process alone, SIGKILL included, leaves no program behind. A shell does it on Linux and macOS
# alike; PR_SET_PDEATHSIG would reach the first of the program's own processes only.
_WATCHED = """
exec 3<&0 </dev/null
{ cat; kill -s KILL -- "-$$"; } <&3 >/dev/null 2>&1 &
"$@" 3<&- &
wait $!
"""


def run_program(
    command: Sequence[str],
    *,
    on_output: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, str, str]:
    """Run a program to its end, and kill it with all it started where that cannot be awaited.

    Args:
        command: Program and arguments.
        on_output: Called with each piece of standard output as it comes, and with empty text every
            half second in between. What it raises stops the program and goes on to the caller.
        environment: Variables to set beside those of this process.
        folder: Where to run it; here by default.

    Returns:
        Exit status, and the last 100,000 characters of standard output and of standard error.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHED, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        output, errors = _read(process.stdout, process.stderr, on_output)
        return process.wait(), output, errors
    finally:
        # Also after a good end: the watcher is still there.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def _read(
    output: IO[bytes], errors: IO[bytes], on_output: Callable[[str], None] | None
) -> tuple[str, str]:
    kept = {output.fileno(): "", errors.fileno(): ""}
    with selectors.DefaultSelector() as selector:
        for descriptor in kept:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(HEARTBEAT_SECONDS)
            if not ready and on_output is not None:
                on_output("")
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fd)
                    continue
                text = piece.decode("utf-8", "replace")
                kept[key.fd] = (kept[key.fd] + text)[-_KEPT_CHARACTERS:]
                if on_output is not None and key.fd == output.fileno():
                    on_output(text)
    return kept[output.fileno()], kept[errors.fileno()]
