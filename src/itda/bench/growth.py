"""How seconds and bytes grow with the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from itda.bench.summary import rounded
from itda.cost.fit import non_negative
from itda.errors import InputError
from itda.language import Message

FEWEST = 3


def growth(tokens: Sequence[int], values: Sequence[float]) -> dict[str, Any]:
    """Fit c0 + c1 n + c2 n^2 + c3 n^3 with no coefficient below 0; each point by relative error.

    Args:
        tokens: Sizes, 3 or more different ones.
        values: Seconds or bytes at each, above 0.

    Returns:
        `coefficients` c0 to c3; `median_error` and `worst_error` of the fit, as shares.

    Raises:
        InputError: There are too few sizes.

    Examples:
        >>> growth([10, 20, 40], [107.0, 407.0, 1607.0])["coefficients"]
        [7.0, 0.0, 1.0, 0.0]
    """
    if len(set(tokens)) < FEWEST:
        raise InputError(
            Message("{count} sizes are too few to fit growth to", count=len(set(tokens))),
            hint=Message("give {fewest} or more", fewest=FEWEST),
        )
    n, value = np.array(tokens, dtype=float), np.array(values, dtype=float)
    powers = n[:, None] ** np.arange(4)
    found = non_negative(powers / value[:, None], np.ones(len(n)))
    errors = np.abs(powers @ found / value - 1)
    return {
        "coefficients": [rounded(float(one), 4) for one in found],
        "median_error": rounded(float(np.median(errors)), 2),
        "worst_error": rounded(float(errors.max()), 2),
    }
