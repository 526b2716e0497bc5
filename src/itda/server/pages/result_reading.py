"""What the numbers of a result mean, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from itda.language import mark

State = Literal["good", "fair", "poor", "unknown"]

CONFIDENT, LOW = 70.0, 50.0
"""Borders of pLDDT that the AlphaFold Protein Structure Database draws its colours by."""

TRUSTED_PAE_ANGSTROM = 5.0
"""Below it, two parts are placed confidently: UCSF ChimeraX, AlphaFold Error Estimates (2022)."""

USABLE_PAE_ANGSTROM = 10.0
"""From it on, ipSAE leaves residue pairs out: Dunbrack 2025, doi:10.1101/2025.02.10.637595."""

TRUSTED_IPTM, DOUBTFUL_IPTM = 0.8, 0.6
"""Above, confident; below the second, likely wrong: EMBL-EBI training, AlphaFold (2024)."""

MOST_WITHIN = 0.95
"""Share of bonds or angles within tolerance that is not remarked upon; a choice of this page."""

MANY_CLASHES = 10.0
"""For each 1,000 atoms, from which on clashes are called a fault; a choice of this page."""

MOST_NAMED = 5


@dataclass(frozen=True)
class Sentence:
    """A sentence to be translated and then filled.

    Attributes:
        text: Its message, with names in braces.
        values: What stands for those names.
        state: How good that is which it tells.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    state: State = "unknown"


def plddt_state(mean: float) -> State:
    """Return how good a pLDDT is."""
    return "good" if mean >= CONFIDENT else "fair" if mean >= LOW else "poor"


@dataclass(frozen=True)
class Pair:
    """How two chains lie to one another.

    Attributes:
        first: Id of a chain.
        second: Id of another.
        forth: Mean expected error of the second when the first is superposed, Å.
        back: The same the other way round.
        iptm: Interface pTM; None where there is none.
        reading: What that means.
    """

    first: str
    second: str
    forth: float | None
    back: float | None
    iptm: float | None
    reading: Sentence

    @property
    def worst(self) -> float:
        """The larger of both errors, Å; infinite where there is none."""
        errors = [value for value in (self.forth, self.back) if value is not None]
        return max(errors, default=math.inf)


def pairs_of(chain_pairs: Sequence[Mapping[str, Any]] | None) -> list[Pair]:
    """Return each pair of chains once.

    Args:
        chain_pairs: As the confidence file has them, both directions.
    """
    found = {(one["aligned_on"], one["scored"]): one for one in chain_pairs or ()}
    pairs: list[Pair] = []
    for (first, second), one in found.items():
        other = found.get((second, first), {})
        if any((pair.first, pair.second) == (second, first) for pair in pairs):
            continue
        forth, back = one.get("mean_pae_angstrom"), other.get("mean_pae_angstrom")
        iptm = one.get("iptm", other.get("iptm"))
        pairs.append(
            Pair(first, second, forth, back, iptm, read_pair(first, second, forth, back, iptm))
        )
    return pairs


