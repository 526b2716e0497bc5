"""Secrets that are shown once: only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "itda_"
_SHOWN = 12


def new_secret() -> str:
    """Return 256 bits of chance that fit in a link or a cookie."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return a new token of the REST interface; its beginning lets scanners of leaks know it."""
    return TOKEN_PREFIX + new_secret()


def shown_prefix(token: str) -> str:
    """Return the beginning of a token, by which its owner recognises it in a list."""
    return token[:_SHOWN]


def digest(secret: str) -> str:
    """Return what is kept of a secret.

    SHA-256 suffices, since a secret of 256 bits cannot be guessed; passwords are kept otherwise.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
