"""What to try next: only what this input allows, this machine has, and nobody did yet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from itda.errors import ItdaError
from itda.hub.folders import shown_bytes
from itda.hub.installed import state_of
from itda.hub.registry import Http, HuggingFace, get_weight_set
from itda.hub.remote import is_offline
from itda.job.model import Job
from itda.job.sizes import size_of
from itda.language import Message, Option
from itda.models import registry
from itda.models.demand import Load
from itda.models.family import Family
from itda.results.verdict.basis import Basis
from itda.results.verdict.evidence import Folded
from itda.search.databases.registry import Databases

MOST_NAMED = 2
"""Remedies that are named; more would not be read."""

SHALLOW_ROWS = 30
"""Effective rows from which on an alignment is deep enough for AlphaFold 2 (Jumper et al. 2021,
figure 5a)."""

_REASONS: Mapping[str, tuple[str, ...]] = {
    "max-template-identity": ("too much like",),
    "max-template-date": ("released after", "of unknown release date"),
}
"""How the reasons begin for which each limit of the user's refuses a hit."""

_SHARE_OF_MEMORY = 0.7
"""Of all memory of a machine, that a family may ask for and still be proposed."""


@dataclass(frozen=True)
class Remedy:
    """One thing to try.

    Attributes:
        message: What, to be put after "Try next:".
        command: Whether it takes a command of a terminal first.
        elsewhere: What is said where there is no terminal, such as on a page, whose form has fields
            for files; None for the same.
    """

    message: Message
    command: bool = False
    elsewhere: Message | None = None


@dataclass(frozen=True)
class Remedies:
    """What may bring a better fold.

    Attributes:
        found: The most promising first.
    """

    found: tuple[Remedy, ...]

    def sentence(self, *, commands: bool = True) -> Message:
        """Say what to try, or that nothing is left to.

        Args:
            commands: Whether the reader has a terminal with commands.
        """
        possible = [
            one.message if commands else one.elsewhere or one.message
            for one in self.found
            if commands or not one.command
        ]
        if not possible:
            return Message("Nothing else that this machine has is known to help.")
        return Message("Try next: {remedies:or}.", remedies=possible[:MOST_NAMED])


def remedies_for(result: Folded, basis: Basis) -> Remedies:
    """Find what may bring a better fold than a result's.

    Args:
        result: What was folded.
        basis: What it rests on.
    """
    return Remedies(
        (
            *_templates(basis),
            *_families(result, basis),
            *_alignments(basis),
        )
    )


def _templates(basis: Basis) -> Iterator[Remedy]:
    if not basis.takes_templates or basis.own_templates:
        return
    structures = _databases("structures")
    if not basis.templates and not basis.searched and structures:
        yield Remedy(Message("search for templates ({--templates!c:{name}})", name=structures[0]))
    if not basis.templates:
        for option, reasons in _REASONS.items():
            if any(reason.startswith(reasons) for reason in basis.refused):
                yield Remedy(
                    Message(
                        "allow the templates that {option} refused",
                        option=Option(option, code=True),
                    )
                )
    yield Remedy(
        Message("give the structure of a relative ({--template!c:FILE})"),
        elsewhere=Message("give the structure of a relative as a template"),
    )


def _families(result: Folded, basis: Basis) -> Iterator[Remedy]:
    """Propose families that would take the job and run on this machine, those at hand first."""
    later: list[Remedy] = []
    for name in registry.FAMILIES:
        if name == result.provenance.family:
            continue
        family = registry.get_family(name)
        weight_set = get_weight_set(family.weight_set)
        if not _would_fold(family, result.job):
            continue
        if (
            state_of(weight_set) != "not here"
            and not basis.takes_templates
            and ("template" in family.capabilities.inputs)
        ):
            yield Remedy(
                Message(
                    "fold it with {--model!c:{family}}, which takes templates and whose weights "
                    "are here",
                    family=name,
                )
            )
        elif state_of(weight_set) != "not here":
            yield Remedy(
                Message("fold it with {--model!c:{family}}, whose weights are here", family=name)
            )
        elif isinstance(weight_set.source, HuggingFace | Http) and not is_offline():
            told = Message(
                "fold it with {--model!c:{family}} after `itda weights pull {weights}` ({size})",
                family=name,
                weights=weight_set.name,
                size=shown_bytes(weight_set.expected_bytes),
            )
            later.append(Remedy(told, command=True))
    yield from later


def _alignments(basis: Basis) -> Iterator[Remedy]:
    if not basis.takes_alignment or basis.profile:
        return
    if basis.alignment_rows > 1:
        if basis.effective_rows < SHALLOW_ROWS:
            yield Remedy(
                Message("give a deeper alignment ({--msa!c:FILE})"),
                elsewhere=Message("give a deeper alignment"),
            )
        return
    sequences = _databases("sequences")
    if sequences:
        yield Remedy(
            Message("search for an alignment ({--msa!c:mmseqs} {--db!c:{name}})", name=sequences[0])
        )
    elif not is_offline():
        yield Remedy(
            Message("search for an alignment (`itda db get uniref50`, then {--msa!c:mmseqs})"),
            command=True,
        )
    yield Remedy(
        Message("give an alignment ({--msa!c:FILE})"), elsewhere=Message("give an alignment")
    )


def _databases(kind: str) -> list[str]:
    databases = Databases()
    found = []
    for name in databases.names():
        try:
            if databases.get(name).kind == kind:
                found.append(name)
        except ItdaError:
            continue  # a damaged one helps nobody
    return found


def _would_fold(family: Family, job: Job) -> bool:
    try:
        family.check(job)
    except ItdaError:
        return False
    size = size_of(job)
    demand = family.demand(
        Load(tokens=(size.tokens,), atoms=(size.atoms,), chains=len(job.chains), frugal=True)
    )
    memory = _memory_bytes()
    needed = demand.weights_bytes + demand.live_bytes
    return memory is None or needed <= _SHARE_OF_MEMORY * memory


def _memory_bytes() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
