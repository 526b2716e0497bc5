"""What an input holds, which families can fold it, at what cost, and when it would start."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from itda.engine.plan import Settings, make_plan
from itda.engine.run_settings import settings_of
from itda.errors import CapabilityError, InputError, ItdaError, WeightsError
from itda.hub.installed import state_of
from itda.hub.registry import weight_sets
from itda.hub.source import how_to_get
from itda.job.model import Job
from itda.job.sizes import size_of
from itda.language import REQUEST, Message
from itda.models.registry import FAMILIES, get_family
from itda.search.databases.registry import databases_folder
from itda.server.queue.records import FileRecord, NewJob
from itda.server.settings import Limits, hours_shown
from itda.server.understand.costs import Costs
from itda.server.understand.documents import document_of, files_of
from itda.server.understand.reading import (
    Reading,
    ReadJob,
    Unread,
    Upload,
    reading,
)
from itda.server.understand.views import (
    Priced,
    fault_of,
    record_view,
    rejected_view,
    spoken,
    unread_view,
)
from itda.wire import (
    FamilyUnderstood,
    Options,
    RecordUnderstood,
    Understood,
)

if TYPE_CHECKING:
    from itda.cost.predictor import Admission
    from itda.models.demand import Load
    from itda.models.family import Family
    from itda.server.artefacts import Artefacts
    from itda.server.queue.queue import Queue

SHOWN_RECORDS = 200
"""Records that are told one by one; the others are counted."""

WEIGHTS_SECONDS = 10.0
"""How long it is believed whether weights are on this machine."""

_SHOWN_REFUSALS = 5

log = logging.getLogger("itda.server")


class Prepared(Sequence[NewJob]):
    """Jobs that can be queued, and what of the input cannot.

    Args:
        jobs: In the order of the input.
        rejected: Every other record.
    """

    def __init__(self, jobs: Sequence[NewJob], rejected: Sequence[RecordUnderstood]) -> None:
        self.jobs = tuple(jobs)
        self.rejected = tuple(rejected)

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: Any) -> Any:
        return self.jobs[index]

    def __iter__(self) -> Iterator[NewJob]:
        return iter(self.jobs)


class Understanding:
    """Reads what is sent, and says what would come of it.

    Args:
        queue: Says when a job would start, and which workers there are.
        limits: What a request may be.
        clock: Seconds that pass.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._clock = clock
        self.costs = Costs(queue, clock=clock)
        self._states: tuple[float, dict[str, str]] | None = None

    def warm(self) -> threading.Thread:
        """Import and read what predictions need, in a thread: the first request need not wait."""
        thread = threading.Thread(target=self._warm, name="itda-warm", daemon=True)
        thread.start()
        return thread

    def understand(
        self,
        text: str | bytes = "",
        files: Sequence[Upload] = (),
        options: Options | None = None,
    ) -> Understood:
        """Say what an input holds and what would come of it; nothing of it is kept.

        What is wrong with the input is part of the answer, and no error.

        Args:
            text: What was pasted: FASTA, YAML, JSON, or a sequence alone.
            files: What was uploaded: inputs, and what jobs name.
            options: How it is to be folded.
        """
        options = options or Options()
        try:
            family, settings = self._settings(options)
            with reading(text, files, options, self._limits) as read:
                return self._understood(read, family, settings)
        except ItdaError as error:
            return Understood(family=options.family, problems=(fault_of(error),))

    def prepare(
        self,
        text: str | bytes = "",
        files: Sequence[Upload] = (),
        options: Options | None = None,
        *,
        artefacts: Artefacts,
    ) -> Prepared:
        """Make jobs for the queue of an input; the files that they name go into the artefacts.

        A record that cannot be folded leaves the others alone, and is told.

        Args:
            text: What was pasted.
            files: What was uploaded.
            options: How it is to be folded.
            artefacts: Where files go.

        Raises:
            InputError: Nothing can be folded, or a file or an option is wrong.
            CapabilityError: The family cannot fold the only record.
            WeightsError: The weights of the family are not on this server.
            TooLargeError: There is more than is taken at once.
        """
        options = options or Options()
        family, settings = self._settings(options)
        with reading(text, files, options, self._limits) as read:
            for problem in read.problems:
                raise problem
            priced, kind = self._priced(read.jobs, settings), self.costs.where().kind
            made: list[NewJob] = []
            failed: dict[int, ItdaError] = {
                record.index: record.error for record in read.records if isinstance(record, Unread)
            }
            start = self.costs.predictor(family).start_seconds
            stored: dict[str, FileRecord] = {}
            for one in priced:
                try:
                    if one.error is not None:
                        raise one.error
                    document = document_of(one.record.job, read.folder)
                except ItdaError as error:
                    failed[one.record.index] = error
                    continue
                made.append(
                    NewJob(
                        name=one.record.job.name,
                        family=family.name,
                        document=document,
                        settings=options.settings(),
                        tokens=one.tokens,
                        need_bytes=one.bytes,
                        need_seconds=one.seconds + start,
                        device_kind=kind,
                        inputs=_stored(one.record.job, read, artefacts, stored),
                    )
                )
        if not made:
            raise _nothing_left(failed)
        by_index = {record.index: record for record in read.records}
        rejected = [rejected_view(by_index[index], failed[index]) for index in sorted(failed)]
        return Prepared(made, rejected)

    def family_states(self) -> dict[str, str]:
        """Say of each family where its weights stand on this machine: see `state_of`."""
        now = self._clock()
        if self._states is None or now - self._states[0] > WEIGHTS_SECONDS:
            sets = weight_sets()
            states = {}
            for name in FAMILIES:
                weight_set = sets.get(get_family(name).weight_set)
                states[name] = "unknown" if weight_set is None else state_of(weight_set)
            self._states = now, states
        return self._states[1]

    def _settings(self, options: Options) -> tuple[Family, Settings]:
        family = get_family(options.family)
        if self.family_states()[family.name] in ("not here", "unknown"):
            weight_set = weight_sets().get(family.weight_set)
            raise WeightsError(
                Message("family {family}: its weights are not on this server", family=family.name),
                hint=Message(
                    "whoever runs the server gets them with {what}",
                    what=how_to_get(weight_set) if weight_set else Message("a newer release"),
                ),
            )
        return family, _chosen(options, family)

    def _understood(self, read: Reading, family: Family, settings: Settings) -> Understood:
        priced = {one.record.index: one for one in self._priced(read.jobs, settings)}
        predictor, where = self.costs.predictor(family), self.costs.where()
        accepted = [one for one in priced.values() if one.error is None]
        seconds = sum(one.seconds + predictor.start_seconds for one in accepted)
        records = [
            unread_view(record) if isinstance(record, Unread) else record_view(priced[record.index])
            for record in read.records[:SHOWN_RECORDS]
        ]
        starts = None
        if accepted:
            first = accepted[0].seconds + predictor.start_seconds
            starts = self._queue.start_estimate(where.kind, first)
        return Understood(
            records=tuple(records),
            total=len(read.records),
            families=tuple(
                self._family(get_family(name), read.jobs, settings, list(priced.values()))
                for name in FAMILIES
            ),
            family=family.name,
            accepted=len(accepted),
            seconds=seconds,
            bytes=max((one.bytes for one in accepted), default=0),
            device_kind=where.kind,
            device=where.name or predictor.described.shown,
            reckoned=predictor.calibration.shown,
            starts_in_seconds=starts,
            problems=tuple(fault_of(error) for error in read.problems),
        )

    def _family(
        self,
        family: Family,
        jobs: Sequence[ReadJob],
        chosen: Settings,
        of_chosen: Sequence[Priced],
    ) -> FamilyUnderstood:
        available = self.family_states()[family.name] not in ("not here", "unknown")
        priced = of_chosen
        if family.name != chosen.family.name:
            # Searches and recycles are told of the chosen family alone: another may take none.
            priced = self._priced(jobs, Settings(family, seed=chosen.seed, samples=chosen.samples))
        able = [one for one in priced if one.error is None]
        start = self.costs.predictor(family).start_seconds
        refusals = [fault_of(one.error) for one in priced if one.error is not None]
        weight_set = weight_sets().get(family.weight_set)
        return FamilyUnderstood(
            name=family.name,
            title=family.title,
            able=len(able),
            of=len(jobs),
            seconds=sum(one.seconds + start for one in able) if able else None,
            bytes=max(one.bytes for one in able) if able else None,
            licence=family.licence,
            non_commercial=weight_set is not None and weight_set.licence.non_commercial,
            available=available,
            refusals=tuple(refusals[:_SHOWN_REFUSALS]),
        )

    def _priced(self, jobs: Sequence[ReadJob], settings: Settings) -> list[Priced]:
        """Ask the plan and the predictor of a family about each job."""
        predictor = self.costs.predictor(settings.family)
        plan = make_plan([one.job for one in jobs], settings, places=[one.index for one in jobs])
        refused = {place: failure.error for place, failure in plan.refusals}
        planned = {request.position: request.job for request in plan.requests}
        admitted: dict[Load, Admission] = {}
        found = []
        for one in jobs:
            tokens, job = size_of(one.job).residues, planned.get(one.index)
            if job is None:
                error = spoken(refused[one.index])
                found.append(Priced(one, tokens, error=error))
                continue
            load = settings.load_of(job)
            try:
                if load not in admitted:
                    admitted[load] = predictor.admit(load, name=job.name)
                admission = admitted[load]
            except ItdaError as error:
                needed = predictor.cost(load).bytes
                found.append(Priced(one, tokens, bytes=needed, error=spoken(error)))
                continue
            cost = admission.cost
            seconds = cost.seconds * len(job.seeds) + predictor.start_seconds
            if seconds > self._limits.job_seconds:
                refusal = self._too_long(job, seconds)
                found.append(Priced(one, tokens, bytes=cost.bytes, error=refusal))
                continue
            found.append(
                Priced(
                    one,
                    tokens,
                    seconds=cost.seconds * len(job.seeds),
                    bytes=cost.bytes,
                    verdict=admission.verdict,
                    job=job,
                )
            )
        return found

    def _too_long(self, job: Job, seconds: float) -> CapabilityError:
        most, device = hours_shown(self._limits.job_seconds), self.costs.where().name
        return CapabilityError(
            Message(
                "job {job!r} would run for {seconds}{what}, and a job may run for {most}",
                job=job.name,
                seconds=hours_shown(seconds),
                what=Message(" on {device}", device=device) if device else "",
                most=most,
            ),
            hint=Message(
                "fewer samples, seeds or recycles take less time; so does a part of it; "
                "whoever runs the server may raise ITDA_JOB_HOURS"
            ),
        )

    def _warm(self) -> None:
        try:
            self.understand(">warm\nMQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG\n")
            # An ion's code and atom are looked up in the dictionary of components.
            self.understand("version: 1\nname: warm\nentities: [{ion: {id: A, ccd: MG}}]\n")
        except Exception:
            log.exception("what predictions need could not be imported")


