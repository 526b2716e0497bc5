"""What is known about each chain of a job before it is folded: its alignment and its templates."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from itda.engine import codec_evidence
from itda.engine.codec_evidence import (
    alignment_key,
    describe_alignment,
    describe_found,
    templates_key,
)
from itda.engine.events import Event, JobWarned
from itda.engine.pairing import PROVENANCE as PAIRED_PROVENANCE
from itda.engine.pairing import pair_chains
from itda.engine.searches import FoundTemplates, Searches, TemplateSource
from itda.engine.stages import Stage, Stages
from itda.errors import DataError
from itda.job.entities import Protein, Rna
from itda.job.model import Job
from itda.language import Message
from itda.progress import Progress
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.formats import parse_alignment, read_alignment
from itda.search.evidence import (
    TEMPLATE_SET,
    ChainEvidence,
    Evidence,
    templates_provenance,
)
from itda.search.sources.source import Source
from itda.search.templates.candidates import candidate_sets
from itda.search.templates.from_file import notes_on, read_template
from itda.search.templates.selection import (
    ENOUGH,
    GIVEN,
    SAME_LETTERS,
    FoundHit,
    TemplateLimits,
)
from itda.search.templates.template import Template

ALIGNMENT = Stage("alignment", 2)
TEMPLATES = Stage("templates", 2)

PROVENANCE = (
    "alignment", "alignment_rows", "alignment_search", "alignment_source",
    "template_search", "template_source", "templates", "templates_digest", "templates_refused",
    TEMPLATE_SET, *PAIRED_PROVENANCE,
)  # fmt: skip
"""Names under which the provenance of a result says where its evidence came from."""


@dataclass(frozen=True)
class Gathered:
    """What was found.

    Attributes:
        evidence: Of its chains.
        key: All of the evidence that a prediction depends on, as JSON values.
        inputs: Where it came from, as it goes into the provenance of a result.
        choices: The same with each candidate set of templates, the first of which is this one;
            none where there is nothing to choose.
        cached: True where nothing had to be searched.
    """

    evidence: Evidence
    key: Mapping[str, object]
    inputs: Mapping[str, str]
    cached: bool
    choices: tuple[Gathered, ...] = ()

    def of_sample(self, sample: int) -> Gathered:
        """What a sample is folded after; those beyond the last set have the first."""
        return self.choices[sample] if sample < len(self.choices) else self


def gather(
    job: Job,
    searches: Searches,
    keys: Mapping[str, Mapping[str, object]],
    stages: Stages,
    *,
    pairs: bool = False,
    sets: int = 1,
) -> Generator[Event, None, Gathered]:
    """Read or search what a job's proteins and RNA need, each kind once.

    A file that the job names is read anew in each run; what is searched is kept and found again.

    Args:
        job: What is to be folded.
        searches: What is searched.
        keys: What `searches.key()` gave when the run began.
        stages: Runs and keeps the searches.
        pairs: Whether the family takes rows that are paired across chains.
        sets: Most candidate sets of templates.

    Raises:
        ItdaError: A file cannot be read, or a search failed.
    """
    chains: dict[str, ChainEvidence] = {}
    cached = True
    known: dict[tuple[object, ...], tuple[ChainEvidence, bool]] = {}
    for entity in job.entities:
        if isinstance(entity, Rna) and entity.msa:
            asked: tuple[object, ...] = (entity.sequence, entity.msa)
            if asked not in known:
                known[asked] = (yield from _of_rna(job.name, entity, stages)), True
        elif isinstance(entity, Protein):
            asked = (entity.sequence, entity.msa, entity.templates)
            if asked not in known:
                known[asked] = yield from _of_protein(
                    job.name, entity, searches, keys, stages, sets
                )
        else:
            continue
        found, entity_cached = known[asked]
        cached = cached and entity_cached
        for chain_id in entity.ids:
            chains[chain_id] = found
    evidence, paired_key = Evidence(chains), {}
    if pairs:
        paired = yield from pair_chains(job, chains, stages)
        evidence = Evidence(chains, paired.rows, paired.provenance)
        cached = cached and paired.cached
        # No chain has this name.
        paired_key = {} if paired.rows is None else {"": paired.key}
    several = evidence.sets > 1
    choices = tuple(
        _gathered(
            job,
            evidence.with_set(number),
            paired_key,
            {TEMPLATE_SET: f"{number + 1} of {evidence.sets}"} if several else {},
            cached,
        )
        for number in range(evidence.sets)
    )
    return replace(choices[0], choices=choices if several else ())


def _gathered(
    job: Job,
    evidence: Evidence,
    paired_key: Mapping[str, object],
    said: Mapping[str, str],
    cached: bool,
) -> Gathered:
    key: dict[str, object] = {
        chain_id: {
            "alignment": alignment_key(found.alignment),
            "templates": templates_key(found.templates),
        }
        for chain_id, found in evidence.chains.items()
    }
    inputs = {**_inputs(job, evidence.chains), **evidence.provenance, **said}
    return Gathered(evidence, {**key, **paired_key}, inputs, cached)


def _of_rna(job: str, entity: Rna, stages: Stages) -> Generator[Event, None, ChainEvidence]:
    assert entity.msa
    alignment = yield from _read_alignment(job, entity.msa, entity, stages)
    return ChainEvidence(
        alignment,
        provenance={
            "alignment_source": _source_of(entity.msa),
            "alignment": alignment.digest,
            "alignment_rows": str(len(alignment)),
        },
    )


def _of_protein(
    job: str,
    entity: Protein,
    searches: Searches,
    keys: Mapping[str, Mapping[str, object]],
    stages: Stages,
    sets: int,
) -> Generator[Event, None, tuple[ChainEvidence, bool]]:
    alignment = None
    provenance: dict[str, str] = {}
    cached = templates_cached = True
    if entity.msa:
        alignment = yield from _read_alignment(job, entity.msa, entity, stages)
        provenance |= {"alignment_source": _source_of(entity.msa)}
    elif entity.msa is None and searches.alignments is not None:
        source, key = searches.alignments, keys["alignments"]
        alignment, cached = yield from search_alignment(job, entity.sequence, source, key, stages)
        provenance |= {"alignment_source": source.title, "alignment_search": _canonical(key)}
    if alignment is not None:
        provenance |= {"alignment": alignment.digest, "alignment_rows": str(len(alignment))}
    given, finder = FoundTemplates(()), searches.templates
    sources: list[str] = []
    if entity.templates:
        given = yield from _read_templates(job, entity, searches.template_limits, stages)
        sources += dict.fromkeys(template.path.name for template in entity.templates)
    if finder is not None and len(given.templates) < finder.most:
        key = keys["templates"]
        found, templates_cached = yield from _search_templates(
            job, entity.sequence, alignment, finder, key, stages
        )
        sources.append(finder.title)
        provenance |= {"template_search": _canonical(key)}
        found = _joined(given, found, searches.most_candidates)
    else:
        found = given
    if sources:
        provenance |= {"template_source": ", ".join(sources)}
        provenance |= templates_provenance(found.templates)
    if found.refused:
        provenance |= {"templates_refused": found.refused}
    evidence = ChainEvidence(alignment, found.templates, found.hits, provenance)
    limits = searches.template_limits
    if sets > 1 or len(found.templates) > max(searches.most_templates, len(given.templates)):
        chosen = candidate_sets(
            found.templates,
            length=len(entity.sequence),
            count=searches.most_templates if limits is None else limits.count,
            most=sets,
            given=len(given.templates),
        )
        evidence = replace(evidence, template_sets=chosen)
    return evidence, cached and templates_cached


def _source_of(given: Path | str) -> str:
    return given.name if isinstance(given, Path) else "the job"


def _read_alignment(
    job: str, given: Path | str, entity: Protein | Rna, stages: Stages
) -> Generator[Event, None, Alignment]:
    where = given.name if isinstance(given, Path) else f"chain {entity.ids[0]}, msa"

    def read(progress: Progress) -> Alignment:
        progress(0.0, f"reading {where}")
        if isinstance(given, Path):
            return read_alignment(given, query=entity.sequence, molecule=entity.molecule)
        return parse_alignment(given, query=entity.sequence, where=where, molecule=entity.molecule)

    alignment = yield from stages.compute(job, ALIGNMENT, read, describe_alignment)
    for note in alignment.notes:
        yield JobWarned(job=job, message=f"{where}: {note}")
    return alignment


def _read_templates(
    job: str, entity: Protein, limits: TemplateLimits | None, stages: Stages
) -> Generator[Event, None, FoundTemplates]:
    def read(progress: Progress) -> FoundTemplates:
        templates = []
        for number, file in enumerate(entity.templates):
            progress(number / len(entity.templates), f"reading {file.path.name}")
            templates.append(read_template(file, entity.sequence))
        hits = (
            FoundHit.of_template(one, entity.sequence, origin=GIVEN, source=Path(one.source).name)
            for one in templates
        )
        return FoundTemplates(tuple(templates), hits=tuple(hits))

    found = yield from stages.compute(job, TEMPLATES, read, describe_found)
    for file, template in zip(entity.templates, found.templates, strict=True):
        for note in notes_on(template, entity.sequence, limits, aligned=file.is_to_be_aligned):
            yield JobWarned(job=job, message=note)
    return found


def _joined(given: FoundTemplates, searched: FoundTemplates, most: int) -> FoundTemplates:
    """Put templates that were found behind those that are given, as many as are asked for in all.

    What lays the same residues along the query as a given one says nothing that this does not.
    """
    if not given.templates:
        return searched
    laid = {_along(template) for template in given.templates}
    taken = list(given.templates)
    reasons: dict[str, str] = {}
    for template in searched.templates:
        if _along(template) in laid:
            reasons[template.name] = SAME_LETTERS
        elif len(taken) == most:
            reasons[template.name] = ENOUGH
        else:
            taken.append(template)
    hits = [
        replace(hit, used=False, reason=reasons[hit.name])
        if hit.used and hit.name in reasons
        else hit
        for hit in searched.hits
    ]
    return FoundTemplates(tuple(taken), searched.refused, (*given.hits, *hits))


def _along(template: Template) -> tuple[bytes, str]:
    letters = "".join(template.sequence[place] for place in template.template_index)
    return template.query_index.astype(np.int32).tobytes(), letters


def search_alignment(
    job: str, query: str, source: Source, key: Mapping[str, object], stages: Stages
) -> Generator[Event, None, tuple[Alignment, bool]]:
    """Search an alignment unless the store has it; returns it, and whether it was found there."""

    def search(work: Path, progress: Progress) -> Alignment:
        refuse_changed(source, key)
        alignment = source.search(query, work=work, progress=progress)
        refuse_changed(source, key)
        if alignment.query != query:
            raise RuntimeError(f"{source.title} gave an alignment of another sequence")
        return alignment

    inputs = alignment_inputs(query, key)
    return (
        yield from stages.find_or_search(job, ALIGNMENT, inputs, search, codec_evidence.ALIGNMENT)
    )


def _search_templates(
    job: str,
    query: str,
    alignment: Alignment | None,
    finder: TemplateSource,
    key: Mapping[str, object],
    stages: Stages,
) -> Generator[Event, None, tuple[FoundTemplates, bool]]:
    def search(work: Path, progress: Progress) -> FoundTemplates:
        refuse_changed(finder, key)
        found = finder.search(query, alignment=alignment, work=work, progress=progress)
        refuse_changed(finder, key)
        return found

    inputs = templates_inputs(query, alignment, key)
    return (
        yield from stages.find_or_search(job, TEMPLATES, inputs, search, codec_evidence.TEMPLATES)
    )


def alignment_inputs(query: str, key: Mapping[str, object]) -> dict[str, object]:
    """Return all that an alignment depends on, as JSON values."""
    return {"query": query, "search": key}


def templates_inputs(
    query: str, alignment: Alignment | None, key: Mapping[str, object]
) -> dict[str, object]:
    """Return all that templates depend on, as JSON values."""
    return {"query": query, "alignment": alignment_key(alignment), "search": key}


def refuse_changed(source: Source | TemplateSource, key: Mapping[str, object]) -> None:
    """Refuse a result of which nobody could say what it was searched in."""
    if dict(source.key()) != dict(key):
        raise DataError(
            Message("{title}: was changed since the run began", title=source.title),
            hint=Message("the same command searches what is there now"),
        )


def _inputs(job: Job, chains: Mapping[str, ChainEvidence]) -> dict[str, str]:
    """Return the provenance of all evidence; with the chain's id where there are several."""
    known = [entity.ids[0] for entity in job.entities if entity.ids[0] in chains]
    return {
        name if len(known) == 1 else f"{chain_id}.{name}": value
        for chain_id in known
        for name, value in sorted(chains[chain_id].provenance.items())
    }


_canonical = functools.partial(
    json.dumps, sort_keys=True, separators=(",", ":"), ensure_ascii=False
)
