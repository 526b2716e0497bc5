"""The files of a finished job as its page needs them: confidence, pLDDT and PAE of each sample."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from itda.language import Message
from itda.results.files import CONFIDENCE_FORMAT
from itda.results.tokens import token_names, token_plddt
from itda.server.errors import NotFoundError

if TYPE_CHECKING:
    from itda.server.queue.records import FileRecord, JobRecord
    from itda.server.services import Services

PAE_STEP_ANGSTROM = 0.125
PAE_LIMIT_ANGSTROM = 30.0
"""Where the colour scale ends."""

MOST_PAE_CELLS_A_SIDE = 1500
"""A longer structure's map is shown in squares of several residues."""


class ResultFiles:
    """The output files of one job.

    Args:
        services: Where files are.
        job: A job that is done.
    """

    def __init__(self, services: Services, job: JobRecord) -> None:
        self._services = services
        self.records: Mapping[str, FileRecord] = {
            record.kind: record for record in services.queue.files(job.id)
        }

    def path(self, kind: str) -> Path:
        """Return where a file is.

        Raises:
            NotFoundError: The job has no such file.
        """
        return self._services.artefacts.path(self.record(kind).digest)

    def record(self, kind: str) -> FileRecord:
        """Return what is known of a file.

        Raises:
            NotFoundError: The job has no such file.
        """
        try:
            return self.records[kind]
        except KeyError:
            raise NotFoundError(Message("this result has no file {kind!r}", kind=kind)) from None

    def structure_kind(self, rank: int) -> str:
        """Return the kind of the file that holds the structure of a rank.

        Raises:
            NotFoundError: There is no sample of this rank.
        """
        sample = f"sample_{rank}"
        if sample in self.records:
            return sample
        if rank != 0:
            raise NotFoundError(Message("this result has no sample of rank {rank}", rank=rank))
        return "structure"

    @functools.cached_property
    def confidence(self) -> Mapping[str, Any]:
        """What the confidence file holds.

        Raises:
            NotFoundError: It is missing, or is no confidence file.
        """
        try:
            found = json.loads(self.path("confidence").read_bytes())
        except (OSError, ValueError) as error:
            raise NotFoundError(Message("the confidence file cannot be read")) from error
        if not isinstance(found, dict) or found.get("format") != CONFIDENCE_FORMAT:
            raise NotFoundError(Message("the confidence file is of another format"))
        return found

    def plddt(self, rank: int) -> list[float]:
        """Return pLDDT of each token of a sample, 0 to 100.

        Raises:
            NotFoundError: There is no sample of this rank.
        """
        kind = self.structure_kind(rank)
        if rank == 0:
            return [float(value) for value in self.confidence["plddt"]]
        return token_plddt(self.path(kind), self.confidence["tokens"]["atom_name"])

    def pae(self, rank: int) -> Float[np.ndarray, "token token"] | None:
        """Return the predicted aligned error of a sample, Å; None where there is none.

        Raises:
            NotFoundError: There is no sample of this rank.
        """
        self.structure_kind(rank)
        if not self.has_pae:
            return None
        with np.load(self.path("pae"), allow_pickle=False) as archive:
            errors: np.ndarray = archive["pae"] if rank == 0 else archive["pae_samples"][rank]
        return errors.astype(np.float32)

    @property
    def has_pae(self) -> bool:
        """Whether the model predicts the aligned error; the file may hold other things alone."""
        return "pae" in self.records and self.confidence["mean_pae_angstrom"] is not None

    def tag(self, rank: int) -> str:
        """Return what names the content of a sample's data."""
        kinds = ("confidence", self.structure_kind(rank), "pae")
        digests = [self.records[kind].digest[:16] for kind in kinds if kind in self.records]
        return f'"{"-".join(digests)}-{rank}"'


@dataclass(frozen=True)
class PaeMap:
    """A map of errors as the page draws it.

    Attributes:
        side: Squares a side.
        factor: Residues of a square's side; the last ones may have fewer.
        means: Mean error of each square, in steps of 0.125 Å up to 31.875 Å, row by row.
        maxima: Largest error of each square; None where a square is one pair of residues.
    """

    side: int
    factor: int
    means: bytes
    maxima: bytes | None

    @property
    def content(self) -> bytes:
        """What travels: the means, then the maxima where there are any."""
        return self.means + (self.maxima or b"")


def squares_of(residues: int, most: int = MOST_PAE_CELLS_A_SIDE) -> tuple[int, int]:
    """Return squares a side, and residues of a square's side.

    >>> squares_of(76), squares_of(1501)
    ((76, 1), (751, 2))
    """
    factor = max(1, -(-residues // most))
    return -(-residues // factor), factor


def pae_map(errors: Float[np.ndarray, "token token"], most: int = MOST_PAE_CELLS_A_SIDE) -> PaeMap:
    """Return a map of at most so many squares a side.

    Args:
        errors: Predicted aligned error, Å.
        most: Squares a side.
    """
    side, factor = squares_of(len(errors), most)
    if factor == 1:
        return PaeMap(side, factor, _steps(errors), None)
    starts = np.arange(0, len(errors), factor)
    sizes = np.diff(np.append(starts, len(errors)))
    sums = np.add.reduceat(np.add.reduceat(errors, starts, axis=0), starts, axis=1)
    maxima = np.maximum.reduceat(np.maximum.reduceat(errors, starts, axis=0), starts, axis=1)
    return PaeMap(side, factor, _steps(sums / np.outer(sizes, sizes)), _steps(maxima))


def _steps(errors: Float[np.ndarray, "row column"]) -> bytes:
    return np.clip(np.rint(errors / PAE_STEP_ANGSTROM), 0, 255).astype(np.uint8).tobytes()


def sample_data(files: ResultFiles, rank: int) -> dict[str, Any]:
    """Return what the scripts of the page need of a sample, without its PAE and structure.

    Raises:
        NotFoundError: There is no sample of this rank.
    """
    tokens = files.confidence["tokens"]
    plddt = files.plddt(rank)
    side, factor = squares_of(len(plddt))
    return {
        "rank": rank,
        "chain_ids": tokens["chain_id"],
        "numbers": tokens["number"],
        "insertion_codes": tokens["insertion_code"],
        "names": token_names(tokens),
        "plddt": plddt,
        "pae": {
            "side": side,
            "factor": factor,
            "step": PAE_STEP_ANGSTROM,
            "limit": PAE_LIMIT_ANGSTROM,
        }
        if files.has_pae
        else None,
    }


def residue_table(files: ResultFiles, rank: int) -> str:
    """Return pLDDT of each token of a sample as CSV, which a reader of tables can open.

    Raises:
        NotFoundError: There is no sample of this rank.
    """
    tokens = files.confidence["tokens"]
    errors = files.pae(rank)
    mean = None if errors is None else errors.mean(axis=0)
    columns = ["chain_id", "number", "insertion_code", "name"]
    header = ["chain", "number", "insertion_code", "residue"]
    if any(tokens["atom_name"]):
        columns, header = [*columns, "atom_name"], [*header, "atom"]
    header.append("plddt")
    lines = [",".join([*header, *([] if mean is None else ["mean_pae_angstrom"])])]
    for index, value in enumerate(files.plddt(rank)):
        cells = [tokens[key][index] for key in columns]
        cells += [f"{value:.2f}", *([] if mean is None else [f"{mean[index]:.2f}"])]
        lines.append(",".join(_cell(cell) for cell in cells))
    return "\r\n".join(lines) + "\r\n"


def _cell(value: object) -> str:
    text = str(value)
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & set(',"\r\n') else text
