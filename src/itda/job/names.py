"""Names of jobs and chains: kept as given, or refused; never altered in silence."""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Collection, Iterator

from itda.errors import InputError
from itda.job.problems import shown
from itda.language import Message

MAXIMUM_NAME_BYTES = 200
"""In UTF-8; under the 255 of common file systems there is room for `.confidence.json`."""

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{number}" for device in ("com", "lpt") for number in range(10)]
)
_CHAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,15}")
_NOT_IN_FILE_NAMES = re.compile(r'[\s:*?"<>|/\\]')

_NAME_HINT = Message("use a plain name such as 'ubiquitin_1'")
_FILE_HINT = Message("use a plain name such as 'ubiquitin_1.a3m'")


def check_name(name: str) -> str:
    """Refuse a job name that cannot be shown, or is too long to be that of a file.

    It is never altered, whatever it holds; `file_stem` makes a safe file name of it.

    Raises:
        InputError: The name is empty, begins or ends with a space, holds a character that cannot be
            printed, or is longer than 200 bytes in UTF-8.

    >>> check_name("UBC_HUMAN/1-76")
    'UBC_HUMAN/1-76'
    """
    if not name:
        raise InputError(Message("is empty"), hint=_NAME_HINT)
    if not name.isprintable():
        raise InputError(
            Message(
                "{name} holds a character that cannot be printed, at position {value}",
                name=shown(name),
                value=next(i for i, c in enumerate(name, 1) if not c.isprintable()),
            ),
            hint=_NAME_HINT,
        )
    if name != name.strip():
        raise InputError(
            Message("{name} begins or ends with a space", name=shown(name)), hint=_NAME_HINT
        )
    size = len(name.encode())
    if size > MAXIMUM_NAME_BYTES:
        raise InputError(
            Message(
                "{name} is {size} bytes long; {maximum_name_bytes} is the most",
                name=shown(name),
                size=size,
                maximum_name_bytes=MAXIMUM_NAME_BYTES,
            ),
            hint=_NAME_HINT,
        )
    return name


def check_file_name(name: str) -> str:
    """Refuse the name of a file that comes from elsewhere and could not safely be one here.

    Refused are a path, what begins with `.` or `-`, a Windows device, and what `check_name`
    refuses.

    Raises:
        InputError: The name breaks one of these rules.
    """
    check_name(name)
    if "/" in name or "\\" in name:
        raise InputError(Message("{name} is a path", name=shown(name)), hint=_FILE_HINT)
    if name[0] in ".-":
        raise InputError(
            Message("{name} begins with '{name_2}'", name=shown(name), name_2=name[0]),
            hint=_FILE_HINT,
        )
    if _is_device(name):
        raise InputError(
            Message("{name} is a device on Windows and cannot be a file there", name=shown(name)),
            hint=_FILE_HINT,
        )
    return name


def file_stem(name: str) -> str:
    """The name as files carry it, safe on every system.

    Spaces and ``: * ? " < > | / \\`` become `_`, as does `.` or `-` at the beginning; the name of a
    Windows device gets a `_` before it; the rest is kept.

    >>> file_stem("1UBQ_1|Chain"), file_stem("../etc/passwd"), file_stem("nul.txt")
    ('1UBQ_1_Chain', '_._etc_passwd', '_nul.txt')
    """
    stem = _NOT_IN_FILE_NAMES.sub("_", name)
    if stem[0] in ".-":
        stem = f"_{stem[1:]}"
    return f"_{stem}" if _is_device(stem) else stem


def _is_device(name: str) -> bool:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return folded.partition(".")[0].strip() in _RESERVED


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
            Message(
                "chain id {chain_id} must be 1 to 16 letters, digits and '_', '.', '+' or "
                "'-', beginning with a letter or digit",
                chain_id=shown(chain_id),
            ),
            hint=Message("use an id such as A, B or heavy"),
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
