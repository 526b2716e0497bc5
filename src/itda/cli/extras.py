"""A missing optional package as an error that says how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from itda.errors import DependencyError
from itda.language import Message


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn an import that fails in the block into an error that names the extra.

    Args:
        extra: Of this package, such as `train`.

    Raises:
        DependencyError: A package of the extra is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise DependencyError(
            Message("{error} is not installed", error=error.name or error),
            hint=Message('pip install "itda[{extra}]"', extra=extra),
        ) from error
