"""Constants from measured folds, by least squares that gives no negative ones."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from itda.cost.constants import Constants
from itda.errors import InputError
from itda.language import Message
from itda.models.demand import Demand

_TOLERANCE = 1e-10
FEWEST = 3
PRIOR_WEIGHT = 0.1
"""Of a constant that is twice what is known elsewhere, beside a fold that took twice as long."""
ADDRESS_MARGIN = 1.05
"""More than the least that was seen: the rest is kept ready for threads, which do without it."""

LEAST_PER_LIVE = 0.5
"""Of bytes for each that lives: small arrays hide in what loading left, large ones do not."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One fold in a process of its own.

    Attributes:
        demand: What it asks for.
        bytes: Its peak.
        seconds: Of the fold.
        start_seconds: Until the weights were loaded.
        address_bytes: Most address space that the process took beside its memory.
    """

    demand: Demand
    bytes: float
    seconds: float
    start_seconds: float
    address_bytes: float


@dataclass(frozen=True)
class Errors:
    """How far predictions are from what was measured, as shares of what was measured.

    Attributes:
        median: Of the sizes of the errors.
        worst: The largest.
    """

    median: float
    worst: float


def fit(points: Sequence[Measured], prior: Mapping[str, float] | None = None) -> Constants:
    """Fit constants; every point counts by its relative error.

    Args:
        points: What was measured.
        prior: Seconds of a unit of each kind of work as they are known elsewhere: where kinds grow
            with one another, folds cannot tell which of them takes the time, and a fit to small
            folds alone would be far off for large ones.

    Raises:
        InputError: There are too few points.
    """
    if len(points) < FEWEST:
        raise InputError(
            Message("{count} measured folds are too few to fit constants to", count=len(points)),
            hint=Message("measure {fewest} sizes or more", fewest=FEWEST),
        )
    peak = np.array([point.bytes for point in points])
    weights = np.array([point.demand.weights_bytes for point in points])
    live = np.array([[1.0, point.demand.live_bytes] for point in points])
    least = LEAST_PER_LIVE * live[:, 1]
    of_bytes = non_negative(live / peak[:, None], (peak - weights - least) / peak)
    kinds = sorted({kind for point in points for kind in point.demand.work})
    work = np.array(
        [[1.0, *(point.demand.work.get(kind, 0.0) for kind in kinds)] for point in points]
    )
    seconds = np.array([point.seconds for point in points])
    elsewhere = prior or {}
    known = [(place, elsewhere[kind]) for place, kind in enumerate(kinds, 1) if elsewhere.get(kind)]
    held = np.zeros((len(known), 1 + len(kinds)))
    for row, (place, value) in zip(held, known, strict=True):
        row[place] = PRIOR_WEIGHT / value
    of_seconds = non_negative(
        np.concatenate([work / seconds[:, None], held]),
        np.concatenate([np.ones(len(points)), np.full(len(known), PRIOR_WEIGHT)]),
    )
    return Constants(
        fixed_bytes=float(of_bytes[0]),
        bytes_per_live=LEAST_PER_LIVE + float(of_bytes[1]),
        address_bytes=ADDRESS_MARGIN * min(point.address_bytes for point in points),
        fixed_seconds=float(of_seconds[0]),
        seconds=dict(zip(kinds, map(float, of_seconds[1:]), strict=True)),
        start_seconds=statistics.median(point.start_seconds for point in points),
    )


def errors(constants: Constants, points: Sequence[Measured], *, of: str = "seconds") -> Errors:
    """Compare predictions with what was measured.

    Args:
        constants: That predict.
        points: That were measured.
        of: "seconds" or "bytes".
    """
    predict: Callable[[Demand], float] = (
        constants.seconds_of if of == "seconds" else constants.bytes_of
    )
    shares = [abs(predict(one.demand) / getattr(one, of) - 1) for one in points]
    return Errors(statistics.median(shares), max(shares))


def left_out(
    points: Sequence[Measured], prior: Mapping[str, float] | None = None, *, of: str = "seconds"
) -> Errors:
    """Predict each point with constants that were fitted to all others; see `fit`."""
    shares = [
        errors(fit([*points[:place], *points[place + 1 :]], prior), [point], of=of).worst
        for place, point in enumerate(points)
    ]
    return Errors(statistics.median(shares), max(shares))


def non_negative(
    matrix: Float[np.ndarray, "row column"], target: Float[np.ndarray, "row"]
) -> Float[np.ndarray, "column"]:
    """Give the x >= 0 with the least squared error of `matrix` x (Lawson and Hanson 1974).

    >>> non_negative(np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([3.0, 5.0])).round(6)
    array([1., 2.])
    >>> non_negative(np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([3.0, 1.0])).round(6)
    array([2., 0.])
    """
    # Columns are of very different sizes: operations and constants of 1.
    scale = np.sqrt((matrix**2).sum(axis=0))
    scale[scale == 0] = 1.0
    a = matrix / scale
    columns = a.shape[1]
    x = np.zeros(columns)
    used = np.zeros(columns, bool)
    for _ in range(3 * columns):
        gradient = a.T @ (target - a @ x)
        gradient[used] = -np.inf
        best = int(gradient.argmax())
        if gradient[best] <= _TOLERANCE:
            break
        used[best] = True
        while True:
            trial = np.zeros(columns)
            trial[used] = np.linalg.lstsq(a[:, used], target, rcond=None)[0]
            below = used & (trial <= 0)
            if not below.any():
                x = trial
                break
            # Go as far towards it as nothing becomes negative, and drop what became 0.
            step = float(np.min(x[below] / (x[below] - trial[below])))
            x = np.where(used, x + step * (trial - x), 0.0)
            used &= x > _TOLERANCE
            x[~used] = 0.0
            if not used.any():
                break
    return np.asarray(x / scale)
