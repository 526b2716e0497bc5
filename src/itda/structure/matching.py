"""Which residue of one structure is which of another: chains by sequence, residues by alignment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from itda.errors import InputError
from itda.language import Message
from itda.structure.alignment import align, align_many, numbers_decide, similarity
from itda.structure.assignment import best_assignment
from itda.structure.protein_chains import ChainMatch, PairedBy, ProteinChain, protein_chains
from itda.structure.residues import Residues
from itda.structure.superpose import superpose

LEAST_IDENTITY = 0.3
SHORT_CHAIN = 20
LEAST_IDENTITY_SHORT = 0.8
_LEAST_SIMILARITY = 0.4
_SHARED_NUMBERS = 0.8


def match_chain(
    reference: ProteinChain, model: ProteinChain, *, by_number: bool = False
) -> ChainMatch:
    """Pair the residues of two chains.

    Args:
        reference: Chain of the reference.
        model: Chain of the model.
        by_number: Pair residues of the same number and insertion code, whatever their type,
            instead of aligning the sequences.
    """
    if by_number:
        return _match(reference, model, _same_numbers(reference, model), "number")
    return _match(reference, model, align(reference.strand, model.strand), "sequence")


def match_chains(
    reference: Residues,
    model: Residues,
    *,
    chains: Mapping[str, str] | None = None,
    by_number: bool = False,
) -> list[ChainMatch]:
    """Pair the protein chains of two structures.

    Chains may pair if 30 % of the shorter one's residues are identical (80 % below 20 residues).
    Each takes the partner with the most identical residues; where copies of a chain leave several
    assignments, the one in which the whole complex superposes best is taken. What a user says goes
    before that: named chains pair however unlike they are, and so do residues of one number.

    Args:
        reference: Residues of the reference.
        model: Residues of the model.
        chains: Model chain of each reference chain, where a user says so.
        by_number: As for `match_chain`.

    Raises:
        InputError: If a structure has no protein, a named chain does not exist, or no chains match.
    """
    found = {"reference": protein_chains(reference), "model": protein_chains(model)}
    for side, side_chains in found.items():
        if not side_chains:
            raise InputError(Message("the {side} has no protein chain to compare", side=side))
    firsts, seconds = found["reference"], found["model"]
    if chains:
        matches = [
            _match_named(*pair, by_number=by_number)
            for pair in _named_pairs(chains, firsts, seconds)
        ]
    else:
        candidates = _candidates(firsts, seconds, by_number=by_number)
        alike = {ids: match for ids, match in candidates.items() if _alike(match)}
        matches = best_assignment(alike, reference, model)
        if by_number:
            matches += _by_id_and_number(candidates, matches)
    matches = [_settled(match, reference, model) for match in matches if len(match)]
    if not matches:
        raise _nothing_in_common(chains, firsts, seconds, by_number=by_number)
    return matches


def _match(
    reference: ProteinChain,
    model: ProteinChain,
    pairs: Int[np.ndarray, "pair 2"],
    paired_by: PairedBy,
) -> ChainMatch:
    same = reference.letters[pairs[:, 0]] == model.letters[pairs[:, 1]]
    return ChainMatch(
        reference,
        model,
        reference.rows[pairs[:, 0]],
        model.rows[pairs[:, 1]],
        float(same.mean()) if len(same) else 0.0,
        paired_by,
    )


def _same_numbers(reference: ProteinChain, model: ProteinChain) -> Int[np.ndarray, "pair 2"]:
    place = model.place_of_number
    pairs = [
        (index, place[number])
        for number, index in reference.place_of_number.items()
        if number in place
    ]
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def _candidates(
    firsts: Mapping[str, ProteinChain], seconds: Mapping[str, ProteinChain], *, by_number: bool
) -> dict[tuple[str, str], ChainMatch]:
    """Pair the residues of each chain with those of each other; equal chains are aligned once."""
    found: dict[tuple[str, str], ChainMatch] = {}
    aligned: dict[tuple[object, ...], list[Int[np.ndarray, "pair 2"]]] = {}
    others = list(seconds.values())
    for first in firsts.values():
        if by_number:
            matches = [match_chain(first, other, by_number=True) for other in others]
        else:
            if first.strand.key not in aligned:
                strands = [other.strand for other in others]
                aligned[first.strand.key] = align_many(first.strand, strands)
            matches = [
                _match(first, other, pairs, "sequence")
                for other, pairs in zip(others, aligned[first.strand.key], strict=True)
            ]
        found.update({(first.id, match.model.id): match for match in matches})
    return found


def _alike(match: ChainMatch) -> bool:
    """Tell whether two chains may pair; short ones are alike by chance too often."""
    shorter = min(len(match.reference), len(match.model))
    least = LEAST_IDENTITY_SHORT if shorter < SHORT_CHAIN else LEAST_IDENTITY
    return match.identity * len(match) >= least * shorter


def _match_named(first: ProteinChain, second: ProteinChain, *, by_number: bool) -> ChainMatch:
    """Pair chains that a user named, by the best that they have in common.

    Sequences that are not alike, as of a backbone that was designed anew, tell nothing; residues
    then pair by number, or one after another where there are as many.
    """
    match = match_chain(first, second, by_number=by_number)
    shorter = min(len(first), len(second))
    if (
        by_number
        or _alike(match)
        or similarity(first.strand, second.strand, match.places) >= _LEAST_SIMILARITY * shorter
    ):
        return match
    numbered = match_chain(first, second, by_number=True)
    if len(numbered) >= _SHARED_NUMBERS * shorter:
        return numbered
    if len(first) == len(second):
        place = np.arange(len(first))
        return _match(first, second, np.stack([place, place], axis=-1), "place")
    return match


def _by_id_and_number(
    candidates: Mapping[tuple[str, str], ChainMatch], matches: Sequence[ChainMatch]
) -> list[ChainMatch]:
    """Pair by number the chains that no likeness pairs: those of one id, then the best numbered."""
    taken = {("reference", one.reference.id) for one in matches}
    taken |= {("model", one.model.id) for one in matches}
    chosen = []
    for ids, match in sorted(
        candidates.items(), key=lambda item: (item[0][0] != item[0][1], -len(item[1]))
    ):
        sides = {("reference", ids[0]), ("model", ids[1])}
        if len(match) and not sides & taken:
            taken |= sides
            chosen.append(ids)
    return [match for ids, match in candidates.items() if ids in chosen]


def _settled(match: ChainMatch, reference: Residues, model: Residues) -> ChainMatch:
    """Align once more where a break leaves a choice that sequence and numbers do not decide.

    Of alignments that are equal otherwise, the one is taken that lies closest in space.
    """
    first, second = match.reference, match.model
    if (
        match.paired_by != "sequence"
        or not (first.strand.broken.any() or second.strand.broken.any())
        or len(match) == len(first) == len(second)
        or numbers_decide(first.strand, second.strand)
    ):
        return match
    true, predicted = reference.positions("CA"), model.positions("CA")
    motion = superpose(predicted[match.model_rows], true[match.reference_rows])
    moved = motion.apply(predicted[second.rows])
    distances = np.linalg.norm(true[first.rows][:, np.newaxis] - moved, axis=-1)
    pairs = align(first.strand, second.strand, distances=distances)
    return _match(first, second, pairs, "sequence")


def _named_pairs(
    chains: Mapping[str, str],
    reference: Mapping[str, ProteinChain],
    model: Mapping[str, ProteinChain],
) -> list[tuple[ProteinChain, ProteinChain]]:
    for side, known, wanted in (
        ("reference", reference, list(chains)),
        ("model", model, list(chains.values())),
    ):
        for chain in wanted:
            if chain not in known:
                named = repr(chain) if chain else Message("without a name")
                raise InputError(
                    Message("the {side} has no protein chain {named}", side=side, named=named),
                    hint=Message("it has {known}", known=_listed(known)),
                )
        if len(set(wanted)) < len(wanted):
            raise InputError(
                Message("a chain of the {side} is named twice", side=side),
                hint=Message("pair each chain once"),
            )
    return [(reference[first], model[second]) for first, second in chains.items()]


def _listed(chains: Mapping[str, ProteinChain]) -> str:
    named = ", ".join(repr(name) for name in chains if name)
    if "" not in chains:
        return named
    nameless = "a chain without a name, which is written as nothing (--chain A: or --chain :A)"
    return f"{named}, and {nameless}" if named else nameless


def _nothing_in_common(
    chains: Mapping[str, str] | None,
    reference: Mapping[str, ProteinChain],
    model: Mapping[str, ProteinChain],
    *,
    by_number: bool,
) -> InputError:
    if by_number:
        return InputError(
            Message("the structures have no residue in common: no number stands in both"),
            hint=Message("leave out {--by-number}, or give both the same numbers"),
        )
    if chains:
        return InputError(
            Message(
                "the structures have no residue in common: the chains that were named are "
                "alike neither in sequence, nor in their numbers, nor in length"
            ),
            hint=Message("give corresponding residues the same numbers"),
        )
    pair = shlex.quote(f"{next(iter(reference))}:{next(iter(model))}")
    return InputError(
        Message(
            "the structures have no residue in common: no two chains are identical to "
            "{least_identity:.0%} or more",
            least_identity=LEAST_IDENTITY,
        ),
        hint=Message(
            "name the chains to pair, such as {--chain:{pair}}, or pair residues {--by-number}",
            pair=pair,
        ),
    )
