"""What a fold rests on: alignment, templates, or the sequence alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from itda.job.entities import Protein
from itda.language import Message
from itda.models import registry
from itda.results.verdict.evidence import Folded
from itda.search.alignments.alignment import Alignment
from itda.search.alignments.depth import neff
from itda.search.evidence import ChainEvidence

MOST_ROWS_COMPARED = 1500
"""Rows that are compared with one another, which takes a second; of more, some."""


@dataclass(frozen=True)
class UsedTemplate:
    """A template that the fold rests on.

    Attributes:
        chain_id: First chain of the protein.
        name: Entry and chain.
        identity: Identical residues over paired ones, 0 to 1.
        coverage: Part of the protein that is paired, 0 to 1.
        own: Whether the user gave it.
    """

    chain_id: str
    name: str
    identity: float
    coverage: float
    own: bool

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "chain_id": self.chain_id,
            "name": self.name,
            "identity": round(self.identity, 3),
            "coverage": round(self.coverage, 3),
        }


@dataclass(frozen=True)
class Basis:
    """What a fold rests on.

    Attributes:
        family: Name of the family.
        takes_alignment: Whether it takes an alignment.
        takes_templates: Whether it takes templates.
        alignment_rows: Of the deepest alignment, the query among them; 0 without one.
        effective_rows: Those that differ: each counts 1 over the rows of 80 % identity or more
            with it.
        some_rows: Whether `effective_rows` is of some of the rows, and more or less too small.
        profile: Whether a profile was given.
        templates: Best first, of all chains.
        searched: What was searched for templates; empty where nothing was.
        refused: Why hits of that search became no templates, each reason once.
    """

    family: str
    takes_alignment: bool
    takes_templates: bool
    alignment_rows: int
    effective_rows: float
    some_rows: bool
    profile: bool
    templates: tuple[UsedTemplate, ...]
    searched: str
    refused: tuple[str, ...]

    @property
    def own_templates(self) -> bool:
        """Whether the user gave a template."""
        return any(template.own for template in self.templates)

    def sentence(self) -> Message:
        """Say what the fold rests on."""
        parts = [*self._alignment(), *self._templates()]
        if parts:
            return Message("It rests on {parts:and}.", parts=parts)
        if not self.takes_alignment and not self.takes_templates:
            return Message(
                "It rests on sequence alone, which is all that {family} takes.",
                family=self.family,
            )
        if self.searched and self.refused:
            return Message(
                "It rests on the sequence alone: what was found in {searched} was not fit to be a "
                "template or not allowed, and there was no alignment.",
                searched=self.searched,
            )
        if self.searched and self.takes_templates:
            return Message(
                "It rests on the sequence alone: no template was found in {searched}, and there "
                "was no alignment.",
                searched=self.searched,
            )
        return Message("It rests on the sequence alone: no alignment and no template.")

    def _alignment(self) -> list[Message]:
        if self.profile:
            return [Message("a profile of your own")]
        if self.alignment_rows < 2:
            return []
        shape = (
            Message(
                "an alignment of {rows:,} sequences (at least {effective:,} effective)",
                rows=self.alignment_rows,
                effective=math.floor(self.effective_rows),
            )
            if self.some_rows
            else Message(
                "an alignment of {rows:,} sequences ({effective:,} effective)",
                rows=self.alignment_rows,
                effective=round(self.effective_rows),
            )
        )
        return [shape]

    def _templates(self) -> list[Message]:
        if not self.templates:
            return []
        best = self.templates[0]
        fields = {
            "name": best.name,
            "identity": f"{100 * best.identity:.0f}",
            "coverage": f"{100 * best.coverage:.0f}",
            "more": len(self.templates) - 1,
        }
        if len(self.templates) == 1:
            return [
                Message("template {name} ({identity} % identical, {coverage} % covered)", **fields)
            ]
        return [
            Message(
                "template {name} ({identity} % identical, {coverage} % covered) and {more} more",
                **fields,
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "alignment_rows": self.alignment_rows,
            "effective_rows": round(self.effective_rows, 1),
            "profile": self.profile,
            "templates": [template.to_dict() for template in self.templates],
            "template_source": self.searched or None,
        }


def basis_of(result: Folded) -> Basis:
    """Say what a result rests on, of what its family reads."""
    family = result.provenance.family
    inputs = frozenset[str]()
    if family in registry.FAMILIES:
        inputs = registry.get_family(family).capabilities.inputs
    proteins = [entity for entity in result.job.entities if isinstance(entity, Protein)]
    found = {protein.ids[0]: result.evidence.chain(protein.ids[0]) for protein in proteins}
    alignments = [one.alignment for one in found.values() if one.alignment is not None]
    deepest = max(alignments, key=len, default=None)
    effective, some = (0.0, False) if deepest is None else _effective(deepest)
    return Basis(
        family=family,
        takes_alignment="msa" in inputs or deepest is not None,
        takes_templates="template" in inputs,
        alignment_rows=0 if deepest is None else len(deepest),
        effective_rows=effective,
        some_rows=some,
        profile=any(protein.profile is not None for protein in proteins),
        templates=tuple(
            template
            for protein in proteins
            for template in _templates(protein, found[protein.ids[0]])
        ),
        searched=next(
            (
                one.provenance["template_source"]
                for one in found.values()
                if "template_search" in one.provenance
            ),
            "",
        ),
        refused=tuple(
            dict.fromkeys(hit.reason for one in found.values() for hit in one.hits if not hit.used)
        ),
    )


def _templates(protein: Protein, found: ChainEvidence) -> list[UsedTemplate]:
    return [
        UsedTemplate(
            protein.ids[0],
            template.name,
            template.identity,
            len(np.unique(template.query_index)) / protein.length,
            own=math.isnan(template.e_value),
        )
        for template in found.templates
    ]


def _effective(alignment: Alignment) -> tuple[float, bool]:
    if len(alignment) <= MOST_ROWS_COMPARED:
        return neff(alignment), False
    step = -(-len(alignment) // MOST_ROWS_COMPARED)
    return neff(Alignment(alignment.names[::step], alignment.rows[::step])), True
