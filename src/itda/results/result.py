"""What a finished job gives: its predictions, best first, and how it came to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from itda.results.files import save_result
from itda.results.folded import FoldedJob


@dataclass(frozen=True)
class Result(FoldedJob):
    """A job that a run folded.

    Attributes:
        cached: True where nothing had to be computed.
        seconds: Time that this run spent on it.
    """

    cached: bool = field(kw_only=True)
    seconds: float = field(kw_only=True)

    def save(self, folder: Path | str, *, overwrite: bool = False) -> dict[str, Path]:
        """Write the mmCIF, confidence, PAE and report files of this job.

        Args:
            folder: Where to; made if missing.
            overwrite: Replace files of the same name that hold another result.

        Returns:
            The files, by what they are: `structure`, `confidence`, `report`, `pae` where the
            family predicts it, and `sample_0`, `sample_1`, … where there is more than one
            prediction.

        Raises:
            OutputError: The folder cannot be written, or holds another result of this name.
        """
        return save_result(self, Path(folder), overwrite=overwrite)
