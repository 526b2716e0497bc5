"""From what was read and priced to what is told of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from itda.errors import InputError, ItdaError, describe_error, retold
from itda.job.entities import Ion, Ligand, Polymer
from itda.job.model import Job
from itda.language import REQUEST, Message
from itda.server.understand.reading import ReadJob, Unread
from itda.wire import ChainGroup, Fault, RecordUnderstood, Understood, Verdict

_SHOWN_LABEL = 60

log = logging.getLogger("itda.server")


@dataclass(frozen=True)
class Priced:
    """A record as the chosen family takes it.

    Attributes:
        record: As it was read.
        tokens: Residues of all chains.
        seconds: Of all seeds, weights loaded.
        bytes: Peak memory.
        verdict: What was changed so that it fits.
        error: Why it is refused; None where it is not.
        job: With the options' seed and samples put in.
    """

    record: ReadJob
    tokens: int
    seconds: float = 0.0
    bytes: int = 0
    verdict: Verdict = "refused"
    error: ItdaError | None = None
    job: Job | None = None


def fault_of(error: Exception) -> Fault:
    """Return an error as it travels; of one that nobody expected only its kind is told."""
    if isinstance(error, ItdaError):
        return Fault.model_validate(describe_error(error.said(REQUEST)))
    return Fault(kind="UnexpectedError", problem="this is a fault of the server", hint="")


def in_language(found: Understood, language: str) -> Understood:
    """Return what was understood with every fault said in a language."""

    def said(fault: Fault) -> Fault:
        problem, hint = retold(fault.model_dump(), REQUEST, language)
        return fault.model_copy(update={"problem": problem, "hint": hint})

    records = tuple(
        record.model_copy(update={"error": said(record.error)}) if record.error else record
        for record in found.records
    )
    families = tuple(
        family.model_copy(update={"refusals": tuple(map(said, family.refusals))})
        for family in found.families
    )
    problems = tuple(map(said, found.problems))
    changed = {"problems": problems, "records": records, "families": families}
    return found.model_copy(update=changed)


def spoken(error: Exception) -> ItdaError:
    """Return why a job is refused, in terms of a request."""
    if not isinstance(error, ItdaError):
        log.error("a job could not be checked", exc_info=error)
        return InputError(Message("this is a fault of the server, which has it in its log"))
    return error.said(REQUEST)


def unread_view(record: Unread) -> RecordUnderstood:
    """Return a record that could not be read."""
    return RecordUnderstood(
        index=record.index,
        file=record.file,
        name=_plain(record.name),
        error=fault_of(record.error),
    )


def rejected_view(record: ReadJob | Unread, error: ItdaError) -> RecordUnderstood:
    """Return a record that gave no job, whether it could be read or not."""
    name = record.name if isinstance(record, Unread) else record.job.name
    return RecordUnderstood(
        index=record.index, file=record.file, name=_plain(name), error=fault_of(error)
    )


def _plain(name: str) -> str:
    """Return the name of a record that was refused, perhaps for its name, as it can be sent."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:200])


def record_view(one: Priced) -> RecordUnderstood:
    """Return a record with what it would cost, or why it is refused."""
    job = one.job or one.record.job
    return RecordUnderstood(
        index=one.record.index,
        file=one.record.file,
        name=job.name,
        chains=tuple(
            ChainGroup(
                ids=entity.ids,
                molecule=entity.molecule,
                length=entity.length if isinstance(entity, Polymer) else 1,
                label=_label(entity),
            )
            for entity in job.entities
        ),
        residues=one.tokens,
        samples=len(job.seeds) * job.samples,
        warnings=one.record.warnings,
        verdict=one.verdict,
        seconds=None if one.error else one.seconds,
        bytes=one.bytes or None,
        error=None if one.error is None else fault_of(one.error),
    )


def _label(entity: object) -> str:
    text = ""
    if isinstance(entity, Ion):
        text = entity.ccd
    elif isinstance(entity, Ligand):
        text = entity.smiles or " ".join(entity.ccd)
    return text if len(text) <= _SHOWN_LABEL else f"{text[: _SHOWN_LABEL - 1]}…"
