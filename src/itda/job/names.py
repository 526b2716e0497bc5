"""Names of jobs and chains: kept as given, or refused; never altered in silence."""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Collection, Iterator

from itda.errors import InputError
from itda.job.problems import shown

MAXIMUM_NAME_BYTES = 200
"""In UTF-8; under the 255 of common file systems there is room for `.confidence.json`."""

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{number}" for device in ("com", "lpt") for number in range(10)]
)
_CHAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,15}")
_NOT_IN_FILE_NAMES = re.compile(r'[\s:*?"<>|]')

_NAME_HINT = "use a plain name such as 'ubiquitin_1'; results are written to files of that name"


def check_name(name: str) -> str:
    """Refuse a job name that could not safely be the name of a file.

    A name is refused where it holds a path (`/` or `\\`), begins with `.` or `-`, begins or ends
    with a space, holds a character that cannot be printed, is a Windows device (`CON`, `NUL.txt`),
    or is longer than 200 bytes in UTF-8. It is never altered.

    Raises:
        InputError: The name breaks one of these rules.

    >>> check_name("sp|P0CG48|UBC_HUMAN")
    'sp|P0CG48|UBC_HUMAN'
    """
    if not name:
        raise InputError("is empty", hint=_NAME_HINT)
    if "/" in name or "\\" in name:
        raise InputError(f"{shown(name)} is a path", hint=_NAME_HINT)
    if not name.isprintable():
        raise InputError(
            f"{shown(name)} holds a character that cannot be printed, "
            f"at position {next(i for i, c in enumerate(name, 1) if not c.isprintable())}",
            hint=_NAME_HINT,
        )
    if name[0] in ".-":
        raise InputError(f"{shown(name)} begins with '{name[0]}'", hint=_NAME_HINT)
    if name != name.strip():
        raise InputError(f"{shown(name)} begins or ends with a space", hint=_NAME_HINT)
    size = len(name.encode())
    if size > MAXIMUM_NAME_BYTES:
        raise InputError(
            f"{shown(name)} is {size} bytes long; {MAXIMUM_NAME_BYTES} is the most",
            hint=_NAME_HINT,
        )
    if collision_key(name).partition(".")[0].strip() in _RESERVED:
        raise InputError(
            f"{shown(name)} is a device on Windows and cannot be a file there", hint=_NAME_HINT
        )
    return name


def file_stem(name: str) -> str:
    """The name as files carry it: spaces and ``: * ? " < > |`` become `_`, the rest is kept.

    >>> file_stem("1UBQ_1|Chain")
    '1UBQ_1_Chain'
    """
    return _NOT_IN_FILE_NAMES.sub("_", name)


def collision_key(name: str) -> str:
    """Equal for two names whose files would be one on a file system that ignores case.

    >>> collision_key("Ubiquitin") == collision_key("UBIQUITIN")
    True
    """
    return unicodedata.normalize("NFKC", file_stem(name)).casefold()


def check_chain_id(chain_id: str) -> str:
    """Refuse a chain id that mmCIF could not carry unchanged.

    Raises:
        InputError: The id is not 1 to 16 letters, digits and `_ . + -`, or begins with a sign.
    """
    if not _CHAIN_ID.fullmatch(chain_id):
        raise InputError(
            f"chain id {shown(chain_id)} must be 1 to 16 letters, digits and '_', '.', '+' or '-', "
            "beginning with a letter or digit",
            hint="use an id such as A, B or heavy",
        )
    return chain_id


def automatic_chain_ids(taken: Collection[str] = ()) -> Iterator[str]:
    """A, B, … Z, AA, AB, … without those that are taken.

    >>> import itertools
    >>> list(itertools.islice(automatic_chain_ids({"B"}), 3))
    ['A', 'C', 'D']
    """
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            chain_id = "".join(letters)
            if chain_id not in taken:
                yield chain_id
