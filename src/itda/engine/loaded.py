"""The model of a run, held in one place."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from itda.device import release_memory

if TYPE_CHECKING:
    from itda.models.family import Model


class Loaded:
    """Holds a model, so that letting go of it here lets go of it everywhere.

    An error that the caller keeps holds functions, and what they close over, for as long.

    Args:
        load: Reads the weights; told whether memory is to be spared.
        frugal: Whether it is.
    """

    def __init__(self, load: Callable[[bool], Model], *, frugal: bool = False) -> None:
        self._load = load
        self._frugal = frugal
        self._model: Model | None = load(frugal)

    @property
    def model(self) -> Model:
        """The model; not to be kept."""
        assert self._model is not None
        return self._model

    def become_frugal(self) -> None:
        """Load the model anew so that it takes less of a device's memory.

        On a processor it takes no less.
        """
        if self._frugal or self.model.device == "cpu":
            return
        self.release()
        self._frugal = True
        self._model = self._load(True)

    def release(self) -> None:
        """Let go of the model, and of memory that PyTorch keeps for itself."""
        self._model = None
        release_memory()


def without_frames(error: Exception) -> Exception:
    """Let go of what the frames of an error hold, such as the model, for as long as it is kept.

    The lines that it went through stay.
    """
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    return error
