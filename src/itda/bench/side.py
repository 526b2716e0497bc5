"""A side of a comparison in a process of its own, asked in JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itda.errors import DependencyError
from itda.language import Message

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# The child's own packages come first: ours, appended, only lend what it lacks.
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); module = sys.argv.pop(1); "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


class Side:
    """A child process that answers one request at a time.

    Args:
        module: What the child runs; it reads requests from standard input.
        arguments: Of the module.
        python: Interpreter of the child; this one unless told.
        environment: Added to that of this process.
        threads: That the child may use.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        threads: int = 1,
    ) -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        room = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [python or sys.executable, "-W", "ignore", "-c", _START, room, module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={
                **os.environ,
                **dict.fromkeys(_THREADS, str(threads)),
                **(environment or {}),
            },
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            DependencyError: The child ended, for example since a package is missing.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise DependencyError(
                Message(
                    "a process of the benchmark ended without an answer: {last_words}",
                    last_words=self._last_words(),
                ),
                hint=Message("run it with a Python that has the package: {--python:PATH}"),
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the child end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"
