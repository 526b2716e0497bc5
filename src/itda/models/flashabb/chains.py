"""Which chain is heavy and which light, and where a variable domain begins and ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from itda.errors import CapabilityError
from itda.models.refusals import or_choose

Kind = Literal["heavy", "light", "receptor"]
"""Of antibodies, and of T-cell receptors, which must not be taken for them."""

LEAST_IDENTITY = 0.42
"""Germlines of eight mammals have 0.5 or more, T-cell receptors to 0.48, a shark's IgNAR 0.36."""

LEAST_COVERAGE = 0.8
"""Share of a germline domain that a variable domain is aligned to; the rest may be missing."""

SHORTEST = 80
"""Residues of the shortest chain that is taken."""

LOOSE_ENDS = 3
"""Residues before and after the domain that may stand there: the ends of crystal structures."""


@dataclass(frozen=True)
class Domain:
    """A variable domain in a chain.

    Attributes:
        kind: Of a heavy or a light chain, or of a T-cell receptor.
        first: 0-based first residue.
        last: 0-based last residue.
        identity: To the nearest germline domain, 0 to 1, over what is aligned.
    """

    kind: Kind
    first: int
    last: int
    identity: float


def find_domains(sequence: str) -> list[Domain]:
    """Give the variable domains of a chain from its start to its end.

    Germline domains are aligned locally (BLOSUM62); the best is taken, then what is left and right
    of it is searched again. Domains of T-cell receptors are among them, as those of antibodies are
    a third identical to them.
    """
    return _search(sequence, 0, len(sequence))


def _search(sequence: str, begin: int, end: int) -> list[Domain]:
    best = _best(sequence[begin:end])
    if best is None:
        return []
    first, last = best.first + begin, best.last + begin
    found = Domain(best.kind, first, last, best.identity)
    return [*_search(sequence, begin, first), found, *_search(sequence, last + 1, end)]


def _best(sequence: str) -> Domain | None:
    shortest = min(len(text) for texts in germlines().values() for text in texts)
    # Nothing is like X; an aligner without a score above 0 walks back from every pair of residues.
    if len(sequence) < LEAST_COVERAGE * shortest or set(sequence) == {"X"}:
        return None
    antibody = _nearest(sequence, ("heavy", "light"), least_identity=LEAST_IDENTITY)
    if antibody is None:
        return None
    # Receptors are far from each other too: the nearer germline decides, however far.
    receptor = _nearest(sequence, ("receptor",), least_identity=0.0)
    return max((one for one in (antibody, receptor) if one), key=lambda one: one[0])[1]


def _nearest(
    sequence: str, kinds: tuple[Kind, ...], *, least_identity: float
) -> tuple[float, Domain] | None:
    """Give the score and the domain that the best of some germlines is aligned to."""
    from biotite.sequence import ProteinSequence
    from biotite.sequence.align import align_optimal

    query = ProteinSequence(sequence)
    best: tuple[float, Domain] | None = None
    for kind, text in [(one, text) for one in kinds for text in germlines()[one]]:
        alignment = align_optimal(
            query,
            ProteinSequence(text),
            _matrix(),
            gap_penalty=(-10, -1),
            local=True,
            max_number=1,
        )[0]
        trace = alignment.trace
        pairs = trace[(trace >= 0).all(axis=1)]
        if len(pairs) < LEAST_COVERAGE * len(text):
            continue
        same = sum(sequence[i] == text[j] for i, j in pairs) / len(pairs)
        if same < least_identity or (best is not None and alignment.score <= best[0]):
            continue
        # Ends that differ from the germline are not aligned; they belong to the domain.
        first = max(0, int(pairs[0][0]) - int(pairs[0][1]))
        last = min(len(sequence) - 1, int(pairs[-1][0]) + len(text) - 1 - int(pairs[-1][1]))
        best = alignment.score, Domain(kind, first, last, same)
    return best


