"""Keeps the last model that was loaded, since the next job mostly wants the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from itda.device import release_memory

if TYPE_CHECKING:
    from itda.models.family import Family, Model


class KeptModel:
    """One model at most: two large ones may not fit."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._model: Model | None = None

    def keeping(self, family: Family) -> Family:
        """Return a family that is the same but for its models, which are loaded once."""
        return cast("Family", _Keeping(family, self))

    def get(self, key: tuple[object, ...], load: Callable[[], Model]) -> Model:
        """Return the model that is kept, else load it in place of the one that is."""
        if self._model is None or key != self._key:
            self.forget()
            self._model = load()
            self._key = key
        return self._model

    def forget(self) -> None:
        """Let go of it, and of its memory."""
        self._key = self._model = None
        release_memory()


class _Keeping:
    def __init__(self, family: Family, kept: KeptModel) -> None:
        self._family = family
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def load(self, weights: Path | None, device: str, *, frugal: bool = False) -> Model:
        key = (self._family.name, _identity(weights), device, frugal)
        return self._kept.get(key, lambda: self._family.load(weights, device, frugal=frugal))


def _identity(weights: Path | None) -> tuple[object, ...]:
    """What changes when a file is replaced."""
    if weights is None:
        return ()
    status = weights.stat()
    return (str(weights), status.st_ino, status.st_size, status.st_mtime_ns)
