"""Runs that must not touch a network."""

from __future__ import annotations

import os

from itda.errors import InputError
from itda.language import Message

VARIABLE = "ITDA_OFFLINE"


def go_offline(search: str | None) -> None:
    """Let nothing of this process, or of those that it starts, use a network.

    Args:
        search: How alignments are searched, as `--msa` says it.

    Raises:
        InputError: The search is on a server.
    """
    if search is not None and search.startswith("server:"):
        raise InputError(
            Message("{--msa:{search}}: {--offline} forbids a server", search=search),
            hint=Message(
                "search a database of `itda db list` with {--msa:mmseqs} or {--msa:hmmer}"
            ),
        )
    os.environ[VARIABLE] = "1"
