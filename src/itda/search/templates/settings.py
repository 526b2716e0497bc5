"""How templates are searched."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from itda.errors import InputError
from itda.language import Message


@dataclass(frozen=True)
class SearchSettings:
    """Parameters of a template search, the same for every program.

    The E-value and the sensitivity are those of ColabFold's template search (Mirdita et al. 2022,
    Nat. Methods 19, 679: `mmseqs search -s 7.5 -e 0.1`). AlphaFold 3 keeps hits up to an E-value of
    100 and lets their number decide (`hmmsearch -E 100`); a small model is led astray by those.

    Attributes:
        e_value: The largest E-value of a hit in the whole database.
        inclusion_e_value: The largest E-value of a hit that enters the next round's profile.
        sensitivity: MMseqs2's -s, where it looks for k-mers.
        iterations: Rounds of the search, each with the profile of what the last one found; one
            round where an alignment gives the profile.
        max_hits: Most hits of a query that are aligned; the best by the first, fast score.
    """

    e_value: float = 0.1
    inclusion_e_value: float = 1e-3
    sensitivity: float = 7.5
    iterations: int = 3
    max_hits: int = 300

    def __post_init__(self) -> None:
        for name in ("e_value", "inclusion_e_value", "sensitivity", "iterations", "max_hits"):
            if not getattr(self, name) > 0:
                raise InputError(
                    Message(
                        "template search: {name} is {getattr}",
                        name=name,
                        getattr=getattr(self, name),
                    ),
                    hint=Message("it must be above 0"),
                )

    def key(self) -> dict[str, object]:
        """Give the parameters as JSON values."""
        return asdict(self)
