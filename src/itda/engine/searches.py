"""What is searched for each job before it is folded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from itda.errors import CapabilityError, InputError, ItdaError
from itda.job.entities import Molecule, Protein, Rna
from itda.job.model import Job
from itda.language import Message
from itda.models.refusals import or_choose

if TYPE_CHECKING:
    from itda.models.family import Capabilities, Family
    from itda.progress import Progress
    from itda.search.alignments.alignment import Alignment
    from itda.search.sources.source import Source
    from itda.search.templates.selection import FoundHit, TemplateLimits
    from itda.search.templates.template import Template


@dataclass(frozen=True)
class FoundTemplates:
    """What a search for templates gave.

    Attributes:
        templates: The best first.
        refused: What was found and not taken, with the reasons; empty where nothing was.
        hits: What is said of everything that was found, the best first.
    """

    templates: tuple[Template, ...]
    refused: str = ""
    hits: tuple[FoundHit, ...] = ()


class TemplateSource(Protocol):
    """Finds known structures that resemble a protein."""

    @property
    def title(self) -> str:
        """What is searched and with what, for people."""
        ...

    def key(self) -> Mapping[str, object]:
        """All that decides what is found beside query and alignment, as JSON values.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        ...

    @property
    def most(self) -> int:
        """Most templates that it gives a protein."""
        ...

    def search(
        self, query: str, *, alignment: Alignment | None, work: Path, progress: Progress
    ) -> FoundTemplates:
        """Search.

        Args:
            query: One-letter protein sequence.
            alignment: Its relatives; None where none are known.
            work: An empty folder, or the one that a killed search of the same query, alignment and
                key left behind.
            progress: Called as the search goes on.

        Raises:
            ItdaError: The search failed.
        """
        ...


@runtime_checkable
class ManyTemplateSource(TemplateSource, Protocol):
    """A source of templates that searches for many queries for little more than one's cost."""

    @property
    def most_at_once(self) -> int:
        """Queries beyond which more at once save nothing."""
        ...

    def search_many(
        self,
        queries: Sequence[str],
        *,
        alignments: Sequence[Alignment | None],
        work: Path,
        progress: Progress,
    ) -> Iterator[tuple[int, FoundTemplates | ItdaError]]:
        """Search for several queries; each gets what `search` would give it.

        Args:
            queries: One-letter protein sequences.
            alignments: Relatives of each; None where none are known.
            work: As for `search`, of the first.
            progress: Called as the search goes on.

        Yields:
            Place of each query, in order and without exception, and its templates, or why they
            cannot be searched; that of one says nothing of the others.

        Raises:
            ItdaError: No query can be searched.
        """
        ...


@dataclass(frozen=True)
class Searches:
    """What is searched; nothing unless told.

    Attributes:
        alignments: Searched with each protein that brings no alignment of its own.
        templates: Searched with each protein, to fill up what it brings of its own.
        template_limits: What is asked of a template that is searched; one that a user gives is
            taken all the same, and the user told.
    """

    alignments: Source | None = None
    templates: TemplateSource | None = None
    template_limits: TemplateLimits | None = None

    def key(self) -> dict[str, dict[str, object]]:
        """All that decides what is found beside the job, as JSON values; empty for no search.

        Raises:
            DataError: A database is missing, unfinished or altered.
        """
        sources = {"alignments": self.alignments, "templates": self.templates}
        return {name: dict(source.key()) for name, source in sources.items() if source is not None}

    @property
    def most_templates(self) -> int:
        """Most templates that a search gives a chain; 0 where none is made."""
        return 0 if self.templates is None else self.templates.most

    @property
    def most_candidates(self) -> int:
        """Most templates that are kept of a chain, to choose among; 0 where none are searched."""
        limits = self.template_limits
        return max(self.most_templates, limits.most if self.templates and limits else 0)

    def titles(self) -> dict[str, str | None]:
        """What is searched, for people; None where nothing is."""
        return {
            "alignments": None if self.alignments is None else self.alignments.title,
            "templates": None if self.templates is None else self.templates.title,
        }


def refuse_searches(family: Family, *, alignments: bool, templates: bool) -> None:
    """Refuse what the family could make no use of, before any search.

    Args:
        family: The chosen one.
        alignments: Whether an alignment is to be searched.
        templates: Whether templates are to be searched.

    Raises:
        CapabilityError: The family takes no alignment or no template.
    """
    inputs = family.capabilities.inputs
    for wanted, kind, option, what in (
        (alignments, "msa", "--msa", "alignment"),
        (templates, "template", "--templates", "template"),
    ):
        if wanted and kind not in inputs:
            takes = (
                Message("it takes {inputs:,}", inputs=sorted(inputs))
                if inputs
                else Message("it takes sequences only")
            )
            raise CapabilityError(
                Message(
                    "{option}: {family} takes no {what}, so none is searched; {takes}",
                    option=option,
                    family=family.name,
                    what=what,
                    takes=takes,
                ),
                hint=Message(
                    "leave {option} out{kind}", option=option, kind=or_choose(_takes(kind))
                ),
            )


def _takes(kind: str) -> Callable[[Capabilities], bool]:
    return lambda can: kind in can.inputs


def refuse_both(job: Job, searches: Searches) -> None:
    """Refuse a job that brings a profile while an alignment is to be searched for it.

    Raises:
        InputError: It names the job and the chain.
    """
    if searches.alignments is None:
        return
    for entity in job.entities:
        if isinstance(entity, Protein) and entity.profile is not None and entity.msa is None:
            raise InputError(
                Message(
                    "job {job!r}, chain {entity}: brings a profile, and an alignment is to "
                    "be searched for it",
                    job=job.name,
                    entity=entity.ids[0],
                ),
                hint=Message("leave out the profile or {--msa}"),
            )


def without_evidence(job: Job) -> Job:
    """Return the job without what becomes evidence: alignments and templates."""
    entities = tuple(_without_evidence(entity) for entity in job.entities)
    stripped: Job = job.replace(entities=entities)
    return stripped


def _without_evidence(entity: Molecule) -> Molecule:
    match entity:
        case Protein():
            return entity.replace(msa=None, paired_msa=None, templates=())
        case Rna():
            return entity.replace(msa=None)
        case _:
            return entity
