"""Which chain is heavy and which light, what cannot be folded, and what is cut to what can."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from itda.errors import CapabilityError
from itda.job.entities import Molecule, Protein
from itda.job.model import Job
from itda.job.names import automatic_chain_ids
from itda.language import Message, joined
from itda.models.flashabb.domains import Domain, find_domains
from itda.models.refusals import families_that

Item = TypeVar("Item")
Result = TypeVar("Result")

SHORTEST = 80
"""Residues of the shortest chain that is taken."""

LONGEST = 160
"""Residues of the longest chain that is taken."""

SHORTEST_LOOP = 3
"""Residues of the shortest CDR3, between Cys104 and residue 118."""

LOOSE_ENDS = 3
"""Residues before and after the domain that may stand there: the ends of crystal structures."""

NANOBODY_PROBLEM = (
    "a heavy chain without a light chain (a nanobody) comes out wrong: over 9 experimental "
    "structures the framework is off by 5.0 Å and CDR-H3 by 9.4 Å, at a mean pLDDT of 84, which "
    "reads as confident"
)
"""Measured by benchmarks/flashabb.py; the pairs of heavy and light chain have 0.6 Å and 1.4 Å."""


_NO_H3_TO_TRUST = (
    "but its CDR-H3 is not to be trusted there either: `mini` with templates gave H3 of nanobodies "
    "a pLDDT of 92 to 96 where the true lDDT was 0.3 to 0.6"
)


@dataclass(frozen=True)
class _Chain:
    """A chain with the one domain that it holds."""

    name: str
    length: int
    domain: Domain

    @property
    def before(self) -> int:
        """Residues before the domain."""
        return self.domain.first

    @property
    def after(self) -> int:
        """Residues after the domain."""
        return self.length - 1 - self.domain.last


def sort_chains(chains: Sequence[tuple[str, str]], *, job: str) -> tuple[int, int]:
    """Say which chain is the heavy and which the light one, whatever their order.

    Args:
        chains: Id and sequence of one or two chains.
        job: Its name, for messages.

    Returns:
        Place of the heavy chain and of the light chain.

    Raises:
        CapabilityError: A chain is no variable domain, more than one, or not a whole one, or there
            is not one of each kind; what is wrong with both chains is said at once.
    """
    found = _each(job, chains, _one_domain)
    kinds = [chain.domain.kind for chain in found]
    if kinds == ["heavy"]:
        able = families_that(lambda can: can.min_chains == 1 and "protein" in can.molecules)
        raise CapabilityError(
            Message(
                "job {job!r}, chain {chains}: {nanobody_problem}",
                job=job,
                chains=chains[0][0],
                nanobody_problem=NANOBODY_PROBLEM,
            ),
            hint=Message(
                "give the light chain too, as HEAVY:LIGHT{what}",
                what=Message(
                    "; {able} folds single chains, {no_h3_to_trust}",
                    able=able,
                    no_h3_to_trust=_NO_H3_TO_TRUST,
                )
                if able
                else "",
            ),
        )
    if sorted(kinds) != ["heavy", "light"]:
        ids = " and ".join(chain_id for chain_id, _ in chains)
        raise CapabilityError(
            Message(
                "job {job!r}: only {kinds} chains are given ({ids})",
                job=job,
                kinds=kinds[0],
                ids=ids,
            ),
            hint=Message(
                "flashabb folds one heavy chain with its light chain; give both, as HEAVY:LIGHT"
            ),
        )
    _each(job, found, _refuse_incomplete)
    _each(job, found, _refuse_long)
    _refuse_surplus(job, found)
    return kinds.index("heavy"), kinds.index("light")


def _each(job: str, items: Sequence[Item], look: Callable[[str, Item], Result]) -> list[Result]:
    """Look at each chain, and refuse what is wrong with any of them in one message."""
    results: list[Result] = []
    errors: list[CapabilityError] = []
    for item in items:
        try:
            results.append(look(f"job {job!r}, ", item))
        except CapabilityError as error:
            errors.append(error)
    if errors:
        start = Message("job {job!r}, ", job=job)
        first, *others = (error.problem for error in errors)
        raise CapabilityError(
            joined([first, *(other.removeprefix(start) for other in others)], ";"),
            hint=joined(dict.fromkeys(error.hint for error in errors), ";"),
        )
    return results


def _one_domain(where: str, chain: tuple[str, str]) -> _Chain:
    chain_id, sequence = chain
    domains = find_domains(sequence)
    where += Message("chain {chain_id}", chain_id=chain_id)
    if not domains and len(sequence) < SHORTEST:
        raise CapabilityError(
            Message(
                "{where}: {count} residues are too few for the variable domain of an antibody",
                where=where,
                count=len(sequence),
            ),
            hint=Message("give the whole domain, 105 to 130 residues, from framework 1 to 4"),
        )
    if not domains:
        raise CapabilityError(
            Message(
                "{where}: {count} residues, none of which are like the variable domain of an "
                "antibody",
                where=where,
                count=len(sequence),
            ),
            hint=Message(
                "flashabb folds antibody variable domains only; `itda models` shows what "
                "else is there"
            ),
        )
    receptors = [domain for domain in domains if domain.kind == "receptor"]
    if receptors:
        first, last = receptors[0].first + 1, receptors[0].last + 1
        raise CapabilityError(
            Message(
                "{where}: residues {first} to {last} are the variable domain of a T-cell receptor",
                where=where,
                first=first,
                last=last,
            ),
            hint=Message(
                "flashabb was trained on antibodies, and folds nothing else; `itda models` "
                "shows what else is there"
            ),
        )
    if len(domains) > 1:
        named = " and ".join(f"{d.kind} {d.first + 1}-{d.last + 1}" for d in domains)
        raise CapabilityError(
            Message(
                "{where}: holds {count} variable domains ({named})",
                where=where,
                count=len(domains),
                named=named,
            ),
            hint=Message(
                "{--trim} makes each domain a chain of its own, without the linker; or write "
                "them as HEAVY:LIGHT"
            ),
        )
    return _Chain(chain_id, len(sequence), domains[0])


def _refuse_incomplete(where: str, chain: _Chain) -> None:
    letter = "H" if chain.domain.kind == "heavy" else "L"
    start = Message(
        "{where}chain {chain}: the {kind} domain",
        where=where,
        chain=chain.name,
        kind=chain.domain.kind,
    )
    if chain.domain.loop is None:
        raise CapabilityError(
            Message(
                "{start} has no framework 4 behind CDR-{letter}3 ({what}-Gly-X-Gly): it is "
                "like a germline to residue {last} of {length}",
                start=start,
                letter=letter,
                what=Message("Trp") if letter == "H" else Message("Phe"),
                last=chain.domain.last + 1,
                length=chain.length,
            ),
            hint=Message(
                "give the whole domain, with CDR-{letter}3 and framework 4, without gaps",
                letter=letter,
            ),
        )
    if chain.domain.loop < SHORTEST_LOOP:
        raise CapabilityError(
            Message(
                "{start} has no CDR-{letter}3: {loop} residues stand between Cys104 and "
                "framework 4",
                start=start,
                letter=letter,
                loop=chain.domain.loop,
            ),
            hint=Message("give the whole domain, with CDR-{letter}3", letter=letter),
        )


def _refuse_long(where: str, chain: _Chain) -> None:
    length = chain.domain.last - chain.domain.first + 1
    if length <= LONGEST:
        return
    letter = "H" if chain.domain.kind == "heavy" else "L"
    able = families_that(
        lambda can: (can.max_chains is None or can.max_chains > 1) and can.longest_chain >= length
    )
    raise CapabilityError(
        Message(
            "{where}chain {chain}: the {kind} domain has {length} residues, with {loop} in "
            "CDR-{letter}3, and flashabb folds up to {longest}",
            where=where,
            chain=chain.name,
            kind=chain.domain.kind,
            length=length,
            loop=chain.domain.loop,
            letter=letter,
            longest=LONGEST,
        ),
        hint=Message(
            "nothing of it can be left out without cutting CDR-{letter}3{what}",
            letter=letter,
            what=Message("; {able} folds both chains as they are", able=able) if able else "",
        ),
    )


def _refuse_surplus(job: str, chains: Sequence[_Chain]) -> None:
    long = [chain for chain in chains if max(chain.before, chain.after) > LOOSE_ENDS]
    if not long:
        return
    told = "; ".join(
        f"chain {chain.name}: the variable domain is residues {chain.domain.first + 1} to "
        f"{chain.domain.last + 1}, and there are {chain.before} residues before it and "
        f"{chain.after} after it"
        for chain in long
    )
    parts = " and ".join(
        f"chain {chain.name} to residues {chain.domain.first + 1} to {chain.domain.last + 1}"
        for chain in long
    )
    raise CapabilityError(
        Message("job {job!r}, {told}", job=job, told=told),
        hint=Message("{--trim} cuts {parts}, which are folded", parts=parts),
    )


def trim(job: Job) -> tuple[Job, tuple[str, ...]]:
    """Cut the proteins of a job to their variable domains, which keep their residue numbers.

    A chain without such a domain, or with that of a T-cell receptor, stays as it is, to be refused
    by name; of a single-chain fragment each domain becomes a chain.

    Returns:
        The job and what was cut.
    """
    taken = set(job.chain_ids)
    entities: list[Molecule] = []
    cuts: list[str] = []
    for entity in job.entities:
        if not isinstance(entity, Protein):
            entities.append(entity)
            continue
        domains = find_domains(entity.sequence)
        is_receptor = any(domain.kind == "receptor" for domain in domains)
        if is_receptor or not domains or (len(domains) == 1 and _is_bare(domains[0], entity)):
            entities.append(entity)
            continue
        for number, domain in enumerate(domains):
            ids = entity.ids
            if number:
                ids = tuple(itertools.islice(automatic_chain_ids(taken), len(ids)))
                taken.update(ids)
            entities.append(_part(entity, domain, ids))
            cuts.append(
                f"chain {', '.join(ids)} is the {domain.kind} variable domain, residues "
                f"{domain.first + 1} to {domain.last + 1} of the {entity.length} of chain "
                f"{', '.join(entity.ids)}"
            )
    trimmed: Job = job.replace(entities=tuple(entities)) if cuts else job
    return trimmed, tuple(cuts)


def _is_bare(domain: Domain, entity: Protein) -> bool:
    return domain.first <= LOOSE_ENDS and entity.length - 1 - domain.last <= LOOSE_ENDS


def _part(entity: Protein, domain: Domain, ids: tuple[str, ...]) -> Protein:
    numbering = entity.numbering
    if isinstance(numbering, tuple):
        numbering = numbering[domain.first : domain.last + 1]
    elif numbering is not None or domain.first:
        numbering = (1 if numbering is None else numbering) + domain.first
    part: Protein = entity.replace(
        id=ids,
        sequence=entity.sequence[domain.first : domain.last + 1],
        numbering=numbering,
        modifications=tuple(
            one.replace(position_1based=one.position_1based - domain.first)
            for one in entity.modifications
            if domain.first < one.position_1based <= domain.last + 1
        ),
    )
    return part


def join_hints(jobs: Sequence[Job]) -> Mapping[str, str]:
    """Find heavy and light chains that stand in records of their own.

    Args:
        jobs: Those that were refused, in the order of the input.

    Returns:
        By the name of such a job, what would make one record of it and its nearest partner.
    """
    alone: dict[str, list[tuple[int, Job]]] = {"heavy": [], "light": []}
    for place, job in enumerate(jobs):
        kinds = _kinds(job)
        if len(kinds) == 1 and kinds[0] in alone:
            alone[kinds[0]].append((place, job))
    hints: dict[str, str] = {}
    for kind, other in (("heavy", "light"), ("light", "heavy")):
        for place, job in alone[kind]:
            if not alone[other]:
                continue
            _, partner = min(alone[other], key=lambda one: (abs(one[0] - place), one[0] < place))
            pair = (job, partner) if kind == "heavy" else (partner, job)
            hints[job.name] = (
                f"{job.name} is a {kind} chain and {partner.name} a {other} one: make one record "
                f"of the two, with a colon between the sequences, {pair[0].name}:{pair[1].name}"
            )
    return hints


def _kinds(job: Job) -> list[str]:
    sequences = [entity.sequence for _, entity in job.chains if isinstance(entity, Protein)]
    if len(sequences) != 1 or len(job.chains) != 1:
        return []
    return [domain.kind for domain in find_domains(sequences[0])]
