"""How far a fold as a whole is to be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from itda.confidence.trust import Band, Level, Trust
from itda.language import Message
from itda.models import registry
from itda.models.family import Measured
from itda.results.verdict.basis import Basis
from itda.results.verdict.evidence import Folded

CONFIDENT_PLDDT, LOW_PLDDT = 70.0, 50.0
"""Borders of the AlphaFold Protein Structure Database (Varadi et al. 2022), by which the pLDDT of a
family is read that was not measured here."""

APART_ANGSTROM = 10.0
"""PAE from which on ipSAE leaves pairs out (Dunbrack 2025), for families not measured here."""

_DIGEST = "sha256:"


def trust_of(family: str) -> Trust | None:
    """Return what was measured of a family; None where nothing was."""
    if family not in registry.FAMILIES:
        return None
    found = registry.get_family(family)
    return found.trust if isinstance(found, Measured) else None


def judge(result: Folded, trust: Trust | None, basis: Basis) -> tuple[Level, Band | None, Message]:
    """Say how far the fold as a whole is to be trusted.

    Returns:
        The level, the test chains that it is like, where there are, and the sentence.
    """
    if trust is None:
        return _by_publication(result)
    fields: dict[str, object] = {"plddt": f"{result.mean_plddt:.0f}"}
    if result.provenance.weights_digest != f"{_DIGEST}{trust.weights_sha256}":
        unknown = Message(
            "How far to trust this is not known: these weights were not tested (mean pLDDT "
            "{plddt}).",
            **fields,
        )
        return _level_of(result.mean_plddt), None, unknown
    band = trust.band(result.mean_plddt, result.best.ptm, templates=bool(basis.templates))
    residues = result.best.residue_count
    if not trust.shortest <= residues <= trust.longest:
        # A TM-score says little of a short chain, so neither does its pTM.
        short = residues < trust.shortest
        level = _level_of(result.mean_plddt) if short else _capped(band.level)
        fields |= {"shortest": trust.shortest, "longest": trust.longest, "residues": residues}
        return level, None, _untested_length(level, fields)
    if basis.own_templates:
        level = _capped(band.level)
        return level, None, _own_template(level, fields)
    return band.level, band, _counted(band, trust, templates=bool(basis.templates))


def _capped(level: Level) -> Level:
    return "plausible" if level == "trusted" else level


def _level_of(mean_plddt: float) -> Level:
    """Return the level of what was not tested, by the usual reading of pLDDT."""
    if mean_plddt < LOW_PLDDT:
        return "untrusted"
    return "plausible" if mean_plddt >= CONFIDENT_PLDDT else "doubtful"


def _untested_length(level: Level, fields: Mapping[str, object]) -> Message:
    if level == "untrusted":
        return Message(
            "DO NOT TRUST this fold: mean pLDDT {plddt}, and only chains of {shortest} to {longest}"
            " residues were tested; this has {residues}.",
            **fields,
        )
    return Message(
        "Treat with care: mean pLDDT {plddt}, but only chains of {shortest} to {longest} residues "
        "were tested; this has {residues}.",
        **fields,
    )


def _own_template(level: Level, fields: Mapping[str, object]) -> Message:
    if level == "untrusted":
        return Message(
            "DO NOT TRUST this fold: mean pLDDT {plddt}, so that your template seems not to fit.",
            **fields,
        )
    return Message(
        "As good as your template: mean pLDDT {plddt}, but only templates that a search found were "
        "tested; a wrong one is followed too.",
        **fields,
    )


def _counted(band: Band, trust: Trust, *, templates: bool) -> Message:
    if band.from_score <= 0:
        borders = Message("below {high:.0f}", high=band.below_score)
    elif band.below_score > 100:
        borders = Message("{low:.0f} or more", low=band.from_score)
    else:
        borders = Message("{low:.0f} to {high:.0f}", low=band.from_score, high=band.below_score)
    if trust.score == "plddt":
        score = Message("mean pLDDT {borders}", borders=borders)
    else:
        score = Message("mean of pLDDT and 100 × pTM {borders}", borders=borders)
    likeness = (
        Message("with templates, {score}", score=score)
        if templates
        else Message("without templates, {score}", score=score)
    )
    fields = {
        "likeness": likeness,
        "share": band.right_in_100,
        "right": band.right,
        "of": band.of,
    }
    match band.level:
        case "trusted":
            return Message(
                "The fold can be trusted: of {of} test chains like this one ({likeness}), {share} "
                "in 100 had the right fold.",
                **fields,
            )
        case "plausible":
            return Message(
                "The fold may be right, but only {of} test chains were like this one ({likeness}); "
                "{right} of them had the right fold.",
                **fields,
            )
        case "doubtful":
            return Message(
                "The fold is uncertain: of {of} test chains like this one ({likeness}), {share} in "
                "100 had the right fold.",
                **fields,
            )
        case _:
            return Message(
                "DO NOT TRUST this fold: of {of} test chains like this one ({likeness}), {share} "
                "in 100 had the right fold.",
                **fields,
            )


def _by_publication(result: Folded) -> tuple[Level, None, Message]:
    fields = {"plddt": f"{result.mean_plddt:.0f}", "family": result.provenance.family}
    if result.mean_plddt >= CONFIDENT_PLDDT:
        return (
            "plausible",
            None,
            Message(
                "Confident by the usual reading of pLDDT (mean {plddt}, 70 or more); how often "
                "{family} is then right was not measured here.",
                **fields,
            ),
        )
    if result.mean_plddt >= LOW_PLDDT:
        return (
            "doubtful",
            None,
            Message(
                "Uncertain by the usual reading of pLDDT (mean {plddt}, 50 to 70); how often "
                "{family} is then right was not measured here.",
                **fields,
            ),
        )
    return (
        "untrusted",
        None,
        Message(
            "DO NOT TRUST this shape, by the usual reading of pLDDT (mean {plddt}, below 50); how "
            "often {family} is then right was not measured here.",
            **fields,
        ),
    )
