"""Passwords: what they must be, and what is kept of them (Argon2id)."""

from __future__ import annotations

import functools
import threading

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from itda.errors import InputError
from itda.language import Message

SHORTEST = 10
LONGEST = 1024

_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB; many sign-ins at once wait instead of filling the memory."""


def check_rules(password: str, email: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        InputError: It is too short, too long, the e-mail address, or one letter repeated.
    """
    if len(password) < SHORTEST:
        raise InputError(
            Message(
                "password: {count} characters, and {shortest} are the least",
                count=len(password),
                shortest=SHORTEST,
            ),
            hint=Message("several words, with blanks between them, make a good one"),
        )
    if len(password) > LONGEST:
        raise InputError(Message("password: longer than {longest} characters", longest=LONGEST))
    if "\0" in password or not _encodes(password):
        raise InputError(Message("password: holds characters that cannot be typed"))
    told = password.casefold().strip()
    address = email.casefold()
    if told in (address, address.split("@")[0], address.replace("@", "")):
        raise InputError(
            Message("password: is the e-mail address"), hint=Message("choose one that nobody knows")
        )
    if len(set(told)) < 4:
        raise InputError(
            Message("password: repeats a few characters"),
            hint=Message("several words make a good one"),
        )


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    with _AT_ONCE:
        return _hasher().hash(password)


def matches(password: str, kept: str | None) -> bool:
    """Whether a password is the one of which something is kept.

    It takes the same time where nothing is kept, so that nobody learns who has an account.
    """
    if len(password) > LONGEST or not _encodes(password):
        password, kept = "", None
    with _AT_ONCE:
        try:
            same = _hasher().verify(password, kept or _nobodys())
        except PwdlibError:
            same = False
    return same and kept is not None


@functools.cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@functools.cache
def _nobodys() -> str:
    return _hasher().hash("a password that nobody has")


def _encodes(password: str) -> bool:
    try:
        password.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
