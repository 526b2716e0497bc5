"""Puts the structures that a user names into the proteins that they are templates of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itda.errors import CapabilityError, InputError, ItdaError
from itda.job.entities import Protein, TemplateFile
from itda.job.given_templates import GivenTemplate, parse_given_template
from itda.job.model import Job
from itda.job.read import JobBatch, RecordWarning
from itda.language import Message
from itda.models.refusals import or_choose
from itda.search.templates.fit import Fit, best_fit
from itda.search.templates.from_file import chain_of, protein_chains

if TYPE_CHECKING:
    from itda.job.options import RunOptions
    from itda.models.family import Family
    from itda.structure.chains.chain import Chain


@dataclass
class Given:
    """Jobs with their templates.

    Attributes:
        jobs: As many as there were, in their order; those with an error are as they were.
        notes: By the place of a job, from 0, which template went to which of its chains or to none.
        errors: By the place of a job, why a template cannot be given to it.
    """

    jobs: list[Job]
    notes: dict[int, list[str]] = field(default_factory=dict)
    errors: dict[int, ItdaError] = field(default_factory=dict)


def give_templates(jobs: Sequence[Job], given: Sequence[GivenTemplate], family: Family) -> Given:
    """Give each protein the templates that are meant for it.

    A template that names chains of the job goes to those. Any other goes to every protein that is
    alike, see `Fit.is_alike`. Of a file with several chains the one that fits best is taken. What
    is given stands before what the job names itself.

    Args:
        jobs: All jobs of the input.
        given: In the order in which they are to stand.
        family: That folds them.

    Raises:
        CapabilityError: The family takes no template.
        InputError: A file cannot be read, has no such chain, or fits none of the jobs.
    """
    if given and "template" not in family.capabilities.inputs:
        raise CapabilityError(
            Message(
                "{--template:{given}}: {family} takes no template",
                given=given[0].text,
                family=family.name,
            ),
            hint=Message(
                "leave {--template} out{kind}",
                kind=or_choose(lambda can: "template" in can.inputs),
            ),
        )
    found = Given(list(jobs))
    added: list[dict[str, list[TemplateFile]]] = [{} for _ in jobs]
    for one in given:
        _Giving(one, found, added).give()
    for place, job in enumerate(found.jobs):
        if place not in found.errors and added[place]:
            found.jobs[place] = _with_templates(job, added[place])
    return found


def with_templates(
    batch: JobBatch, options: RunOptions, family: Family
) -> tuple[JobBatch, dict[str, ItdaError]]:
    """Give the jobs of an input the templates that a user names, and say in its warnings which.

    Returns:
        The batch, and by the name of a job why it cannot have its template.

    Raises:
        CapabilityError: As `give_templates`.
        InputError: As `give_templates`, or a template is not written as one.
    """
    named = [parse_given_template(str(one)) for one in options.template]
    given = give_templates(batch.jobs, named, family)
    several = len(set(batch.sources.values())) > 1
    told = [
        RecordWarning(job.name, place, 0, note, batch.sources.get(place, "") if several else "")
        for number, (job, place) in enumerate(zip(batch.jobs, batch.places.values(), strict=True))
        for note in (() if number in given.errors else given.notes.get(number, ()))
    ]
    changed = dataclasses.replace(batch, jobs=tuple(given.jobs), warnings=(*batch.warnings, *told))
    return changed, {batch.jobs[number].name: error for number, error in given.errors.items()}


@dataclass
class _Giving:
    """One template on its way to the jobs.

    Attributes:
        given: It.
        found: What is said of the jobs.
        added: Of each job, templates by the first chain of a protein.
    """

    given: GivenTemplate
    found: Given
    added: list[dict[str, list[TemplateFile]]]

    def give(self) -> None:
        path, wanted = self.given.path, self.given.chain
        chains = protein_chains(path)
        if wanted is not None:
            chains = {wanted: chain_of(path, chains, wanted)}
        taken = 0
        unfit: dict[int, _UnfitError] = {}
        for place, job in enumerate(self.found.jobs):
            try:
                taken += self._to_job(place, job, chains)
            except _UnfitError as error:
                unfit[place] = error
            except InputError as error:
                self.found.errors.setdefault(place, error)
        if not unfit:
            return
        first = next(iter(unfit.values()))
        if len(self.found.jobs) == 1:
            name = self.found.jobs[0].name
            problem = Message("job {job!r}: {why}", job=name, why=first.problem)
            self.found.errors.setdefault(0, InputError(problem, hint=first.hint))
        elif not taken and not self.found.errors:
            raise InputError(
                Message(
                    "{--template:{given}}: fits none of {count} records; the first {why}",
                    given=self.given.text,
                    count=len(self.found.jobs),
                    why=first.problem,
                ),
                hint=first.hint,
            )
        else:
            for place, refusal in unfit.items():
                self._say(place, refusal.problem)

    def _say(self, place: int, note: str) -> None:
        self.found.notes.setdefault(place, []).append(note)

    def _to_job(self, place: int, job: Job, chains: Mapping[str, Chain]) -> int:
        """Give the template to the proteins of a job; return to how many.

        Raises:
            _UnfitError: It fits none of them.
            InputError: It could be given in two ways.
        """
        proteins = [entity for entity in job.entities if isinstance(entity, Protein)]
        meant = self._meant(proteins)
        fits = [best_fit(protein.sequence, chains, self.given.path) for protein in meant]
        if not self.given.ids:
            chosen = [
                (protein, fit) for protein, fit in zip(meant, fits, strict=True) if fit.is_alike
            ]
        else:
            chosen = list(zip(meant, fits, strict=True))
        if not chosen:
            raise self._unfit(meant, fits)
        for protein, fit in chosen:
            self._add(place, protein, fit)
            if len(proteins) > 1 or len(self.found.jobs) > 1 or self._was_chosen(fit, chains):
                self._note(place, protein, fit)
        return len(chosen)

    def _meant(self, proteins: Sequence[Protein]) -> Sequence[Protein]:
        ids = self.given.ids
        if not proteins:
            raise _UnfitError(
                Message("has no protein for template {file}", file=self.given.path.name),
                hint=Message("leave {--template} out"),
            )
        known = {chain_id for protein in proteins for chain_id in protein.ids}
        for chain_id in ids:
            if chain_id not in known:
                raise _UnfitError(
                    Message(
                        "has no protein chain {chain!r} for template {given}",
                        chain=chain_id,
                        given=self.given.text,
                    ),
                    hint=Message("its protein chains: {names}", names=", ".join(sorted(known))),
                )
        return [protein for protein in proteins if not ids or set(ids) & set(protein.ids)]

    def _unfit(self, meant: Sequence[Protein], fits: Sequence[Fit]) -> _UnfitError:
        told = [
            Message(
                "chain {own} with its chain {chain}: {identical:.0f} of {pairs} paired residues "
                "are equal",
                identical=fit.identical,
                pairs=fit.pairs,
                own=protein.ids[0],
                chain=fit.chain,
            )
            for protein, fit in zip(meant, fits, strict=True)
        ]
        return _UnfitError(
            Message(
                "does not resemble template {file} ({told:;})",
                file=self.given.path.name,
                told=told,
            ),
            hint=Message(
                "write {--template:{chain}={given}} to use it for chain {chain} all the same, or "
                "leave it out",
                chain=meant[0].ids[0],
                given=self.given.text,
            ),
        )

    def _add(self, place: int, protein: Protein, fit: Fit) -> None:
        # The only chain of a file may have a name that no chain of a job can have.
        file = TemplateFile(path=self.given.path.absolute(), chain=fit.chain or None)
        files = self.added[place].setdefault(protein.ids[0], [])
        if file in (*files, *protein.templates):
            self._say(
                place,
                Message(
                    "template {file}, chain {chain} is given twice to chain {own}, and taken once",
                    file=self.given.path.name,
                    chain=fit.chain,
                    own=protein.ids[0],
                ),
            )
        if file not in files:
            files.append(file)

    def _was_chosen(self, fit: Fit, chains: Mapping[str, Chain]) -> bool:
        return len(chains) > 1 or bool(self.given.ids and not fit.is_alike)

    def _note(self, place: int, protein: Protein, fit: Fit) -> None:
        note = Message(
            "template {file}, chain {chain} is for chain {own}: {identical:.0f} of {pairs} paired "
            "residues are equal ({identity:.0%})",
            file=self.given.path.name,
            chain=fit.chain,
            own=protein.ids[0],
            identical=fit.identical,
            pairs=fit.pairs,
            identity=fit.identity,
        )
        if fit.copies:
            note = Message("{note}; copies of it: {copies:,}", note=note, copies=list(fit.copies))
        self._say(place, note)


class _UnfitError(InputError):
    """A template fits nothing of a job, which is no fault where there are other jobs."""


def _with_templates(job: Job, added: Mapping[str, Sequence[TemplateFile]]) -> Job:
    entities = tuple(
        entity.replace(
            templates=(
                *added[entity.ids[0]],
                *(one for one in entity.templates if one not in added[entity.ids[0]]),
            )
        )
        if isinstance(entity, Protein) and entity.ids[0] in added
        else entity
        for entity in job.entities
    )
    replaced: Job = job.replace(entities=entities)
    return replaced
