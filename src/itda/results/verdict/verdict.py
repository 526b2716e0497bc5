"""One verdict a record: how far to trust it, where not, what it rests on, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from itda.confidence.trust import Band, Level
from itda.language import (
    COMMAND_LINE,
    PYTHON,
    SOURCE,
    Face,
    Message,
    chosen_language,
    from_data,
)
from itda.results.verdict.basis import Basis, basis_of
from itda.results.verdict.evidence import Folded
from itda.results.verdict.places import Places, places_of
from itda.results.verdict.remedies import Remedies, remedies_for
from itda.results.verdict.whole import APART_ANGSTROM, LOW_PLDDT, judge, trust_of

Kind = Literal["trust", "places", "basis", "next"]


@dataclass(frozen=True)
class Sentence:
    """One sentence of a verdict.

    Attributes:
        kind: What it is about.
        message: Itself, in every language.
        elsewhere: What is said where there is no terminal with commands; None for the same.
    """

    kind: Kind
    message: Message
    elsewhere: Message | None = None

    def said(self, face: Face = COMMAND_LINE, language: str = SOURCE) -> str:
        """Return it as a face says it."""
        message = self.message if face.commands else self.elsewhere or self.message
        return str(message.said(face, language))

    def to_dict(self) -> dict[str, Any]:
        """Give plain data; the messages are what `itda.language.from_data` reads."""
        other = {} if self.elsewhere is None else {"elsewhere": self.elsewhere.to_data()}
        return {
            "kind": self.kind,
            "text": str(self.message),
            "message": self.message.to_data(),
            **other,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sentence:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is no sentence.
        """
        other = data.get("elsewhere")
        return cls(
            data["kind"], from_data(data["message"]), None if other is None else from_data(other)
        )


@dataclass(frozen=True)
class Verdict:
    """What a result comes to.

    Attributes:
        level: How far the fold as a whole is to be trusted.
        band: The test chains that say so; None where none were like this one.
        places: Where the fold is uncertain.
        basis: What it rests on.
        sentences: Of each kind one at most, in the order of `Kind`.
    """

    level: Level
    band: Band | None
    places: Places
    basis: Basis
    sentences: tuple[Sentence, ...]

    def said(self, face: Face = COMMAND_LINE, language: str = SOURCE) -> list[str]:
        """Return the sentences as a face says them."""
        return [one.said(face, language) for one in self.sentences]

    def __str__(self) -> str:
        return "\n".join(self.said(PYTHON, chosen_language()))

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            **self.summary(),
            **self.places.to_dict(),
            "basis": self.basis.to_dict(),
            "sentences": [one.to_dict() for one in self.sentences],
        }

    def summary(self) -> dict[str, Any]:
        """Give what a table of many results has room for."""
        band = self.band
        return {
            "level": self.level,
            "right": None if band is None else band.right,
            "of": None if band is None else band.of,
            "text": " ".join(str(one.message) for one in self.sentences),
        }


def verdict_of(result: Folded, *, here: Remedies | None = None) -> Verdict:
    """Judge a result.

    Args:
        result: What was folded.
        here: What this machine could do next; looked up unless told.
    """
    family = result.provenance.family
    trust = trust_of(family)
    basis = basis_of(result)
    level, band, whole = judge(result, trust, basis)
    places = places_of(
        result.best,
        low_plddt=LOW_PLDDT if trust is None else trust.low_plddt,
        apart_angstrom=APART_ANGSTROM if trust is None else trust.apart_angstrom,
    )
    # Of a fold that is wrong as a whole, no place is better than another.
    where = None if level == "untrusted" else places.sentence()
    sentences = [Sentence("trust", whole)]
    if where is not None:
        sentences.append(Sentence("places", where))
    sentences.append(Sentence("basis", basis.sentence()))
    if level in ("doubtful", "untrusted"):
        further = here or remedies_for(result, basis)
        sentences.append(Sentence("next", further.sentence(), further.sentence(commands=False)))
    return Verdict(level, band, places, basis, tuple(sentences))
