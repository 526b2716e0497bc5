"""The folder that a run writes to: checked before work begins, never a mixture of two runs."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from itda.atomic import DiskFullError, output_error, remove_leftovers
from itda.errors import LostJobError, OutputError, describe_error
from itda.job.model import Job
from itda.language import Message
from itda.results import summary
from itda.results.evidence_files import alignment_names, is_input
from itda.results.files import estimated_bytes, file_names, write_result, written_digest
from itda.results.result import Result
from itda.results.summary import DONE, FAILED, LOST, REFUSED, WAITING, Record
from itda.results.used_templates import used_templates
from itda.version import itda_version

_SUMMARY_EVERY_SECONDS = 2.0
_OVERWRITE_HINT = Message(
    "choose another folder with {--out}, or replace what is there with {--overwrite}"
)


class Wanted(Protocol):
    """A result that a run is to write."""

    @property
    def job(self) -> Job:
        """Whose it is."""
        ...

    @property
    def position(self) -> int:
        """Place of the job in the input, from 1."""
        ...

    @property
    def digest(self) -> str:
        """Hash of all that was asked for."""
        ...


class Failure(Protocol):
    """What is told of a job that failed."""

    @property
    def job(self) -> str:
        """Its name."""
        ...

    @property
    def error(self) -> Exception:
        """Why."""
        ...

    @property
    def traceback(self) -> str:
        """For the log."""
        ...


class OutputFolder:
    """Where the results of one run go.

    Attributes:
        done: How many jobs this run has written.
        written: The names of the files it wrote.

    Args:
        folder: The folder; made if missing.
        wanted: The results to come.
        refused: The other records of the input: name, place in the input and error.
        settings: What holds for the run, as the summary shows it.
        overwrite: Replace results of another run.
        sources: The file of each record, by its place in the input.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Sequence[Wanted],
        *,
        refused: Iterable[tuple[str, int, Exception]] = (),
        settings: Mapping[str, object],
        overwrite: bool = False,
        sources: Mapping[int, str] | None = None,
    ) -> None:
        self.folder = folder
        self.records: dict[str, Record] = {}
        self.refused = [_refused(*record) for record in refused]
        self._wanted = wanted
        self.written: list[str] = []
        self.done = 0
        self._overwrite = overwrite
        self._summarised = 0.0
        self._header: dict[str, Any] = {
            "itda_version": itda_version(),
            "started": _now(),
            "settings": dict(settings),
        }
        for request in wanted:
            self.records[request.job.name] = Record(
                request.job.name, request.position, request_digest=request.digest
            )
        for record in (*self.records.values(), *self.refused):
            record.source = (sources or {}).get(record.position, "")

    def prepare(self) -> None:
        """Make the folder ready, or refuse before anything is computed.

        Raises:
            OutputError: The folder cannot be made or written, has not enough room, or holds
                results of another run and `overwrite` is not set.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(
                Message("{folder}: is a file, not a folder", folder=self.folder),
                hint=Message("choose a folder with {--out}"),
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{uuid.uuid4().hex[:8]}-probe"
            probe.write_bytes(b"itda")
            probe.unlink()
        except OSError as error:
            raise output_error(self.folder, error) from error
        remove_leftovers(self.folder, self._names())
        self._check_room()
        self._settle_earlier_run()
        self.write_summary("running")

    def write(self, result: Result, warnings: Iterable[str] = ()) -> list[Path]:
        """Write the files of a finished job and note it as done.

        Raises:
            OutputError: They cannot be written.
        """
        files = list(write_result(result, self.folder).values())
        record = self.records[result.name]
        record.status = DONE
        record.files = [path.name for path in files]
        record.details = {
            "residues": result.best.residue_count,
            "mean_plddt": round(result.mean_plddt, 2),
            "ptm": None if result.ptm is None else round(float(result.ptm), 4),
            "verdict": result.verdict.summary(),
            "samples": len(result.predictions),
            "cached": result.cached,
            "seconds": round(result.seconds, 3),
            "warnings": list(warnings),
        }
        if templates := used_templates(result):
            record.details["templates"] = [one.to_dict() for one in templates]
        self.done += 1
        self.written += record.files
        self._write_summary_now_and_then()
        return files

    @property
    def levels(self) -> dict[str, str]:
        """How far each record that is done is to be trusted, by its name."""
        return {
            name: record.details["verdict"]["level"]
            for name, record in self.records.items()
            if record.status == DONE and "verdict" in record.details
        }

    def fail(self, failure: Failure) -> None:
        """Note a job as failed, or as lost where the run forgot it."""
        record = self.records[failure.job]
        record.status = LOST if isinstance(failure.error, LostJobError) else FAILED
        record.files = []
        record.details = {"error": describe_error(failure.error)}
        self._write_summary_now_and_then()

    @property
    def waiting(self) -> list[str]:
        """The records of which nothing has come yet."""
        return [name for name, record in self.records.items() if record.status == WAITING]

    @property
    def lost(self) -> list[str]:
        """The records that the run forgot."""
        return [name for name, record in self.records.items() if record.status == LOST]

    def log(self, failure: Failure) -> Path | None:
        """Keep the traceback of an error that nobody expected; None where it cannot be kept."""
        path = self.folder / "itda.log"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{_now()} job {failure.job!r}\n{failure.traceback}\n")
        except OSError:
            return None
        return path

    def write_summary(self, status: str) -> None:
        """Write `summary.json` and `summary.tsv`.

        Raises:
            OutputError: They cannot be written.
        """
        header = {**self._header, "updated": _now()}
        records = [*self.records.values(), *self.refused]
        summary.write_summary(self.folder, records, status=status, header=header)
        self._summarised = time.monotonic()

    def _write_summary_now_and_then(self) -> None:
        if time.monotonic() - self._summarised < _SUMMARY_EVERY_SECONDS:
            return
        # The last summary of the run will tell if it cannot be written.
        with contextlib.suppress(OutputError):
            self.write_summary("running")

    def _names(self) -> set[str]:
        """Return the names of all files that this run may write."""
        jobs = (request.job for request in self._wanted)
        results = (name for job in jobs for name in file_names(job).values())
        return {"probe", summary.JSON_NAME, summary.TSV_NAME, *results}

    def _check_room(self) -> None:
        needed = sum(estimated_bytes(request.job) for request in self._wanted)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DiskFullError(
                Message(
                    "{folder}: {needed} are needed, {free} are free",
                    folder=self.folder,
                    needed=_megabytes(needed),
                    free=_megabytes(free),
                ),
                hint=Message("free some space, or choose a folder on another disk with {--out}"),
            )

    def _settle_earlier_run(self) -> None:
        """Refuse, replace, or take over what the folder holds from before."""
        earlier = {record.name: record for record in summary.read_records(self.folder)}
        foreign = {
            name: self._present(record.files)
            for name, record in earlier.items()
            if name not in self.records
        }
        for request in self._wanted:
            name = request.job.name
            known = earlier.get(name)
            written = written_digest(self.folder, request.job)
            files = set(file_names(request.job).values()).difference(alignment_names(request.job))
            if written == request.digest:
                if known is not None and known.status == DONE:
                    known.position = self.records[name].position
                    known.source = self.records[name].source
                    self.records[name] = known
            elif written or known is None or known.request_digest != request.digest:
                foreign[name] = self._present(files.union(known.files if known else ()))
        foreign = {name: files for name, files in foreign.items() if files}
        if foreign and not self._overwrite:
            names = ", ".join(sorted(foreign)[:5]) + (", …" if len(foreign) > 5 else "")
            raise OutputError(
                Message(
                    "{folder}: holds results of another run: {names}",
                    folder=self.folder,
                    names=names,
                ),
                hint=_OVERWRITE_HINT,
            )
        self._spare_alignments(earlier)
        for stale in foreign.values():
            for file in stale:
                path = self.folder / file
                if not any(is_input(request.job, path) for request in self._wanted):
                    path.unlink(missing_ok=True)

    def _spare_alignments(self, earlier: Mapping[str, Record]) -> None:
        """Refuse to write an alignment over one that no run of this folder wrote."""
        if self._overwrite:
            return
        for request in self._wanted:
            job, known = request.job, earlier.get(request.job.name)
            for name in alignment_names(job) if self._writes_alignments(job) else ():
                path = self.folder / name
                # A run that was killed may have written it and not yet said so.
                written = known is not None and (
                    name in known.files or known.request_digest == request.digest
                )
                if path.exists() and not written and not is_input(job, path):
                    raise OutputError(
                        Message(
                            "{path}: exists already and is not from a run of this folder", path=path
                        ),
                        hint=_OVERWRITE_HINT,
                    )

    def _writes_alignments(self, job: Job) -> bool:
        brings = any(kind.endswith("msa") for _, kind in job.inputs())
        return brings or self._header["settings"].get("alignments") is not None

    def _present(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if (self.folder / name).is_file()]


def _refused(name: str, position: int, error: Exception) -> Record:
    return Record(name, position, REFUSED, details={"error": describe_error(error)})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
