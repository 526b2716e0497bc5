"""Which templates are tried together: candidate sets, of which confidence chooses one.

The nearest templates are not always the best, and one that is wrong spoils what the others say. So
a chain is folded after several sets, and the fold that the model trusts most wins. Nothing here
looks at the query's structure, which nobody knows: sets differ by rank, by whether their members
agree with one another, and by which part of the query they cover.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np
from jaxtyping import Bool, Float

from itda.search.templates.template import Template

CANDIDATES = 12
"""Templates that sets are made of: the first four alone, and three groups of four."""

ALONE = 4
"""Templates that are tried alone, the best ones."""

AGREEMENT = 0.6
"""Least part of distances that members of a group share. Chains of one fold that are far relatives
have a CA-lDDT of 0.6 to 0.8 to one another, chains of different folds 0.2 to 0.4."""

FEWEST_SHARED = 20
"""Residues of the query that two templates must both cover, before they can be said to agree."""

FEWEST_NEW = 30
"""Residues of the query that a template of another part adds: about the smallest domain."""

_NEAR_ANGSTROM = 15.0
_TOLERANCES_ANGSTROM = (0.5, 1.0, 2.0, 4.0)
_LEAST_SEPARATION = 3
"""Nearer residues are at like distances in any protein."""

Places = tuple[int, ...]


def candidate_sets(
    templates: Sequence[Template], *, length: int, count: int, most: int, given: int = 0
) -> tuple[Places, ...]:
    """Make the sets of templates that a chain is folded after.

    The first is what is folded without a choice. The others follow so that the first few differ
    most: the best hit alone, a group, the second hit, no template, the third hit, and so on.

    Args:
        templates: Those that were given, then those that were found, the best first.
        length: Residues of the query.
        count: Most templates of a set; those that were given are not counted out.
        most: Most sets; at least 1.
        given: How many were given. They are in every set but the empty one.

    Returns:
        Places in `templates`, rising in each set; no set twice.
    """
    least = tuple(range(given))
    largest = max(count, given)
    found = range(given, len(templates))

    def with_given(members: Sequence[int]) -> Places:
        return tuple(sorted((*least, *members)[:largest]))

    if most <= 1 or not templates:
        return (with_given(found),)
    positions = [template.ca_along(length) for template in templates]
    alone = [(place,) for place in found[:ALONE]]
    several = [
        *_parts([_seen(one) for one in positions], found, largest - given),
        *_groups(positions, found, largest - given),
    ]
    tried = [with_given(found), *map(with_given, alone[:1]), *map(with_given, several[:1])]
    tried += [*map(with_given, alone[1:2]), ()]
    pairs = zip_longest(alone[2:], several[1:])
    tried += [with_given(members) for members in chain.from_iterable(pairs) if members is not None]
    return tuple(dict.fromkeys(tried))[:most]


def agreement(
    first: Float[np.ndarray, "residue 3"], second: Float[np.ndarray, "residue 3"]
) -> float | None:
    """Give the part of CA distances that two templates have in common.

    As lDDT (Mariani et al. 2013), but symmetric: distances count that are below 15 angstrom in
    either, and those of residues next to one another do not.

    Args:
        first: CA atoms along the query, angstrom; NaN where there is none.
        second: Likewise.

    Returns:
        0 to 1; None where they share too few residues to tell.
    """
    (shared,) = np.nonzero(_seen(first) & _seen(second))
    if len(shared) < FEWEST_SHARED:
        return None
    distances = [
        np.linalg.norm(one[shared][:, None] - one[shared][None], axis=-1) for one in (first, second)
    ]
    apart = shared[None] - shared[:, None] >= _LEAST_SEPARATION
    counted = apart & (np.minimum(*distances) < _NEAR_ANGSTROM)
    if not counted.any():
        return None
    differences = np.abs(distances[0] - distances[1])[counted]
    return float(np.mean([(differences < bound).mean() for bound in _TOLERANCES_ANGSTROM]))


def _seen(positions: Float[np.ndarray, "residue 3"]) -> Bool[np.ndarray, " residue"]:
    seen: Bool[np.ndarray, " residue"] = np.isfinite(positions[:, 0])
    return seen


def _groups(
    positions: Sequence[Float[np.ndarray, "residue 3"]], found: Sequence[int], largest: int
) -> Iterator[list[int]]:
    """Give groups in which each agrees with each, the one of the best template first."""
    left = list(found)
    while left:
        group = [left.pop(0)]
        for place in tuple(left):
            if len(group) < largest and all(
                (agreement(positions[place], positions[other]) or 0.0) >= AGREEMENT
                for other in group
            ):
                group.append(place)
                left.remove(place)
        if len(group) > 1:
            yield group


def _parts(
    seen: Sequence[Bool[np.ndarray, " residue"]], found: Sequence[int], largest: int
) -> Iterator[list[int]]:
    """Give the best template of each part of the query, where one does not cover all of it."""
    joined: list[int] = []
    covered = np.zeros_like(seen[0])
    for place in found:
        adds = int((seen[place] & ~covered).sum())
        if len(joined) < largest and (not joined or adds >= FEWEST_NEW):
            joined.append(place)
            covered |= seen[place]
    if len(joined) > 1:
        yield joined