def _chosen(options: Options, family: Family) -> Settings:
    """Find databases and programs; an error does not tell where the server keeps them."""
    try:
        return settings_of(options.run, family)
    except ItdaError as error:
        folder, own = databases_folder(), Message("the folder of this server")
        told = error.mapped(lambda text: own if text == str(folder) else text).said(REQUEST)
        # Other servers are not asked for alignments.
        raise told.but(hint=[one for one in told.remedies if not _names_a_server(one)]) from error


def _names_a_server(remedy: str) -> bool:
    options = remedy.options() if isinstance(remedy, Message) else ()
    return any(option.value.startswith("server:") for option in options)


def _stored(
    job: Job, read: Reading, artefacts: Artefacts, stored: dict[str, FileRecord]
) -> tuple[FileRecord, ...]:
    for name in files_of(job):
        if name not in stored:
            digest, size = artefacts.put(read.uploads[name].content)
            stored[name] = FileRecord(kind=name, name=name, digest=digest, bytes=size)
    return tuple(stored[name] for name in files_of(job))


def _nothing_left(failed: dict[int, ItdaError]) -> ItdaError:
    first = next(iter(failed.values()))
    if len(failed) == 1:
        return first
    return InputError(
        Message(
            "none of {count} records can be folded; the first: {problem}",
            count=len(failed),
            problem=first.problem,
        ),
        hint=first.hint,
    )