def best_pairs(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Return all pairs where they are few, else the most trusted, those first."""
    if len(pairs) <= most:
        return list(pairs)
    return sorted(pairs, key=lambda pair: (-(pair.iptm or 0.0), pair.worst))[:most]


def read_pair(
    first: str, second: str, forth: float | None, back: float | None, iptm: float | None
) -> Sentence:
    """Return what the numbers of two chains mean; ipTM decides where there is one."""
    errors = [value for value in (forth, back) if value is not None]
    values: dict[str, Any] = {"first": first, "second": second}
    if iptm is not None:
        values["iptm"] = f"{iptm:.2f}"
        return _read_iptm(iptm, values)
    if not errors:
        text = mark("{first} and {second}: nothing is predicted of how they sit together.")
        return Sentence(text, values)
    worst = max(errors)
    values["pae"] = f"{worst:.1f}"
    if worst < TRUSTED_PAE_ANGSTROM:
        text = mark(
            "{first} and {second}: high confidence in how they sit together (expected error "
            "{pae} Å, below 5 Å)."
        )
        return Sentence(text, values, "good")
    if worst < USABLE_PAE_ANGSTROM:
        text = mark(
            "{first} and {second}: some confidence in how they sit together (expected error "
            "{pae} Å, between 5 and 10 Å); look in the map for the parts with a small error."
        )
        return Sentence(text, values, "fair")
    text = mark(
        "{first} and {second}: how they sit together is not known from this prediction (expected "
        "error {pae} Å, 10 Å or more), even where each looks right by itself."
    )
    return Sentence(text, values, "poor")


def _read_iptm(iptm: float, values: Mapping[str, Any]) -> Sentence:
    if iptm >= TRUSTED_IPTM:
        text = mark(
            "{first} and {second}: high confidence in how they sit together (ipTM {iptm}, 0.8 or "
            "more)."
        )
        return Sentence(text, values, "good")
    if iptm >= DOUBTFUL_IPTM:
        text = mark(
            "{first} and {second}: may be right or wrong in how they sit together (ipTM {iptm}, "
            "between 0.6 and 0.8)."
        )
        return Sentence(text, values, "fair")
    text = mark(
        "{first} and {second}: likely wrong in how they sit together (ipTM {iptm}, below 0.6)."
    )
    return Sentence(text, values, "poor")


def validity_summary(report: Mapping[str, Any] | None) -> Sentence:
    """Return in a few words whether a structure is physically possible."""
    if report is None:
        return Sentence(mark("not checked"))
    faults = sum(1 for sentence in validity_sentences(report) if sentence.state == "poor")
    if not faults:
        return Sentence(mark("no faults"), state="good")
    if faults == 1:
        return Sentence(mark("1 kind of fault"), state="poor")
    return Sentence(mark("{count} kinds of fault"), {"count": faults}, "poor")


def validity_sentences(report: Mapping[str, Any]) -> list[Sentence]:
    """Return what a report on geometry says, a sentence for each kind of check."""
    peptides = report["peptide_bonds"]
    told = [
        _within(
            report["bonds"],
            mark("Bond lengths: {share} of {count} within 0.05 Å of ideal."),
        ),
        _within(
            report["angles"],
            mark("Bond angles: {share} of {count} within four standard deviations of ideal."),
        ),
        _faults(
            [*report["d_residues"], *report["wrong_side_chain_chirality"]],
            mark("Handedness: every centre that was checked has the right hand."),
            mark("Handedness: wrong at {count}: {names}"),
        ),
        _faults(
            report["flat_centres"],
            mark("No centre is nearly flat."),
            mark("Nearly flat centres, which have no clear hand: {count}: {names}"),
        ),
        _faults(
            peptides["twisted"],
            mark("Peptide bonds: all are flat."),
            mark("Peptide bonds: twisted after {count} residues: {names}"),
        ),
        _faults(
            peptides["cis_other"],
            mark("Peptide bonds: none is cis but before proline."),
            mark("Peptide bonds: cis, not before proline, which is rare: {count}: {names}"),
            "fair",
        ),
        _clashes(report),
        _faults(
            [f"{gap['before']} – {gap['after']}" for gap in report["chain_breaks"]],
            mark("Chains: unbroken."),
            mark("Chains: broken at {count} places: {names}"),
        ),
    ]
    for key, text in _UNCHECKED.items():
        if report[key]:
            told.append(_faults(report[key], "", text, "fair"))
    return told


_UNCHECKED = {
    "not_finite": mark("Residues with a coordinate that is no number: {count}: {names}"),
    "chirality_unchecked": mark("Hand not checked, because atoms are missing: {count}: {names}"),
    "skipped": mark("Not checked: {count}: {names}"),
}


def _within(measured: Mapping[str, Any], text: str) -> Sentence:
    share = measured["within_tolerance"]
    # Floored, so that only what is whole is 100 %.
    shown = f"{int(share * 1000 + 1e-9) / 10:.1f} %"
    state: State = "good" if share >= MOST_WITHIN else "fair"
    return Sentence(text, {"share": shown, "count": f"{measured['count']:,}"}, state)


def _faults(names: Iterable[str], none: str, some: str, state: State = "poor") -> Sentence:
    found = list(names)
    if not found:
        return Sentence(none, state="good")
    return Sentence(some, {"count": f"{len(found):,}", "names": _named(found)}, state)


def _clashes(report: Mapping[str, Any]) -> Sentence:
    count = report["clash_count"]
    if not count:
        return Sentence(mark("No atoms clash."), state="good")
    names = _named([f"{one['first']} – {one['second']}" for one in report["clashes"]])
    score = report["clash_score"]
    return Sentence(
        mark("Clashing pairs of atoms: {count} ({score} for each 1,000 atoms): {names}"),
        {"count": f"{count:,}", "score": f"{score:,.1f}", "names": names},
        "fair" if score < MANY_CLASHES else "poor",
    )


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    return f"{shown}, …" if len(names) > MOST_NAMED else shown
