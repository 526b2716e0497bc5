"""What a run will do, settled before any weights are read or anything is computed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from itda.cost.loads import load_of
from itda.engine.events import JobFailed
from itda.engine.searches import Searches, refuse_both, refuse_searches, without_evidence
from itda.errors import CapabilityError, InputError, ItdaError, WeightsError
from itda.job.model import Job
from itda.job.names import collision_key
from itda.job.options import TEMPLATE_SETS, Effort
from itda.language import Message
from itda.models.family import Relating
from itda.models.refusals import or_choose
from itda.storage import file_digest
from itda.store.store import digest_of

if TYPE_CHECKING:
    from itda.cost.predictor import Admission
    from itda.models.demand import Load
    from itda.models.family import Family
    from itda.models.parameters import FamilyParameters


@dataclass(frozen=True)
class Settings:
    """What holds for every job of a run.

    Attributes:
        family: The model family.
        weights: A weights file of the user's own; None for the family's.
        seed: Replaces the seeds that jobs name.
        samples: Replaces the samples that jobs name.
        recycles: How often the trunk sees its own output; None for the family's choice.
        searches: What is searched for each job before it is folded.
        deterministic: Whether the same input gives the same bits each time, at a cost in speed.
        effort: How many candidate sets of templates are tried.
        parameters: Of the family's own, its defaults unless told; None where it has none.
    """

    family: Family
    weights: Path | None = None
    seed: int | None = None
    samples: int | None = None
    recycles: int | None = None
    searches: Searches = field(default_factory=Searches)
    deterministic: bool = False
    effort: Effort = "normal"
    parameters: FamilyParameters | None = None

    def __post_init__(self) -> None:
        if self.parameters is None and self.family.parameters is not None:
            object.__setattr__(self, "parameters", self.family.parameters())

    @property
    def parameters_key(self) -> dict[str, object]:
        """The family's own parameters by name, as JSON values; empty where it has none."""
        if self.parameters is None:
            return {}
        return {"parameters": self.parameters.model_dump(mode="json")}

    @functools.cached_property
    def weights_digest(self) -> str:
        """Hash of the user's weights file, or `default`.

        Raises:
            WeightsError: The file cannot be read.
        """
        if self.weights is None:
            return "default"
        try:
            return f"sha256:{file_digest(self.weights)}"
        except OSError as error:
            raise WeightsError(
                Message(
                    "{weights}: weights cannot be read: {strerror}",
                    weights=self.weights,
                    strerror=error.strerror,
                ),
                hint=Message(
                    "give a weights file or a set of `itda weights list`, or leave "
                    "{--weights} out to use the family's own"
                ),
            ) from error

    def shown(self) -> dict[str, object]:
        """What a summary of the run says of them."""
        return {
            "family": self.family.name,
            "weights": self.weights_digest,
            "seed": self.seed,
            "samples": self.samples,
            "recycles": self.recycles,
            **self.parameters_key,
            **self.searches.titles(),
        }

    @functools.cached_property
    def searches_key(self) -> dict[str, dict[str, object]]:
        """All that decides what is found beside the job; empty where nothing is searched.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        return self.searches.key()

    def sets_of(self, job: Job) -> int:
        """Most candidate sets of templates that a job is folded after; 1 for no choice."""
        if not self.family.capabilities.template_sets:
            return 1
        given = max(len(getattr(entity, "templates", None) or ()) for entity in job.entities)
        if given < self.searches.most_templates:
            return TEMPLATE_SETS[self.effort]
        # With all that are given, and with none.
        return min(TEMPLATE_SETS[self.effort], 2 if given else 1)

    def load_of(self, job: Job, *, templates: int | None = None, frugal: bool = False) -> Load:
        """Give what is asked of the machine by a job with the run's samples put in.

        Args:
            job: Which; as many of its samples as there may be sets of templates are counted as
                folds of their own.
            templates: Most that a chain has; as many as may be found unless told.
            frugal: Whether speed is given up for memory.
        """
        return load_of(
            job,
            recycles=self.recycles,
            templates=self.searches.most_templates if templates is None else templates,
            template_sets=min(job.samples, self.sets_of(job)),
            frugal=frugal,
            parameters=self.parameters,
        )


@dataclass(frozen=True)
class Request:
    """A job that will be run.

    Attributes:
        job: With the run's seed and samples put in.
        position: Its place in the input, from 1.
        input_digest: Hash of the job without seeds and samples, and of the files it names but for
            alignments and templates.
        digest: Hash of all that was asked for.
        sets: Most candidate sets of templates that it is folded after.
        by_sets: Whether nobody said how many samples there are to be. The job then has as many as
            there may be sets, and its result as many as there are.
        admission: How it fits into memory, and what it is predicted to take; None where nobody
            asked.
        note: What its owner should know; empty for nothing.
    """

    job: Job
    position: int
    input_digest: str
    digest: str
    sets: int = 1
    by_sets: bool = False
    admission: Admission | None = None
    note: str = ""

    @property
    def frugal(self) -> bool:
        """Whether it fits into memory only where speed is given up for it."""
        return self.admission is not None and self.admission.load.frugal


@dataclass(frozen=True)
class Plan:
    """The jobs of a run.

    Attributes:
        settings: What holds for all of them.
        requests: Those admitted.
        refusals: Those refused, each with its place in the input (from 1) and the reason.
        total: How many records the input has.
    """

    settings: Settings
    requests: tuple[Request, ...]
    refusals: tuple[tuple[int, JobFailed], ...]
    total: int

    @property
    def refused(self) -> list[tuple[str, int, Exception]]:
        """Name, place and reason of each job that was refused."""
        return [(failure.job, place, failure.error) for place, failure in self.refusals]


def make_plan(
    jobs: Iterable[Job],
    settings: Settings,
    *,
    places: Sequence[int] | None = None,
    total: int | None = None,
    admission: Callable[[], Callable[[Job], Admission]] | None = None,
) -> Plan:
    """Check every job against what the family can do.

    Args:
        jobs: What to fold.
        settings: What holds for all of them.
        places: Place of each job in an input that has more records than jobs; 1, 2, … unless told.
        total: How many records the input has; as many as there are jobs unless told.
        admission: Gives, once there is a job to admit, what refuses those that do not fit into
            memory and says how the others do.

    Raises:
        WeightsError: The weights file cannot be read.
        CapabilityError: The family takes no alignment or template, and one is to be searched; it
            recycles nothing, and is to; or it chooses among no templates, and effort is asked for.
        DataError: A database is missing, unfinished or altered.
    """
    searches = settings.searches
    refuse_searches(
        settings.family,
        alignments=searches.alignments is not None,
        templates=searches.templates is not None,
    )
    refuse_recycles(settings.family, settings.recycles)
    refuse_effort(settings.family, settings.effort)
    weights_digest = settings.weights_digest
    searches_key = settings.searches_key
    requests: list[Request] = []
    refusals: list[tuple[int, JobFailed]] = []
    taken: dict[str, str] = {}
    jobs = list(jobs)
    for position, job in zip(places or range(1, len(jobs) + 1), jobs, strict=True):
        try:
            _refuse_taken_name(job, taken)
            requests.append(_request(job, position, settings, weights_digest, searches_key))
        except ItdaError as error:
            refusals.append((position, JobFailed(job=job.name, error=error, refused=True)))
        except Exception as error:
            failure = JobFailed(
                job=job.name, error=error, traceback=traceback.format_exc(), refused=True
            )
            refusals.append((position, failure))
        else:
            taken[collision_key(job.name)] = job.name
    refusals = _with_partners(refusals, jobs, settings.family)
    if admission is not None and requests:
        requests, unfitting = _admitted(requests, admission())
        refusals = sorted([*refusals, *unfitting], key=lambda refusal: refusal[0])
    return Plan(settings, tuple(requests), tuple(refusals), len(jobs) if total is None else total)


def _with_partners(
    refusals: Sequence[tuple[int, JobFailed]], jobs: Sequence[Job], family: Family
) -> list[tuple[int, JobFailed]]:
    """Give refused jobs that belong together the remedy to make one of them."""
    if not isinstance(family, Relating):
        return list(refusals)
    refused = {refusal.job for _, refusal in refusals if isinstance(refusal.error, CapabilityError)}
    hints = family.related([job for job in jobs if job.name in refused])
    return [
        (position, dataclasses.replace(refusal, error=_hinted(refusal.error, hints[refusal.job])))
        if refusal.job in hints and isinstance(refusal.error, ItdaError)
        else (position, refusal)
        for position, refusal in refusals
    ]


def _hinted(error: ItdaError, hint: str) -> ItdaError:
    told = type(error)(error.problem, hint=hint)
    told.__cause__ = error
    return told


def _admitted(
    requests: Iterable[Request], admit: Callable[[Job], Admission]
) -> tuple[list[Request], list[tuple[int, JobFailed]]]:
    """Return the requests that fit into memory, and the refusals of the others."""
    admitted: list[Request] = []
    refusals: list[tuple[int, JobFailed]] = []
    for request in requests:
        try:
            admitted.append(_fitting(request, admit))
        except ItdaError as error:
            refusal = JobFailed(job=request.job.name, error=error, refused=True)
            refusals.append((request.position, refusal))
    return admitted, refusals


def _fitting(request: Request, admit: Callable[[Job], Admission]) -> Request:
    """Admit a request; with fewer sets of templates where nobody said how many samples it has.

    Raises:
        ItdaError: It does not fit with one set.
    """
    try:
        return dataclasses.replace(request, admission=admit(request.job))
    except ItdaError:
        if not request.by_sets:
            raise
    for sets in range(request.sets - 1, 1, -1):
        with contextlib.suppress(ItdaError):
            return _with_sets(request, sets, admit)
    return _with_sets(request, 1, admit)


def _with_sets(request: Request, sets: int, admit: Callable[[Job], Admission]) -> Request:
    job = request.job.replace(samples=sets)
    return dataclasses.replace(
        request,
        job=job,
        digest=digest_of({"asked": request.digest, "template_sets": sets}),
        sets=sets,
        admission=admit(job),
        note=Message(
            "memory does not hold {most} candidate sets of templates; at most {sets} of them are "
            "tried",
            most=request.sets,
            sets=sets,
        ),
    )


def refuse_recycles(family: Family, recycles: int | None) -> None:
    """Refuse to say how often a trunk sees its own output where it never does.

    Raises:
        CapabilityError: The family recycles nothing, and more than 0 passes are asked for.
    """
    if recycles and not family.capabilities.recycles:
        raise CapabilityError(
            Message(
                "{--recycles:{recycles}}: {family} recycles nothing",
                recycles=recycles,
                family=family.name,
            ),
            hint=Message(
                "leave {--recycles} out{or_choose}", or_choose=or_choose(lambda can: can.recycles)
            ),
        )


def refuse_effort(family: Family, effort: Effort) -> None:
    """Refuse effort that would change nothing.

    Raises:
        CapabilityError: Most effort is asked for, and the family chooses among no templates.
    """
    if effort == "thorough" and not family.capabilities.template_sets:
        raise CapabilityError(
            Message(
                "{--effort:{effort}}: {family} chooses among no sets of templates, so more effort "
                "changes nothing",
                effort=effort,
                family=family.name,
            ),
            hint=Message(
                "leave {--effort} out{or_choose}",
                or_choose=or_choose(lambda can: can.template_sets),
            ),
        )


def _refuse_taken_name(job: Job, taken: dict[str, str]) -> None:
    holder = taken.get(collision_key(job.name))
    if holder is None:
        return
    same = (
        Message("another job has it")
        if holder == job.name
        else Message("its files would be those of {holder!r}", holder=holder)
    )
    raise InputError(
        Message("name {job!r}: {same}", job=job.name, same=same),
        hint=Message("give each job a name of its own"),
    )


def _request(
    job: Job,
    position: int,
    settings: Settings,
    weights_digest: str,
    searches_key: Mapping[str, object],
) -> Request:
    changes: dict[str, object] = {}
    if settings.seed is not None:
        changes["seeds"] = (settings.seed,)
    if settings.samples is not None:
        changes["samples"] = settings.samples
    if changes:
        job = job.replace(**changes)
    settings.family.check(job)
    refuse_both(job, settings.searches)
    once = job.replace(seeds=(0,), samples=1)
    sets = settings.sets_of(job)
    by_sets = sets > 1 and settings.samples is None and job.samples == 1
    asked = {
        "input": once.digest(),
        "seeds": job.seeds,
        "samples": None if by_sets else job.samples,
        "recycles": settings.recycles,
        "family": settings.family.name,
        "weights": weights_digest,
        **settings.parameters_key,
    }
    if searches_key:
        asked["searches"] = searches_key
    if sets > 1:
        asked["template_sets"] = sets
    if settings.deterministic:
        asked["deterministic"] = True
    if by_sets:
        job = job.replace(samples=sets)
    input_digest = without_evidence(once).digest()
    return Request(job, position, input_digest, digest_of(asked), sets, by_sets)
