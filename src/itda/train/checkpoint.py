"""Checkpoints that are whole or not there, so that a run can be killed at any moment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from itda.errors import DataError
from itda.language import Message

KEPT = 2


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        folder: Where they are; made on the first save.
    """

    folder: Path

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write to a temporary file, flush it to disk, and give it its name in one move."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{step:08d}.pt"
        partial = target.with_suffix(".partial")
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
        for old in self._all()[:-KEPT]:
            old.unlink()
        return target

    def latest(self) -> dict[str, Any] | None:
        """Read the newest checkpoint, or give None where the run has none yet.

        Raises:
            DataError: The file was damaged after it was written.
        """
        existing = self._all()
        if not existing:
            return None
        try:
            state: dict[str, Any] = torch.load(existing[-1], map_location="cpu", weights_only=True)
        except MemoryError:  # it may be whole, and is not to be removed
            raise
        except Exception as error:  # all that stands here is PyTorch's reader
            raise DataError(
                Message(
                    "checkpoint {existing} cannot be read: {error}",
                    existing=existing[-1],
                    error=error,
                ),
                hint=Message("remove it to go on from the one before"),
            ) from error
        return state

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"))
