"""Limits of jackhmmer and phmmer.

Those of jackhmmer: AlphaFold 3, `alphafold3/data/pipeline.py` and `data/tools/jackhmmer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Program = Literal["jackhmmer", "phmmer"]


@dataclass(frozen=True)
class HmmerSettings:
    """Limits of a search, called as the options of the programs.

    Attributes:
        F1: Part of unrelated sequences that may pass the MSV filter.
        F2: The same of the Viterbi filter.
        F3: The same of the Forward filter.
        E: Largest E-value of a reported sequence.
        incE: Largest E-value of a sequence in the alignment.
        incdomE: Largest conditional E-value of a domain in the alignment.
    """

    F1: float
    F2: float
    F3: float
    E: float
    incE: float  # noqa: N815
    incdomE: float  # noqa: N815


SETTINGS: Mapping[Program, HmmerSettings] = {
    "jackhmmer": HmmerSettings(F1=5e-4, F2=5e-5, F3=5e-7, E=1e-4, incE=1e-4, incdomE=1e-3),
    "phmmer": HmmerSettings(F1=0.02, F2=1e-3, F3=1e-5, E=10.0, incE=0.01, incdomE=0.01),
}
