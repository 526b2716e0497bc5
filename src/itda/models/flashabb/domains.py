"""Where the variable domains of antibodies stand in a chain, and whether they are whole.

Germline domains tell what kind a domain is and where it begins. Where it ends is told by framework
4 behind the conserved cysteine (Cys104 of IMGT), however long CDR3 is: an ultralong CDR-H3 of
cattle has more than 60 residues, and no alignment with a germline reaches across it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

Kind = Literal["heavy", "light", "receptor"]
"""Of antibodies, and of T-cell receptors, which must not be taken for them."""

LEAST_IDENTITY = 0.42
"""Germlines of eight mammals have 0.5 or more, T-cell receptors to 0.48, a shark's IgNAR 0.36."""

LEAST_COVERAGE = 0.8
"""Share of a germline domain that a variable domain is aligned to; the rest may be missing."""

LONGEST_LOOP = 90
"""Residues of the longest CDR3 that is looked through; cattle have up to 70."""

FRAMEWORK4: dict[Kind, tuple[str, ...]] = {
    "heavy": ("WGQGTLVTVSS", "WGQGTTVTVSS", "WGAGTTVTVSS", "WGRGTLVTVSS", "WGPGTLVTVSS"),
    "light": ("FGQGTKVEIK", "FGAGTKLELK", "FGGGTKLTVL", "FGTGTKVTVL", "FGSGTTLTVL"),
}
"""Trp118 or Phe118 to the end, as J segments of mammals have it."""

SHORTEST_FRAMEWORK4 = 4
"""Residues of framework 4 that have to be there: Trp-Gly-X-Gly; the rest may be missing."""

_LEAST_SCORE = 0.45
"""Of framework 4's score against the nearest J segment, to that of the segment itself."""

_MOTIF = re.compile(r"[WFX][GX].[GX]")
_BEFORE_LOOP = re.compile(r"[YFH][YFI]C")


@dataclass(frozen=True)
class Domain:
    """A variable domain in a chain.

    Attributes:
        kind: Of a heavy or a light chain, or of a T-cell receptor.
        first: 0-based first residue.
        last: 0-based last residue.
        identity: To the nearest germline domain, 0 to 1, over what is aligned.
        loop: Residues of CDR3, between Cys104 and residue 118; None where no framework 4 was found.
    """

    kind: Kind
    first: int
    last: int
    identity: float
    loop: int | None = None


@lru_cache(maxsize=1024)
def find_domains(sequence: str) -> tuple[Domain, ...]:
    """Give the variable domains of a chain from its start to its end.

    Germline domains are aligned locally (BLOSUM62); the best is taken, then what is left and right
    of it is searched again. Domains of T-cell receptors are among them, as those of antibodies are
    a third identical to them.
    """
    return tuple(_search(sequence, 0, len(sequence)))


def _search(sequence: str, begin: int, end: int) -> list[Domain]:
    best = _best(sequence[begin:end])
    if best is None:
        return []
    first, last = best.first + begin, best.last + begin
    found = Domain(best.kind, first, last, best.identity, best.loop)
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
        last = min(len(sequence) - 1, int(pairs[-1][0]) + len(text) - 1 - int(pairs[-1][1]))
        loop, covered = None, len(pairs) / len(text)
        if kind in FRAMEWORK4:
            cysteine = _cysteine(text)
            last, loop = _end(sequence, kind, _partner(pairs, cysteine), int(pairs[-1][0]))
            if loop is not None:
                # A long CDR3 keeps framework 4 out of the alignment.
                before = int((pairs[:, 1] <= cysteine).sum()) / (cysteine + 1)
                covered = max(covered, before)
        if covered < LEAST_COVERAGE:
            continue
        same = sum(sequence[i] == text[j] for i, j in pairs) / len(pairs)
        if same < least_identity or (best is not None and alignment.score <= best[0]):
            continue
        # Ends that differ from the germline are not aligned; they belong to the domain.
        first = max(0, int(pairs[0][0]) - int(pairs[0][1]))
        best = alignment.score, Domain(kind, first, last, same, loop)
    return best


def _cysteine(germline: str) -> int:
    """Give the place of Cys104 in a germline domain."""
    *_, found = _BEFORE_LOOP.finditer(germline)
    return found.end() - 1


def _partner(pairs: Any, wanted: int) -> int:
    """Give the place in the chain that a residue of the germline is aligned to, or would be."""
    nearest = min(pairs, key=lambda pair: abs(int(pair[1]) - wanted))
    return int(nearest[0]) + wanted - int(nearest[1])


def _end(sequence: str, kind: Kind, cysteine: int, aligned: int) -> tuple[int, int | None]:
    """Give the last residue of a domain and the length of its CDR3.

    Args:
        sequence: The chain.
        kind: Of the domain.
        cysteine: Place of Cys104.
        aligned: Last residue that is aligned to a germline; the domain's last where no framework 4
            follows.
    """
    best: tuple[float, int, int] | None = None
    for place in range(cysteine + 1, min(len(sequence), cysteine + 2 + LONGEST_LOOP)):
        if not _MOTIF.match(sequence, place):
            continue
        share, length = max(_likeness(sequence[place:], text) for text in FRAMEWORK4[kind])
        if share >= _LEAST_SCORE and (best is None or share > best[0]):
            best = share, place, length
    if best is None:
        return aligned, None
    _, place, length = best
    return place + length - 1, place - cysteine - 1


def _likeness(sequence: str, framework: str) -> tuple[float, int]:
    """Compare the beginning of a sequence with a framework 4, of which the end may be missing."""
    length = min(len(sequence), len(framework))
    if length < SHORTEST_FRAMEWORK4:
        return 0.0, length
    score, most = (
        sum(_score(one, other) for one, other in zip(text[:length], framework, strict=False))
        for text in (sequence, framework)
    )
    return score / most, length


def _score(one: str, other: str) -> int:
    return int(_matrix().get_score(one, other))


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
