"""Which templates a result was folded with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from itda.job.entities import Protein
from itda.search.templates.selection import GIVEN
from itda.structure.used_template import UsedTemplate

if TYPE_CHECKING:
    from itda.results.folded import FoldedJob
    from itda.search.templates.template import Template


def used_templates(result: FoldedJob) -> list[UsedTemplate]:
    """Return the templates of each protein of a result, in the order in which they were taken."""
    found: list[UsedTemplate] = []
    for entity in result.job.entities:
        if not isinstance(entity, Protein):
            continue
        evidence = result.evidence.chain(entity.ids[0])
        given = sum(hit.used and hit.origin == GIVEN for hit in evidence.hits)
        found += [
            _used(template, entity, is_given=place < given)
            for place, template in enumerate(evidence.templates)
            if len(template.query_index)
        ]
    return found


def _used(template: Template, protein: Protein, *, is_given: bool) -> UsedTemplate:
    source = Path(template.source).name if is_given else template.source
    # A chain of a user's file is called after the file, whatever is in either's name.
    stem = source.split(".")[0]
    entry, _, chain = template.name.rpartition("_")
    if is_given and template.name.startswith(f"{stem}_"):
        entry, chain = stem, template.name.removeprefix(f"{stem}_")
    return UsedTemplate(
        chain_ids=protein.ids,
        entry=entry or template.name,
        chain=chain if entry else "",
        sequence=template.sequence,
        query_index=template.query_index,
        template_index=template.template_index,
        query=protein.sequence,
        identity=template.identity,
        e_value=template.e_value,
        release_date=template.release_date,
        is_given=is_given,
        source=source,
    )
