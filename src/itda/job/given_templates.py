"""What a user writes to give a template: `FILE`, `FILE:CHAIN`, `ID=FILE`, `ID=FILE:CHAIN`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from itda.errors import InputError
from itda.job.names import check_chain_id
from itda.job.problems import shown
from itda.language import Message


@dataclass(frozen=True)
class GivenTemplate:
    """A structure to fold after.

    Attributes:
        text: As it was written.
        path: Of the file.
        chain: Of that file; None for the one that fits best.
        ids: Chains of the job that it is meant for; none for those whose sequence is alike.
    """

    text: str
    path: Path
    chain: str | None = None
    ids: tuple[str, ...] = ()


def parse_given_template(
    text: str, is_file: Callable[[str], bool] = lambda name: Path(name).is_file()
) -> GivenTemplate:
    """Take apart what a user wrote.

    Names of files may hold colons and equals signs: the reading that names a file there is holds,
    and of two such the one that leaves most to the file's name.

    Args:
        text: What was written.
        is_file: Tells whether there is a file of a name.

    Raises:
        InputError: It names no file, or the chain is none.

    Example:
        >>> found = parse_given_template("A=1ubq.cif:B", is_file=lambda name: name == "1ubq.cif")
        >>> found.ids, str(found.path), found.chain
        (('A',), '1ubq.cif', 'B')
    """
    readings = list(_readings(text))
    for ids, name, chain in readings:
        if _exists(name, is_file):
            for each in (*ids, *(() if chain is None else (chain,))):
                _check(text, each)
            return GivenTemplate(text, Path(name), chain, ids)
    _, name, _ = readings[-1]
    raise InputError(
        Message("{--template:{text}}: there is no file {name}", text=text, name=shown(name)),
        hint=Message(
            "give an mmCIF, BinaryCIF or PDB file, with a chain behind a colon where it has "
            "several; a database of structures is for {--templates}"
        ),
    )


def _readings(text: str) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Give the ways to read it, as chains of the job, file and chain; the plainest first."""
    before, parted, behind = text.partition("=")
    named = bool(parted and before) and not any(mark in before for mark in "/\\")
    yield (), text, None
    yield from _with_chain((), text)
    if named:
        ids = tuple(one.strip() for one in before.split(","))
        yield ids, behind, None
        yield from _with_chain(ids, behind)


def _with_chain(
    ids: tuple[str, ...], text: str
) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    name, parted, chain = text.rpartition(":")
    if parted and not any(mark in chain for mark in "/\\"):
        yield ids, name, chain


def _exists(name: str, is_file: Callable[[str], bool]) -> bool:
    try:
        return bool(name) and is_file(name)
    except (OSError, ValueError):
        return False


def _check(text: str, chain: str) -> None:
    try:
        check_chain_id(chain)
    except InputError as error:
        raise InputError(
            Message("{--template:{text}}: {problem}", text=text, problem=error.problem),
            hint=Message("write it as FILE:CHAIN, or ID=FILE:CHAIN for chain ID of the job"),
        ) from error
