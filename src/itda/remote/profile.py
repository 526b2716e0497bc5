"""Which server is asked, and by whom: as told, by the environment, or by `itda remote login`."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from itda.errors import InputError, OutputError
from itda.language import Message
from itda.storage import user_data_folder

URL_VARIABLE = "ITDA_URL"
TOKEN_VARIABLE = "ITDA_TOKEN"

_LOGIN_HINT = Message("itda remote login URL")


@dataclass(frozen=True)
class Profile:
    """A server and a token for it."""

    url: str
    token: str = field(repr=False)


def profile_file() -> Path:
    """Return the file that `itda remote login` writes, which only its owner can read."""
    return user_data_folder() / "remote.json"


def find_profile(url: str | None = None, token: str | None = None) -> Profile:
    """Return the server that is asked.

    A token that was kept goes only to the server that it was kept for.

    Args:
        url: As the user told; else of the environment, else as it was kept.
        token: In the same way.

    Raises:
        InputError: There is none, or the file is broken.
    """
    told = url or os.environ.get(URL_VARIABLE)
    secret = token or os.environ.get(TOKEN_VARIABLE)
    kept = None if told and secret else read_profile()
    address = checked_url(told) if told else (kept.url if kept else None)
    if address is None:
        raise InputError(
            Message("no server is known"),
            hint=Message(
                "{login_hint}, or set {url_variable}",
                login_hint=_LOGIN_HINT,
                url_variable=URL_VARIABLE,
            ),
        )
    if not secret and kept is not None and kept.url == address:
        secret = kept.token
    if not secret:
        raise InputError(
            Message("{address}: no token is known", address=address),
            hint=Message(
                "{login_hint}, or set {token_variable}",
                login_hint=_LOGIN_HINT,
                token_variable=TOKEN_VARIABLE,
            ),
        )
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InputError(
            Message("the token is none: it holds other characters"), hint=Message("copy it again")
        )
    return Profile(address, secret)


def checked_url(url: str) -> str:
    """Return the address of a server without its end.

    Raises:
        InputError: It is none.

    >>> checked_url("https://itda.example.org/")
    'https://itda.example.org'
    """
    with contextlib.suppress(ValueError):
        parts = urlsplit(url.strip())
        if parts.scheme in ("http", "https") and parts.hostname and not parts.query:
            return url.strip().rstrip("/")
    raise InputError(
        Message("{url!r}: is no address of a server", url=url),
        hint=Message("such as https://HOST:PORT"),
    )


def is_open(url: str) -> bool:
    """Whether what is sent there can be read on its way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")


def read_profile() -> Profile | None:
    """Return what was kept; None where nothing was.

    Raises:
        InputError: The file is broken.
    """
    path = profile_file()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Profile(str(data["url"]), str(data["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(Message("{path}: cannot be read", path=path), hint=_LOGIN_HINT) from error


def write_profile(profile: Profile) -> Path:
    """Keep a server and a token, for this user's eyes only.

    Raises:
        OutputError: The file cannot be written.
    """
    path = profile_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never readable by others, not even before its mode is set: `mkstemp` makes it so.
        descriptor, temporary = tempfile.mkstemp(prefix=".remote-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"url": profile.url, "token": profile.token}, file)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            Message(
                "{path}: cannot be written: {strerror}", path=path, strerror=error.strerror or error
            ),
            hint=Message("set ITDA_HOME to a folder that you may write to"),
        ) from error
    return path
