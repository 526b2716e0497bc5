"""What of a job a family cannot do, and which family can: made from what families declare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itda.errors import CapabilityError, ItdaError
from itda.job.entities import Dna, Protein, Rna
from itda.job.model import Job
from itda.job.sizes import size_of
from itda.language import Message, Option, joined, mark

if TYPE_CHECKING:
    from itda.models.family import Capabilities, Family

_WRITTEN = {
    "dna": "DNA",
    "rna": "RNA",
    "ion": Message("ions"),
    "ligand": Message("ligands"),
    "protein": Message("proteins"),
}
_AS_IT_IS = mark("fold it as it is with {able:or}")
_FIELDS = {"rna_msa": "msa"}
"""Of inputs that a job calls by another name."""


@dataclass(frozen=True)
class Refusal:
    """One thing that a family cannot do.

    Attributes:
        kind: Of limit; with `subject` it is the same for every family that has the limit.
        subject: What the limit is on, such as a molecule or an input.
        field: Of the job.
        rule: That is broken.
        remedy: What would work with the same family.
    """

    kind: str
    subject: str
    field: str
    rule: str
    remedy: str


def refuse_unsupported(job: Job, family: Family) -> None:
    """Check a job against what a family declares: the one place where this is done.

    Args:
        job: What is to be folded.
        family: The family that was chosen.

    Raises:
        CapabilityError: The job asks for what the family cannot do; every such field is named, and
            the families that fold the job as it is.
    """
    refused = list(refusals(job, family.capabilities, family.name))
    if not refused:
        return
    from itda.models import registry

    rules = [
        Message("{field}: {rule}", field=refusal.field, rule=refusal.rule) for refusal in refused
    ]
    remedies = dict.fromkeys(refusal.remedy for refusal in refused)
    families = [registry.get_family(name) for name in registry.FAMILIES]
    of = {"job": job.name, "family": family.name}
    other = advice(job, family.name, refused, families)
    raise CapabilityError(
        Message("job '{job}' cannot be folded by {family}: {rule}", rule=rules[0], **of)
        if len(rules) == 1
        else Message("job '{job}' cannot be folded by {family}:{rules:lines}", rules=rules, **of),
        hint=Message("{remedies:;}, or {other}", remedies=remedies, other=other)
        if other.template == _AS_IT_IS
        else [*remedies, other],
        field=refused[0].field,
    )


def refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    """Give all that a job asks for and a family does not declare.

    Args:
        job: What is to be folded.
        can: What the family declares.
        family: Its name, for the messages.
    """
    yield from _molecule_refusals(job, can, family)
    yield from _chain_count_refusals(job, can, family)
    yield from _length_refusals(job, can, family)
    yield from _input_refusals(job, can, family)
    for field, stated, supported, what in (
        ("bonds", job.bonds, can.bonds, Message("covalent bonds")),
        ("constraints", job.constraints, can.constraints, Message("distance constraints")),
    ):
        if stated and not supported:
            rule = Message(
                "{family} takes no {what} ({count} given)",
                family=family,
                what=what,
                count=len(stated),
            )
            yield Refusal("relation", what, field, rule, Message("remove `{field}`", field=field))
    asked = len(job.seeds) * job.samples
    if asked > 1 and not can.samples:
        yield Refusal(
            "samples",
            "",
            "samples" if job.samples > 1 else "seeds",
            Message(
                "{family} gives one structure, whatever the seed, and {asked} are asked for",
                family=family,
                asked=asked,
            ),
            Message("ask for one sample and one seed"),
        )


def advice(
    job: Job, chosen: str, refused: Sequence[Refusal], families: Sequence[Family]
) -> Message:
    """Say which family folds the job as it is, or what none of them does.

    Args:
        job: The refused one.
        chosen: Name of the family that refused it.
        refused: Why.
        families: All that there are.
    """
    able = [family.name for family in families if family.name != chosen and accepts(family, job)]
    if able:
        return Message(_AS_IT_IS, able=[Option("model", name, code=True) for name in able])
    nobody = [
        _nobody(refusal, families)
        for refusal in refused
        if not any(_lifts(family, refusal, job) for family in families)
    ]
    if nobody:
        return Message("{nobody:;}{$ (`itda models`)}", nobody=dict.fromkeys(nobody))
    return Message("no family of this release does all of this; `itda models` shows what each does")


def or_choose(can: Callable[[Capabilities], bool]) -> str:
    """Give the end of a remedy: which families declare something; empty where none does."""
    able = families_that(can)
    return Message(", or choose {able}, which can", able=able) if able else ""


def families_that(can: Callable[[Capabilities], bool]) -> str:
    """Name the families that declare something, as options; empty where none does."""
    from itda.models import registry

    families = (registry.get_family(name) for name in registry.FAMILIES)
    able = [
        Option("model", family.name, code=True) for family in families if can(family.capabilities)
    ]
    return joined(able, "or") if able else ""


def accepts(family: Family, job: Job) -> bool:
    """Whether a family folds a job; neither weights nor PyTorch are loaded."""
    if next(refusals(job, family.capabilities, family.name), None) is not None:
        return False
    try:
        family.check(job)
    except ItdaError:
        return False
    return True


def _lifts(family: Family, refusal: Refusal, job: Job) -> bool:
    """Whether a family has no such limit, whatever else it refuses."""
    return all(
        (other.kind, other.subject) != (refusal.kind, refusal.subject)
        for other in refusals(job, family.capabilities, family.name)
    )


def _nobody(refusal: Refusal, families: Sequence[Family]) -> str:
    """Say what no family does; where it is a limit, how far the best of them goes."""
    match refusal.kind:
        case "molecule":
            return Message(
                "no family of this release folds {subject}",
                subject=_WRITTEN.get(refusal.subject, refusal.subject),
            )
        case "modifications":
            return Message("no family of this release folds modified residues")
        case "input" | "relation":
            return Message("no family of this release takes {subject}", subject=refusal.subject)
        case "max_tokens" | "max_chain_length":
            limit = "max_tokens" if refusal.kind == "max_tokens" else "longest_chain"
            best = max(families, key=lambda family: getattr(family.capabilities, limit))
            most = getattr(best.capabilities, limit)
            what = (
                _unit(best.capabilities)
                if limit == "max_tokens"
                else Message("residues in a chain")
            )
            return Message(
                "no family of this release folds more than {most} {what}, which is the limit of "
                "{best}",
                most=most,
                what=what,
                best=best.name,
            )
        case "min_length":
            best = min(families, key=lambda family: family.capabilities.min_length)
            least = best.capabilities.min_length
            return Message(
                "no family of this release folds chains of less than {least} residues, which is "
                "the limit of {best}",
                least=least,
                best=best.name,
            )
        case "max_chains":
            most_chains = max(family.capabilities.max_chains or 0 for family in families)
            return Message(
                "no family of this release folds more than {most_chains} chains at a time",
                most_chains=most_chains,
            )
        case _:
            return Message("no family of this release does this")


def _molecule_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    for number, entity in enumerate(job.entities, 1):
        field = Message(
            "entity {number} ({molecule} {entity:,})",
            number=number,
            molecule=entity.molecule,
            entity=entity.ids,
        )
        if entity.molecule not in can.molecules:
            yield Refusal(
                "molecule",
                entity.molecule,
                field,
                Message(
                    "{family} folds {molecules} only",
                    family=family,
                    molecules=_listed(can.molecules),
                ),
                Message("fold without {molecule}", molecule=entity.molecule),
            )
            continue
        modifications = entity.modifications if isinstance(entity, Protein | Dna | Rna) else ()
        if modifications and not can.modifications:
            first = modifications[0]
            yield Refusal(
                "modifications",
                "",
                Message("{field}, modifications", field=field),
                Message(
                    "{family} knows standard residues only, not {ccd} at position "
                    "{position_1based}",
                    family=family,
                    ccd=first.ccd,
                    position_1based=first.position_1based,
                ),
                Message("remove `modifications` to fold the residues they derive from"),
            )


def _chain_count_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    count = len(job.chains)
    this = Message("this has {count} ({chain_ids:,})", count=count, chain_ids=job.chain_ids)
    if can.max_chains is not None and count > can.max_chains:
        most = (
            Message("one chain")
            if can.max_chains == 1
            else Message("{max_chains} chains", max_chains=can.max_chains)
        )
        yield Refusal(
            "max_chains",
            "",
            "entities",
            Message(
                "{family} folds {most} at a time, and {this}", family=family, most=most, this=this
            ),
            Message("fold each chain as a job of its own")
            if can.max_chains == 1
            else Message("fold fewer chains"),
        )
    if count < can.min_chains:
        yield Refusal(
            "min_chains",
            "",
            "entities",
            Message(
                "{family} folds {min_chains} chains together, and {this}",
                family=family,
                min_chains=can.min_chains,
                this=this,
            ),
            Message("give all chains in one record, with `:` between them"),
        )


def _unit(can: Capabilities) -> Message:
    return Message("tokens") if can.has_atom_tokens else Message("residues")


def _length_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    polymers = [(c, e) for c, e in job.chains if isinstance(e, Protein | Dna | Rna)]
    for chain_id, entity in polymers:
        field = Message("chain {chain_id}, sequence", chain_id=chain_id)
        if entity.length < can.min_length:
            yield Refusal(
                "min_length",
                "",
                field,
                Message(
                    "{family} folds chains of {min_length} residues or more, and this has {length}",
                    family=family,
                    min_length=can.min_length,
                    length=entity.length,
                ),
                Message("give at least {min_length} residues", min_length=can.min_length),
            )
        if can.max_chain_length is not None and entity.length > can.max_chain_length:
            yield Refusal(
                "max_chain_length",
                "",
                field,
                Message(
                    "{family} folds chains of up to {max_chain_length} residues, and this "
                    "has {length}",
                    family=family,
                    max_chain_length=can.max_chain_length,
                    length=entity.length,
                ),
                Message(
                    "fold parts of at most {max_chain_length} residues, such as its domains",
                    max_chain_length=can.max_chain_length,
                ),
            )
    total = sum(entity.length for _, entity in polymers)
    if can.has_atom_tokens:
        total = size_of(job).tokens
    if total > can.max_tokens:
        yield Refusal(
            "max_tokens",
            "",
            Message("chain {polymers}, sequence", polymers=polymers[0][0])
            if len(job.chains) == len(polymers) == 1
            else Message("entities"),
            Message(
                "{family} folds up to {max_tokens} {unit}, and this has {total}",
                family=family,
                max_tokens=can.max_tokens,
                unit=_unit(can),
                total=total,
            ),
            Message(
                "fold parts of at most {max_tokens} {unit}, such as its domains",
                max_tokens=can.max_tokens,
                unit=_unit(can),
            )
            if len(job.chains) == 1
            else Message(
                "fold fewer or shorter chains, of at most {max_tokens} {unit} together",
                max_tokens=can.max_tokens,
                unit=_unit(can),
            ),
        )


def _input_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    given: dict[str, str] = {}
    for field, kind in job.inputs():
        if kind not in can.inputs:
            given.setdefault(kind, field)
    for kind, field in given.items():
        able = (
            Message("it takes {inputs}", inputs=_listed(can.inputs))
            if can.inputs
            else Message("it takes sequences only")
        )
        rule = Message("{family} takes no {kind}; {able}", family=family, kind=kind, able=able)
        yield Refusal(
            "input", kind, field, rule, Message("remove `{kind}`", kind=_FIELDS.get(kind, kind))
        )


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