@lru_cache(maxsize=1)
def germlines() -> dict[Kind, list[str]]:
    """Read the germline domains of each kind."""
    text = resources.files("itda.models.flashabb").joinpath("variable_domains.json").read_text()
    data = json.loads(text)
    kinds: tuple[Kind, ...] = ("heavy", "light", "receptor")
    return {kind: list(data[kind].values()) for kind in kinds}


@lru_cache(maxsize=1)
def _matrix() -> Any:
    from biotite.sequence.align import SubstitutionMatrix

    return SubstitutionMatrix.std_protein_matrix()


NANOBODY_PROBLEM = (
    "a heavy chain without a light chain (a nanobody) comes out wrong: over 9 experimental "
    "structures the framework is off by 5.0 Å and CDR-H3 by 9.4 Å, at a mean pLDDT of 84, which "
    "reads as confident"
)
"""Measured by benchmarks/flashabb.py; the pairs of heavy and light chain have 0.6 Å and 1.4 Å."""


def sort_chains(chains: Sequence[tuple[str, str]], *, job: str) -> tuple[int, int]:
    """Say which chain is the heavy and which the light one, whatever their order.

    Args:
        chains: Id and sequence of one or two chains.
        job: Its name, for messages.

    Returns:
        Place of the heavy chain and of the light chain.

    Raises:
        CapabilityError: A chain is no variable domain or more than one, or there is not one of each
            kind.
    """
    kinds = [_one_domain(chain_id, sequence, job).kind for chain_id, sequence in chains]
    if kinds == ["heavy"]:
        raise CapabilityError(
            f"job {job!r}, chain {chains[0][0]}: {NANOBODY_PROBLEM}",
            hint="give the light chain too, as HEAVY:LIGHT"
            + or_choose(lambda can: can.min_chains == 1 and "protein" in can.molecules),
        )
    if sorted(kinds) != ["heavy", "light"]:
        ids = " and ".join(chain_id for chain_id, _ in chains)
        raise CapabilityError(
            f"job {job!r}: only {kinds[0]} chains are given ({ids})",
            hint="flashabb folds one heavy chain with its light chain; give both, as HEAVY:LIGHT",
        )
    return kinds.index("heavy"), kinds.index("light")


def _one_domain(chain_id: str, sequence: str, job: str) -> Domain:
    domains = find_domains(sequence)
    where = f"job {job!r}, chain {chain_id}"
    if not domains and len(sequence) < SHORTEST:
        raise CapabilityError(
            f"{where}: {len(sequence)} residues are too few for the variable domain of an antibody",
            hint="give the whole domain, 105 to 130 residues, from framework 1 to 4",
        )
    if not domains:
        raise CapabilityError(
            f"{where}: {len(sequence)} residues, none of which are like the variable domain of an "
            "antibody",
            hint="flashabb folds antibody variable domains only; `itda models` shows what else is "
            "there",
        )
    receptors = [domain for domain in domains if domain.kind == "receptor"]
    if receptors:
        first, last = receptors[0].first + 1, receptors[0].last + 1
        raise CapabilityError(
            f"{where}: residues {first} to {last} are the variable domain of a T-cell receptor",
            hint="flashabb was trained on antibodies, and folds nothing else; `itda models` shows "
            "what else is there",
        )
    if len(domains) > 1:
        named = " and ".join(f"{d.kind} {d.first + 1}-{d.last + 1}" for d in domains)
        raise CapabilityError(
            f"{where}: holds {len(domains)} variable domains ({named})",
            hint="give each domain as a chain of its own, without the linker: HEAVY:LIGHT",
        )
    domain = domains[0]
    after = len(sequence) - 1 - domain.last
    if domain.first > LOOSE_ENDS or after > LOOSE_ENDS:
        raise CapabilityError(
            f"{where}: the variable domain is residues {domain.first + 1} to {domain.last + 1}, "
            f"and there are {domain.first} residues before it and {after} after it",
            hint=f"cut the chain to residues {domain.first + 1} to {domain.last + 1}",
        )
    return domain
