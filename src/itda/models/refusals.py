"""What of a job a family cannot do, and which family can: made from what families declare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itda.errors import CapabilityError, ItdaError
from itda.job.entities import Dna, Protein, Rna
from itda.job.model import Job

if TYPE_CHECKING:
    from itda.models.family import Capabilities, Family

_WRITTEN = {"dna": "DNA", "rna": "RNA", "ion": "ions", "ligand": "ligands", "protein": "proteins"}
_NOBODY = "no family of this release"


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

    start = f"job '{job.name}' cannot be folded by {family.name}:"
    sentences = [f"{refusal.field}: {refusal.rule}" for refusal in refused]
    listed = f" {sentences[0]}" if len(sentences) == 1 else "".join(f"\n  - {s}" for s in sentences)
    remedies = list(dict.fromkeys(refusal.remedy for refusal in refused))
    families = [registry.get_family(name) for name in registry.FAMILIES]
    other = advice(job, family.name, refused, families)
    joint = ", or " if other.startswith("fold") else "; "
    raise CapabilityError(start + listed, hint=f"{'; '.join(remedies)}{joint}{other}")


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
        ("bonds", job.bonds, can.bonds, "covalent bonds"),
        ("constraints", job.constraints, can.constraints, "distance constraints"),
    ):
        if stated and not supported:
            rule = f"{family} takes no {what} ({len(stated)} given)"
            yield Refusal("relation", what, field, rule, f"remove `{field}`")
    asked = len(job.seeds) * job.samples
    if asked > 1 and not can.samples:
        yield Refusal(
            "samples",
            "",
            "samples" if job.samples > 1 else "seeds",
            f"{family} gives one structure, whatever the seed, and {asked} are asked for",
            "ask for one sample and one seed",
        )


def advice(job: Job, chosen: str, refused: Sequence[Refusal], families: Sequence[Family]) -> str:
    """Say which family folds the job as it is, or what none of them does.

    Args:
        job: The refused one.
        chosen: Name of the family that refused it.
        refused: Why.
        families: All that there are.
    """
    able = [family.name for family in families if family.name != chosen and accepts(family, job)]
    if able:
        return f"fold it as it is with {_either([f'`--model {name}`' for name in able])}"
    nobody = [
        _nobody(refusal, families)
        for refusal in refused
        if not any(_lifts(family, refusal, job) for family in families)
    ]
    if nobody:
        return f"{'; '.join(dict.fromkeys(nobody))} (`itda models`)"
    return "no family of this release does all of this; `itda models` shows what each does"


def or_choose(can: Callable[[Capabilities], bool]) -> str:
    """Give the end of a remedy: which families declare something; empty where none does."""
    able = families_that(can)
    return f", or choose {able}, which can" if able else ""


def families_that(can: Callable[[Capabilities], bool]) -> str:
    """Name the families that declare something, as options; empty where none does."""
    from itda.models import registry

    families = (registry.get_family(name) for name in registry.FAMILIES)
    able = [f"`--model {family.name}`" for family in families if can(family.capabilities)]
    return _either(able) if able else ""


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
            return f"{_NOBODY} folds {_WRITTEN.get(refusal.subject, refusal.subject)}"
        case "modifications":
            return f"{_NOBODY} folds modified residues"
        case "input" | "relation":
            return f"{_NOBODY} takes {refusal.subject}"
        case "max_length" | "max_chain_length":
            limit = "max_length" if refusal.kind == "max_length" else "longest_chain"
            best = max(families, key=lambda family: getattr(family.capabilities, limit))
            most = getattr(best.capabilities, limit)
            what = "residues" if limit == "max_length" else "residues in a chain"
            return f"{_NOBODY} folds more than {most} {what}, which is the limit of {best.name}"
        case "min_length":
            best = min(families, key=lambda family: family.capabilities.min_length)
            least = best.capabilities.min_length
            return (
                f"{_NOBODY} folds chains of less than {least} residues, which is the limit of "
                f"{best.name}"
            )
        case "max_chains":
            most_chains = max(family.capabilities.max_chains or 0 for family in families)
            return f"{_NOBODY} folds more than {most_chains} chains at a time"
        case _:
            return f"{_NOBODY} does this"


def _molecule_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    for number, entity in enumerate(job.entities, 1):
        field = f"entity {number} ({entity.molecule} {', '.join(entity.ids)})"
        if entity.molecule not in can.molecules:
            yield Refusal(
                "molecule",
                entity.molecule,
                field,
                f"{family} folds {_listed(can.molecules)} only",
                f"fold without {entity.molecule}",
            )
            continue
        modifications = entity.modifications if isinstance(entity, Protein | Dna | Rna) else ()
        if modifications and not can.modifications:
            first = modifications[0]
            yield Refusal(
                "modifications",
                "",
                f"{field}, modifications",
                f"{family} knows standard residues only, not {first.ccd} at position "
                f"{first.position_1based}",
                "remove `modifications` to fold the residues they derive from",
            )


def _chain_count_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    count = len(job.chains)
    this = f"this has {count} ({', '.join(job.chain_ids)})"
    if can.max_chains is not None and count > can.max_chains:
        most = "one chain" if can.max_chains == 1 else f"{can.max_chains} chains"
        yield Refusal(
            "max_chains",
            "",
            "entities",
            f"{family} folds {most} at a time, and {this}",
            "fold each chain as a job of its own" if can.max_chains == 1 else "fold fewer chains",
        )
    if count < can.min_chains:
        yield Refusal(
            "min_chains",
            "",
            "entities",
            f"{family} folds {can.min_chains} chains together, and {this}",
            "give all chains in one record, with `:` between them",
        )


def _length_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    polymers = [(c, e) for c, e in job.chains if isinstance(e, Protein | Dna | Rna)]
    for chain_id, entity in polymers:
        field = f"chain {chain_id}, sequence"
        if entity.length < can.min_length:
            yield Refusal(
                "min_length",
                "",
                field,
                f"{family} folds chains of {can.min_length} residues or more, and this has "
                f"{entity.length}",
                f"give at least {can.min_length} residues",
            )
        if can.max_chain_length is not None and entity.length > can.max_chain_length:
            yield Refusal(
                "max_chain_length",
                "",
                field,
                f"{family} folds chains of up to {can.max_chain_length} residues, and this has "
                f"{entity.length}",
                f"fold parts of at most {can.max_chain_length} residues, such as its domains",
            )
    total = sum(entity.length for _, entity in polymers)
    if total > can.max_length:
        yield Refusal(
            "max_length",
            "",
            f"chain {polymers[0][0]}, sequence" if len(polymers) == 1 else "entities",
            f"{family} folds up to {can.max_length} residues, and this has {total}",
            f"fold parts of at most {can.max_length} residues, such as its domains"
            if len(polymers) == 1
            else f"fold fewer or shorter chains, of at most {can.max_length} residues together",
        )


def _input_refusals(job: Job, can: Capabilities, family: str) -> Iterator[Refusal]:
    given: dict[str, str] = {}
    for field, _ in job.files():
        kind = "template" if ", template" in field else field.rpartition(", ")[2]
        if kind not in can.inputs:
            given.setdefault(kind, field)
    for kind, field in given.items():
        able = f"it takes {_listed(can.inputs)}" if can.inputs else "it takes sequences only"
        rule = f"{family} takes no {kind}; {able}"
        yield Refusal("input", kind, field, rule, f"remove `{kind}`")


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
